"""From a training to findings: the checkpoint alone gives the scores of tools/test.py."""

import json
import sys

import numpy as np
import pytest
import torch
from commands import QUICKSTART, SMALL, run

from realmnet.apis import Inferencer
from realmnet.deployment.model_file import pack
from realmnet.evaluation.predictions import read_predictions


@pytest.mark.parametrize('option', ['', '--tta'])
def test_scores_are_those_of_the_test_tool(trained, synthetic_psmm, tmp_path, option):
    _, checkpoint = trained
    config = checkpoint.parent / 'vis_data' / 'config.py'
    run('tools/dist_test.sh', config, checkpoint, 1, '--work-dir', tmp_path, '--out',
        tmp_path / 'test.csv', *option.split(), '--cfg-options',
        'test_dataloader.num_workers=0')  # fmt: skip
    expected = read_predictions(tmp_path / 'test.csv')
    pack(checkpoint, tmp_path / 'model.pth')
    for source in (checkpoint, tmp_path / 'model.pth'):
        inferencer = Inferencer(source, 'cpu', batch_size=5, flip=bool(option))
        pictures = [synthetic_psmm / 'JPEGImages' / name for name in expected.filenames]
        found = [list(r.finding.scores.values()) for r in inferencer.stream(pictures)]
        assert np.abs(np.array(found) - expected.scores).max() < 1e-5
        assert tuple(inferencer.description.classes) == expected.classes
    assert np.ptp(expected.scores, axis=0).max() > 1e-3


def test_checkpoint_says_where_it_comes_from(trained):
    description = Inferencer(trained[1], 'cpu').description
    training = description.training
    assert (training.synthetic, training.seed, training.epochs) == (True, 42, 2)
    assert training.images > 0
    assert training.data == 'PSMMDataset MYOPIA.csv'
    assert description.preprocessing.size == 64
    assert '/' not in json.dumps(training.experiment)


def test_old_checkpoint_is_described_by_its_config(trained, synthetic_psmm, tmp_path):
    content = torch.load(trained[1], weights_only=False)
    del content['meta']['realmnet']
    torch.save(content, tmp_path / 'old.pth')
    config = trained[1].parent / 'vis_data' / 'config.py'
    run(sys.executable, 'tools/deployment/pack.py', tmp_path / 'old.pth',
        '--out', tmp_path / 'a.pth', '--config', config)  # fmt: skip
    described = Inferencer(tmp_path / 'a.pth', 'cpu').description
    own = Inferencer(trained[1], 'cpu').description
    assert described.network == own.network
    assert described.preprocessing == own.preprocessing
    assert (described.training.synthetic, described.training.epochs) == (True, 2)


def test_a_model_that_cannot_be_described_is_trained_all_the_same(synthetic_psmm, tmp_path):
    done = run(
        'tools/dist_train.sh', QUICKSTART, 1, '--work-dir', tmp_path, '--cfg-options', *SMALL,
        f'data_root={synthetic_psmm}', 'train_cfg.max_epochs=1', 'param_scheduler=None',
        'val_cfg=None', 'val_dataloader=None', 'val_evaluator=None',
        'model.data_preprocessor.std=[65537,65537,65537]',  # beyond what a description may say
        'train_dataloader.num_workers=0',
    )  # fmt: skip
    assert 'Checkpoints will not say how to be used' in done.stdout + done.stderr
    assert list(tmp_path.glob('*/epoch_1.pth'))
