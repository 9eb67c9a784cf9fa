import os
import time
from pathlib import Path

import pytest
import torch
import toy_training
from mmengine.config import Config
from mmengine.runner import find_latest_checkpoint

from realmnet.engine import CheckpointError, read_checkpoint
from realmnet.errors import InputError


def names(work_dir):
    return sorted(path.name for path in Path(work_dir).glob('*/*.pth'))


@pytest.fixture
def trained(tmp_path):
    """The final checkpoint of one epoch."""
    runner = toy_training.train(toy_training.config(tmp_path / 'trained', epochs=1))
    return Path(runner.log_dir) / 'epoch_1.pth'


def test_checkpoints_lie_in_the_folder_of_the_run(tmp_path):
    runner = toy_training.train(toy_training.config(tmp_path / 'run', epochs=2))
    folder = tmp_path / 'run' / runner.timestamp
    assert find_latest_checkpoint(tmp_path / 'run') == str(folder / 'epoch_2.pth')
    assert (folder / 'vis_data' / 'config.py').is_file()
    assert sorted(path.name for path in folder.glob('*.pth')) == ['epoch_1.pth', 'epoch_2.pth']
    assert not list((tmp_path / 'run').glob('*.pth'))


def test_max_keep_ckpts_counts_over_resumed_runs(tmp_path):
    hooks = {'checkpoint': {'type': 'RunCheckpointHook', 'interval': 1, 'max_keep_ckpts': 2}}
    one = toy_training.train(toy_training.config(tmp_path / 'run', epochs=2, default_hooks=hooks))
    time.sleep(1.1)  # folders are named by the second
    two = toy_training.train(
        toy_training.config(tmp_path / 'run', epochs=3, default_hooks=hooks, resume=True)
    )
    assert one.log_dir != two.log_dir
    assert [path.name for path in Path(one.log_dir).glob('*.pth')] == ['epoch_2.pth']
    assert [path.name for path in Path(two.log_dir).glob('*.pth')] == ['epoch_3.pth']


def test_a_failed_save_leaves_one_to_resume_from(tmp_path, monkeypatch):
    hooks = {'checkpoint': {'type': 'RunCheckpointHook', 'interval': 1, 'max_keep_ckpts': 1}}
    replace = os.replace

    def full_disk(source, target):
        if Path(target).name == 'epoch_2.pth':
            raise OSError('no space left on device')
        replace(source, target)

    monkeypatch.setattr(os, 'replace', full_disk)
    with pytest.raises(OSError, match='no space'):
        toy_training.train(toy_training.config(tmp_path / 'run', default_hooks=hooks))
    assert names(tmp_path / 'run') == ['epoch_1.pth']
    assert read_checkpoint(find_latest_checkpoint(tmp_path / 'run'))['meta']['epoch'] == 1


@pytest.mark.parametrize('rule', ['less', 'greater'])
def test_best_checkpoint_replaces_the_one_before(tmp_path, rule, monkeypatch):
    scores = iter([1.0, 3.0, 2.0, 4.0])
    monkeypatch.setattr(
        toy_training.ToyMetric, 'compute_metrics', lambda *_: {'score': next(scores)}
    )
    hooks = {'type': 'RunCheckpointHook', 'interval': 4, 'save_best': 'score', 'rule': rule}
    toy_training.train(toy_training.config(tmp_path / 'run', default_hooks={'checkpoint': hooks}))
    best = {'less': 'best_score_epoch_1.pth', 'greater': 'best_score_epoch_4.pth'}[rule]
    assert names(tmp_path / 'run') == [best, 'epoch_4.pth']


def test_content_that_could_not_be_read_again_stops_the_first_save(tmp_path, monkeypatch):
    monkeypatch.setattr(toy_training.ToyDataset, 'metainfo', {'folder': Path()}, raising=False)
    with pytest.raises(CheckpointError, match='pathlib'):
        toy_training.train(toy_training.config(tmp_path / 'run'))
    assert not (tmp_path / 'run' / 'last_checkpoint').exists()


def test_hook_refuses_what_would_write_around_it():
    for key in ('published_keys', 'file_client_args'):
        with pytest.raises(ValueError, match=key):
            toy_training.HOOKS.build({'type': 'RunCheckpointHook', key: ['state_dict']})


def built(work_dir, **more):
    """A runner about to train for no epoch: only its weights are of interest."""
    return toy_training.train(toy_training.config(work_dir, epochs=0, **more))


def test_pretrained_initialises_the_backbone_only(tmp_path, trained):
    weights = read_checkpoint(trained)['state_dict']
    plain = built(tmp_path / 'plain', pretrained=None).model.state_dict()
    start = built(
        tmp_path / 'start', pretrained=str(trained), model={'type': 'ToyModel', 'classes': 1}
    ).model.state_dict()
    for key, value in start.items():
        assert torch.equal(value, (weights if key.startswith('backbone') else plain)[key]), key
    assert not torch.equal(plain['backbone.0.weight'], weights['backbone.0.weight'])


def test_pretrained_is_refused_if_missing_or_foreign_and_not_read_on_resume(tmp_path, trained):
    absent = str(tmp_path / 'absent.pth')
    with pytest.raises(CheckpointError, match='is missing'):
        built(tmp_path / 'a', pretrained=absent)
    with pytest.raises(CheckpointError, match='not weights for this model'):
        built(tmp_path / 'b', pretrained=str(trained), model={'type': 'ToyModel', 'width': 9})
    work_dir = trained.parents[1]
    resumed = toy_training.train(
        toy_training.config(work_dir, epochs=2, resume=True, pretrained=absent)
    )
    assert resumed.epoch == 2


def test_load_from_starts_with_what_fits(tmp_path, trained):
    model = {'type': 'ToyModel', 'classes': 3}
    runner = built(tmp_path / 'run', load_from=str(trained), model=model)
    weights = read_checkpoint(trained)['state_dict']
    state = runner.model.state_dict()
    assert torch.equal(state['backbone.0.weight'], weights['backbone.0.weight'])
    assert state['head.weight'].shape == (3, 8)


@pytest.mark.parametrize('model', [{'classes': 3}, {'width': 9}])
def test_test_and_resume_demand_every_shape(tmp_path, trained, model):
    cfg = toy_training.config(
        tmp_path / 'run', load_from=str(trained), model={'type': 'ToyModel', **model}
    )
    with pytest.raises(CheckpointError, match='every key and shape'):
        toy_training.RUNNERS.build(cfg).val()
    checkpoint = read_checkpoint(trained)
    with pytest.raises(InputError, match=f'model.{next(iter(model))}: nothing there, . now'):
        toy_training.train(Config({**cfg.to_dict(), 'resume': True}))
    del checkpoint['meta']['run_record']  # as in older checkpoints
    torch.save(checkpoint, trained)
    with pytest.raises(CheckpointError, match='every key and shape'):
        toy_training.train(Config({**cfg.to_dict(), 'resume': True}))


def test_resume_needs_more_than_weights(tmp_path, trained):
    weights = tmp_path / 'weights.pth'
    torch.save({'state_dict': read_checkpoint(trained)['state_dict']}, weights)
    cfg = toy_training.config(tmp_path / 'run', load_from=str(weights), resume=True)
    with pytest.raises(CheckpointError, match='no meta, message_hub, optimizer'):
        toy_training.train(cfg)
    # pretrained is for trainings: a test does not look for it
    cfg = toy_training.config(tmp_path / 'run', load_from=str(weights), pretrained='absent.pth')
    assert 'score' in toy_training.RUNNERS.build(cfg).val()


def test_embedded_config_is_not_executed(tmp_path, trained):
    trace = tmp_path / 'ran'
    code = f'open({str(trace)!r}, "w").close()\nx = 1\n'
    checkpoint = read_checkpoint(trained)
    checkpoint['meta'].update(config=code, cfg=code)
    torch.save(checkpoint, trained)
    work_dir = trained.parents[1]
    toy_training.train(toy_training.config(work_dir, epochs=2, resume=True))
    assert not trace.exists()
    Config.fromstring(code, file_format='.py')  # what mmengine's resume does with it
    assert trace.exists()
