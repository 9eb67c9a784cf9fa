"""The two published commands, taken out of the README as they are printed there."""

import json
import re
import shlex
from pathlib import Path

import pytest
from commands import ROOT, SMALL, run

README = (ROOT / 'README.md').read_text()


def command_below(heading):
    """The first shell block below a heading."""
    section = README.split(f'\n## {heading}\n')[1]
    return re.search(r'```shell\n(.*?)\n```', section, re.DOTALL)[1]


def test_the_commands_are_the_published_ones():
    training, inference = command_below('Training'), command_below('Inference')
    assert training == (
        'tools/dist_train.sh configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py 4'
    )
    for part in (
        'export epoch=50',
        '$run_dir/$run_time/vis_data/config.py',
        '$run_dir/$run_time/epoch_$epoch.pth',
        '--out $run_dir/$run_time/vis_data/test.json',
        '--out-item $out_item',
    ):
        assert part in inference


@pytest.mark.slow
def test_they_run_on_four_processes(synthetic_psmm, tmp_path):
    """Only --cfg-options is appended; 64 px and one step an epoch keep it short."""
    for folder in ('tools', 'configs', 'realmnet'):
        (tmp_path / folder).symlink_to(ROOT / folder)
    options = [
        *SMALL, f'data_root={synthetic_psmm}',
        'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
    ]  # fmt: skip
    options += [
        f'{loader}_dataloader.dataset.pipeline.1.scale=(64,64)'
        for loader in ('train', 'val', 'test')
    ]
    options += [
        'pretrained=None', 'train_dataloader.dataset.indices=8', 'train_dataloader.batch_size=2',
        'train_cfg.val_interval=50', 'default_hooks.checkpoint.interval=25',
    ]  # fmt: skip
    appended = ' --cfg-options ' + ' '.join(shlex.quote(o) for o in options)
    run('bash', '-c', f'cd {shlex.quote(str(tmp_path))} && {command_below("Training")}{appended}')
    (run_folder,) = (tmp_path / 'work_dirs' / 'tinyvit-21m-distill-384_MYOPIA').glob('2*')
    test = command_below('Inference').replace('RUN_TIME_PLACEHOLDER', run_folder.name)
    run('bash', '-c', f'cd {shlex.quote(str(tmp_path))} && {test}')
    metrics = json.loads((run_folder / 'vis_data' / 'test.json').read_text())
    assert 0 <= metrics['multi-label/mAP'] <= 1
    assert Path(tmp_path / 'work_dirs' / run_folder.parent.name / 'last_checkpoint').is_file()
