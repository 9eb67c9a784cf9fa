"""Parameters and multiply-adds against the model zoo, timm, and hand calculations."""

from pathlib import Path

import mmpretrain
import pytest
import timm
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import init_default_scope

from realmnet.engine.config import load_config
from realmnet.errors import InputError
from realmnet.models.complexity import build_without_memory, complexity, count, input_side
from realmnet.reporting.model_table import TABLE_4_CONFIGS
from realmnet.reporting.published import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def zoo():
    """The entry of mmpretrain's index whose weights a config names, and the path of the index."""
    index = Path(mmpretrain.__file__).parent / '.mim'
    entries = {
        entry.get('Weights'): entry
        for metafile in (index / 'configs').glob('*/metafile.yml')
        for entry in yaml.safe_load(metafile.read_text()).get('Models', [])
    }
    return index, entries


@pytest.mark.parametrize('model', TABLE_4_CONFIGS)
def test_published_numbers_are_those_of_the_model_zoo(model, zoo):
    """Footnote of Table 4: the ImageNet model, parameter by parameter."""
    index, entries = zoo
    cfg = load_config(ROOT / TABLE_4_CONFIGS[model])
    entry = entries[cfg.pretrained]
    published = load('model_info')[model]
    listed = entry['Metadata']
    assert f'{listed["Parameters"] / 1e6:.2f}' == published['params']
    assert f'{listed["FLOPs"] / 1e9:.2f}' == published['flops']
    assert input_side(cfg) == int(published['side'])
    init_default_scope('mmpretrain')
    stock = count(
        build_without_memory(Config.fromfile(index / entry['Config']).model), input_side(cfg)
    )
    # The index rounds Swin's to 10,000.
    digits = -4 if model == 'Swin Transformer' else 0
    assert round(stock.parameters, digits) == listed['Parameters']
    if model == 'Swin Transformer':
        # Products of queries, keys and values: tokens x window x channels x 2 x blocks.
        attention = sum(
            (96 >> i) ** 2 * 144 * (128 << i) * 2 * blocks for i, blocks in enumerate((2, 2, 18, 2))
        )
        assert attention == pytest.approx(2.63e9, abs=5e6)
        assert stock.multiply_adds - attention == pytest.approx(listed['FLOPs'], rel=2e-3)
    else:
        above = listed['FLOPs'] / stock.multiply_adds - 1
        assert 0 < above < (0.065 if model == 'EfficientNet' else 0.012)


@pytest.mark.parametrize(
    ('path', 'name'),
    [
        ('convnext-t-384', 'convnext_tiny'),
        ('efficientnet-b4-380', 'tf_efficientnet_b4'),
        ('swin-b-384', 'swin_base_patch4_window12_384'),
    ],
)
def test_counts_agree_with_the_implementation_of_timm(path, name):
    ours = complexity(load_config(ROOT / f'configs/myopia_models/{path}_MYOPIA.py'))
    with torch.device('meta'):
        theirs = timm.create_model(name, num_classes=7)
    assert count(theirs, ours.side) == ours


def test_deit_by_hand():
    """Patches, 12 blocks (4 D^2 attention, 8 D^2 MLP, products of 578 tokens), 7 classes."""
    ours = complexity(load_config(ROOT / TABLE_4_CONFIGS['DeiT']))
    dim, tokens, patches = 768, 24 * 24 + 2, 24 * 24
    blocks = 12 * (tokens * 12 * dim**2 + 2 * tokens**2 * dim)
    assert ours.multiply_adds == patches * 16 * 16 * 3 * dim + blocks + 7 * dim
    norm, block = 2 * dim, 12 * dim**2 + (3 + 1 + 4 + 1) * dim
    body = 12 * (block + 2 * norm) + 2 * norm  # two norms at the end: tokens, mean
    assert ours.parameters == body + (768 * dim + dim) + (2 + tokens) * dim + 7 * dim + 7


def test_input_size_is_found_or_asked_for():
    assert input_side(load_config(ROOT / 'configs/quickstart/tinyvit-5m-128_synthetic.py')) == 128
    with pytest.raises(InputError, match='input size is unknown'):
        input_side(Config(dict(model=dict(backbone=dict(type='ConvNeXt')))))
    with pytest.raises(InputError, match='no model'):
        pipeline = [dict(type='Resize', scale=64)]
        complexity(Config(dict(test_dataloader=dict(dataset=dict(pipeline=pipeline)))))
