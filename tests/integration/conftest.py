"""A model trained through the command-line tools, for all tests here."""

from pathlib import Path

import pytest
from commands import QUICKSTART, SMALL, run


@pytest.fixture(scope='session')
def trained(synthetic_psmm, tmp_path_factory):
    """One epoch of the small quickstart model on two processes: (work folder, checkpoint)."""
    work_dir = tmp_path_factory.mktemp('work_dirs')
    run(
        'tools/dist_train.sh', QUICKSTART, 2, '--work-dir', work_dir, '--cfg-options', *SMALL,
        f'data_root={synthetic_psmm}', 'train_cfg.max_epochs=2', 'train_dataloader.batch_size=4',
    )  # fmt: skip
    return work_dir, Path((work_dir / 'last_checkpoint').read_text().strip())
