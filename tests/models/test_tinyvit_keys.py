"""Translation of other implementations' names, and the tool around it."""

import runpy
import sys
from pathlib import Path

import pytest
import timm
import torch
from mmpretrain.models import TinyViT
from safetensors.torch import save_file

from realmnet.errors import InputError
from realmnet.models import RealMTinyViT
from realmnet.models.backbones.tinyvit_keys import convert_state_dict, rename_key

WINDOWS = [2, 2, 4, 2]
TOOL = Path(__file__).parents[2] / 'tools/model_converters/tinyvit_to_mmpretrain.py'


@pytest.fixture
def stock() -> dict:
    return TinyViT(arch='5m', img_size=(64, 64), window_size=WINDOWS).state_dict()


def original_names(state_dict: dict) -> dict:
    """Write a state dict as TinyViT's own repository does, with a classifier."""
    renamed = {}
    for name, value in state_dict.items():
        for ours, theirs in (
            ('conv2d', 'c'),
            ('bn2d', 'bn'),
            ('stages', 'layers'),
            ('norm3', 'norm_head'),
        ):
            name = name.replace(ours, theirs)
        renamed[name] = value
    renamed['layers.1.blocks.0.attn.attention_bias_idxs'] = torch.zeros(4, 4).long()
    return renamed | {'head.weight': torch.ones(3, 320), 'head.bias': torch.ones(3)}


def run(monkeypatch, *args) -> int:
    """Exit status of the tool."""
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, args)])
    try:
        runpy.run_path(str(TOOL), run_name='__main__')
    except SystemExit as stop:
        return stop.code
    return 0


def test_original_names_come_back(stock):
    converted = convert_state_dict(original_names(stock), prefix='')
    assert list(converted) == list(stock)
    assert all(converted[name] is stock[name] for name in stock)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('patch_embed.seq.2.bn.running_var', 'patch_embed.seq.2.bn2d.running_var'),
        ('patch_embed.conv2.conv.weight', 'patch_embed.seq.2.conv2d.weight'),
        ('stages.3.downsample.conv2.bn.bias', 'stages.2.downsample.conv2.bn2d.bias'),
        ('layers.2.downsample.conv2.bn.bias', 'stages.2.downsample.conv2.bn2d.bias'),
        ('stages.3.blocks.1.attn.qkv.bias', 'stages.3.blocks.1.attn.qkv.bias'),
        ('head.norm.weight', 'norm3.weight'),
        ('head.fc.bias', 'head.fc.bias'),
        ('head.bias', 'head.fc.bias'),
        ('layers.3.blocks.1.attn.attention_bias_idxs', None),
    ],
)
def test_names(name, expected):
    assert rename_key(name) == expected


def test_unknown_names_are_all_listed(stock):
    state = original_names(stock) | {'decoder.weight': torch.ones(1), 'layers.0.gain': 1}
    with pytest.raises(InputError, match=r"2 of .*'decoder\.weight', 'layers\.0\.gain'"):
        convert_state_dict(state)
    with pytest.raises(InputError, match='not those of TinyViT'):
        convert_state_dict(stock)
    with pytest.raises(InputError, match='no parameter'):
        convert_state_dict({'head.weight': torch.ones(1)})
    with pytest.raises(InputError, match='two entries'):
        convert_state_dict({'norm_head.weight': torch.ones(1), 'head.norm.weight': torch.ones(1)})


def test_tool_converts_files(tmp_path, monkeypatch, stock):
    torch.save({'model': original_names(stock)}, tmp_path / 'original.pth')
    theirs = timm.create_model('tiny_vit_5m_224', window_sizes=WINDOWS, num_classes=3)
    save_file(theirs.state_dict(), tmp_path / 'timm.safetensors')

    for source in ('original.pth', 'timm.safetensors'):
        target = tmp_path / 'made' / f'{source}.pth'
        assert run(monkeypatch, tmp_path / source, target) == 0
        state = torch.load(target, weights_only=True)['state_dict']
        model = torch.nn.ModuleDict({'backbone': RealMTinyViT(arch='5m', img_size=64)})
        model.load_state_dict(state, strict=True)

        assert run(monkeypatch, tmp_path / source, target, '--keep-head') == 0
        with_head = torch.load(target, weights_only=True)['state_dict']
        assert with_head.keys() - state.keys() == {'head.fc.weight', 'head.fc.bias'}


def test_tool_says_what_is_wrong(tmp_path, monkeypatch, capsys):
    torch.save({'model': {'a.weight': torch.ones(1)}}, tmp_path / 'other.pth')
    torch.save({'model': Path('x')}, tmp_path / 'objects.pth')
    torch.save([1], tmp_path / 'list.pth')
    for name, message in (
        ('none.pth', 'not a file'),
        ('other.pth', "'a.weight'"),
        ('objects.pth', 'tensors alone'),
        ('list.pth', 'no state dict'),
    ):
        assert run(monkeypatch, tmp_path / name, tmp_path / 'out.pth') == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / 'out.pth').exists()
