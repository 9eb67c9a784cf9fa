"""Which ``--cfg-options`` are taken, and which are refused with what sentence."""

import argparse
import re
import shlex
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from realmnet.engine.config import apply_options, load_config
from realmnet.engine.launch import check_mixed_precision
from realmnet.engine.options import KeyValues, check_config
from realmnet.errors import InputError

ROOT = Path(__file__).parents[2]
PAPER = str(ROOT / 'configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py')
QUICK = str(ROOT / 'configs/quickstart/tinyvit-5m-128_synthetic.py')
TIMM = str(ROOT / 'configs/myopia_models/timm/timm-convnext-t-384_MYOPIA.py')


def parsed(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=KeyValues)
    return parser.parse_args(['--cfg-options', *words]).cfg_options


def configured(*words, config=PAPER, fragments=()):
    return load_config(config, parsed(*words), fragments)


def at(cfg, dotted):
    for part in dotted.split('.'):
        cfg = cfg[int(part)] if isinstance(cfg, list) else cfg[part]
    return cfg


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        ('optim_wrapper.accumulative_counts=4', 4),
        ('default_hooks.checkpoint.save_best=multi-label/mAP', 'multi-label/mAP'),
        ('default_hooks.checkpoint.save_best=[multi-label/mAP,multi-label/F1]',
         ['multi-label/mAP', 'multi-label/F1']),
        ('default_hooks.logger.priority=LOW', 'LOW'),
        ('resume=True', True),
        ('load_from=epoch_3.pth', 'epoch_3.pth'),
        ('randomness.diff_rank_seed=True', True),
        ('env_cfg.dist_cfg.timeout=60', 60),
        ('auto_scale_lr.enable=True', True),
        ('experiment_name=mine', 'mine'),
        ('log_processor.window_size=5', 5),
        ('visualizer.name=mine', 'mine'),
        ('train_dataloader.drop_last=True', True),
        ('train_dataloader.dataset.indices=10', 10),
        ('param_scheduler.0.begin=1', 1),
        ('param_scheduler.0.convert_to_iter_based=False', False),
        ('param_scheduler=None', None),
        ('model.backbone.window_size.0=12', 12),
        ('model.backbone.init_cfg.checkpoint=weights.pth', 'weights.pth'),
        ('optim_wrapper.paramwise_cfg.norm_decay_mult=0.1', 0.1),
        ('optim_wrapper.optimizer.lr=1', 1),
        ('pretrained=None', None),
        ('train_dataloader.dataset.data_root=/data/my pictures', '/data/my pictures'),
    ],
)  # fmt: skip
def test_what_something_reads_is_set(words, expected):
    assert at(configured(words), words.partition('=')[0]) == expected


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('data_rooot=/nowhere', 'did you mean data_root'),
        ('train_cfg.max_epoch=1', 'did you mean max_epochs'),
        ('model.head.lamda=3', r'model.head \(ResidualAttentionHead\) .* did you mean lam\?'),
        ('default_hooks.checkpoint.save_bets=x', 'did you mean save_best'),
        ('default_hooks.early_stopping.patience=3', "default_hooks has no 'early_stopping'"),
        ('train_dataloader.batchsize=4', 'did you mean batch_size'),
        ('train_dataloader.dataset.indice=4', 'did you mean indices'),
        ('optim_wrapper.optimizer.momentum=0.9', r"optimizer \(AdamW\) has no 'momentum'"),
        ('optim_wrapper.optimizer.type=SGD', "has no 'eps'.*to leave nothing of the old"),
        ('optim_wrapper.optimizer.type=Adamw', 'not a registered class; did you mean Adam'),
        ('optim_wrapper.dtype=bfloat16', "optim_wrapper has no 'dtype'"),
        ('param_scheduler.begin=1', 'is a list of 2, write param_scheduler.0 to param_scheduler.1'),
        ('param_scheduler.7.begin=1', 'is a list of 2'),
        ('train_dataloader.dataset.schema.name=x', "which is 'PSMM' and no dictionary"),
        ('train_cfg.max_epochs=abc', r"is an int \(50\), got 'abc'"),
        ('train_cfg.max_epochs=2.5', 'is a whole number'),
        ('train_cfg.max_epochs=True', r'got True \(bool\)'),
        ('train_cfg.max_epochs=None', 'must be int, got None'),
        ('optim_wrapper.optimizer.lr=nan', 'no number to compute with'),
        ('pretrained=none', 'write None with a capital'),
        ('randomness.deterministic=1', r'is a bool \(True\), got 1'),
        ('custom_hooks=EMAHook', 'custom_hooks must be '),
        ('launcher=pytorch', 'would have no effect: the tools take --launcher'),
        ('custom_imports.imports=[os]', 'would have no effect'),
        ('train_cfg.=1', "train_cfg has no ''"),
    ],
)
def test_what_nothing_reads_is_refused(words, message):
    with pytest.raises(InputError, match=message):
        configured(words)


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('resume_from=/x.pth', '--resume CHECKPOINT'),
        ('optimizer.lr=1e-9', 'use optim_wrapper.optimizer.lr'),
        ('data.samples_per_gpu=4', 'use train_dataloader.batch_size'),
        ('data.train.ann_file=a.csv', 'use train_dataloader.dataset.ann_file'),
        ('max_epochs=1', 'use train_cfg.max_epochs'),
        ('total_epochs=1', 'use train_cfg.max_epochs'),
        ('runner.max_epochs=1', 'use train_cfg.max_epochs'),
        ('lr_config.policy=step', 'use param_scheduler'),
        ('optimizer_config.grad_clip.max_norm=1', 'use optim_wrapper.clip_grad.max_norm'),
        ('evaluation.interval=1', 'use train_cfg.val_interval'),
        ('log_config.interval=1', 'use default_hooks.logger.interval'),
        ('checkpoint_config.interval=1', 'use default_hooks.checkpoint.interval'),
        ('workflow=[]', 'use train_cfg.val_interval'),
        ('gpu_ids=[0]', 'set CUDA_VISIBLE_DEVICES'),
        ('seed=3', 'use randomness.seed'),
    ],
)
def test_names_of_earlier_versions_are_told_todays(old, new):
    with pytest.raises(InputError, match=f'not read any more: .*{new}'):
        configured(old)


def test_keys_of_fragments_count_only_with_them():
    cfg = configured('default_hooks.early_stopping.patience=3', fragments=['early_stopping'])
    assert cfg.default_hooks.early_stopping.patience == 3
    cfg = configured('visualizer.vis_backends.1.init_kwargs.entity=me', fragments=['wandb'])
    assert cfg.visualizer.vis_backends[1].init_kwargs == dict(project='realmnet', entity='me')


def test_a_class_that_comes_by_options_is_asked_for_its_arguments():
    words = ('default_hooks.ema.momentum=0.01', 'default_hooks.ema.type=EMAHook')
    assert configured(*words).default_hooks.ema == dict(type='EMAHook', momentum=0.01)
    whole = "optim_wrapper.optimizer={'_delete_': True, 'type': 'SGD', 'lr': 0.1, %r: 0.9}"
    assert configured(whole % 'momentum').optim_wrapper.optimizer.momentum == 0.9
    with pytest.raises(InputError, match='did you mean momentum'):
        configured(whole % 'momentu')


def test_what_timm_takes_is_not_known_but_slips_are_seen():
    assert configured('model.backbone.patch_size=3', config=TIMM).model.backbone.patch_size == 3
    with pytest.raises(InputError, match='did you mean drop_path_rate'):
        configured('model.backbone.drop_path_rat=0.1', config=TIMM)


def test_an_option_on_a_variable_of_the_file_reaches_what_it_was_used_for():
    cfg = configured('train_pipeline.1.prob=0.25', config=QUICK)
    assert cfg.train_dataloader.dataset.pipeline[1].prob == 0.25
    assert cfg.test_dataloader.dataset.pipeline == cfg.test_pipeline
    cfg = configured('load.type=LoadImageFromFile', config=QUICK)
    for loader in ('train', 'val', 'test'):
        assert cfg[f'{loader}_dataloader'].dataset.pipeline[0].type == 'LoadImageFromFile'
    # what is set where it is used has the last word
    cfg = configured('train_dataloader.dataset.data_root=here', 'data_root=there', config=QUICK)
    roots = [cfg[f'{s}_dataloader'].dataset.data_root for s in ('train', 'val', 'test')]
    assert roots == ['here', 'there', 'there']
    # simulated_augmentation went into train_pipeline by splicing: no place equals it
    with pytest.raises(InputError, match='a variable of the config file that nothing reads'):
        configured('simulated_augmentation=[]')


def test_through_none():
    cfg = configured('model.train_cfg.probs=[1]', config=QUICK)
    assert cfg.model.train_cfg == dict(probs=[1])
    with pytest.raises(InputError, match='goes through pretrained, which is None'):
        configured('pretrained.path=x', config=QUICK)


@pytest.mark.parametrize('words', [['train_cfg'], ['=3'], ['a=[1,(2]'], ['a={b'], ['lr=1', 'lr=2']])
def test_words_that_are_no_key_and_value(words, capsys):
    with pytest.raises(SystemExit):
        parsed(*words)
    assert 'argument --cfg-options' in capsys.readouterr().err


def test_a_slip_in_a_config_file_is_named_before_anything_is_built(tmp_path):
    file = tmp_path / 'mine.py'
    for text, message in [
        ('model = dict(head=dict(lamda=3))', 'model.head.lamda.*did you mean lam'),
        ("optim_wrapper = dict(optimizer=dict(lr='1e-4'))", "is the text '1e-4'"),
        ("optimizer = dict(type='SGD', lr=1e-9)", "'optimizer' is not read any more"),
        ("resume_from = 'epoch_3.pth'", "'resume_from' is not read any more"),
        ("default_hooks = dict(checkpoint=dict(save_bets='x'))", 'did you mean save_best'),
        ("val_evaluator = dict(type='MultiLabelReprt')", 'did you mean MultiLabelReport'),
    ]:
        file.write_text(f'_base_ = {PAPER!r}\n{text}\n')
        with pytest.raises(InputError, match=message):
            load_config(str(file))
    # variables of one's own are nobody's business, whatever they are called
    file.write_text(
        f"_base_ = {PAPER!r}\noptimizer = dict(type='SGD', lr=0.1, _delete_=True)\nmine = 3\n"
        'optim_wrapper = dict(optimizer=optimizer)\n'
    )
    assert load_config(str(file)).optim_wrapper.optimizer.type == 'SGD'


def test_mixed_precision_on_a_cpu_is_one_sentence_for_training_and_test(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    for words in ('optim_wrapper.type=AmpOptimWrapper', 'val_cfg.fp16=True', 'test_cfg.fp16=True'):
        with pytest.raises(InputError, match='mixed precision on a GPU, and none is visible'):
            check_mixed_precision(configured(words))
    check_mixed_precision(load_config(PAPER))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    check_mixed_precision(configured('test_cfg.fp16=True'))


def printed_options():
    """Every --cfg-options of README and docs with the config that stands in its command."""
    for path in [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]:
        text = path.read_text().replace('\\\n', ' ')
        for match in re.finditer(r'([^\n`|]*)--cfg-options ([^\n`|]+)((?:`, `[^`]+)*)', text):
            command, words, more = match.groups()
            config = re.search(r'configs/\S+\.py', command)
            words = [w for w in shlex.split(words, comments=True) if '=' in w and '<' not in w]
            words += [w for w in re.findall(r'`([^`,]+)', more) if '=' in w]
            if 'DIR' not in ' '.join(words):
                yield config[0] if config else PAPER, tuple(words)


@pytest.mark.parametrize(('config', 'words'), sorted(set(printed_options())))
def test_options_that_the_documentation_prints_are_taken(config, words):
    assert words
    for word in words:  # alternatives of one another in a table
        configured(word, config=str(ROOT / config))


def test_documentation_prints_options():
    assert len(set(printed_options())) >= 3


def test_checked_configs_stay_as_they_are():
    cfg = Config.fromfile(PAPER)
    before = cfg.to_dict()
    check_config(cfg, 'it')
    apply_options(cfg, {})
    assert cfg.to_dict() == before
