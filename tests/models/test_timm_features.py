"""Backbones of timm give timm's own features, and their weights are found or refused clearly."""

import functools

import huggingface_hub.constants
import pytest
import timm
import torch

from realmnet.engine import CheckpointError
from realmnet.engine.timm_weights import read_timm
from realmnet.engine.weights import load_weights
from realmnet.models import TimmFeatures

SMALL = {
    'deit_tiny_distilled_patch16_224': dict(img_size=64, depth=2),
    'convnext_atto': {},
    'tf_efficientnet_b0': {},
    'swin_tiny_patch4_window7_224': dict(
        img_size=64, window_size=2, embed_dim=48, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16)
    ),
    'tiny_vit_5m_224': {},
}


@pytest.mark.parametrize('name', SMALL)
def test_classifier_on_the_features_gives_logits_of_timm(name, scramble):
    whole = scramble(timm.create_model(name, num_classes=7, **SMALL[name])).eval()
    if 'distilled' in name:  # timm averages two classifiers, here the same one
        whole.head_dist.load_state_dict(whole.head.state_dict())
    backbone = TimmFeatures(name, **SMALL[name])
    backbone.eval()  # which returns nothing in mmpretrain
    report = load_weights(backbone.timm_model, {'state_dict': whole.state_dict()})
    assert report.missing == report.mismatched == []
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        classifier = whole.get_classifier()
        classifier = classifier[0] if isinstance(classifier, tuple) else classifier
        logits = classifier(backbone(pictures)[-1])
        torch.testing.assert_close(logits, whole(pictures))
    assert logits.std() > 1e-3


def test_init_weights_leaves_those_of_timm():
    backbone = TimmFeatures('convnext_atto')
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    backbone.init_weights()
    assert all(torch.equal(before[key], value) for key, value in backbone.state_dict().items())


def test_weights_of_timm_reach_the_backbone(tmp_path, monkeypatch):
    """Through timm's own loading, with a file in the place of the hub."""
    source = timm.create_model('convnext_atto')
    torch.save(source.state_dict(), tmp_path / 'weights.pth')
    local = dict(file=str(tmp_path / 'weights.pth'), hf_hub_id=None, url='')
    create = functools.partial(timm.create_model, pretrained_cfg_overlay=local)
    monkeypatch.setattr(timm, 'create_model', create)
    weights = read_timm('timm://convnext_atto.d2_in1k')
    monkeypatch.undo()
    backbone = TimmFeatures('convnext_atto')
    assert load_weights(backbone, weights, prefix='backbone').complete
    loaded, there = backbone.timm_model.state_dict(), source.state_dict()
    assert all(torch.equal(value, there[key]) for key, value in loaded.items())


@pytest.mark.parametrize('name', ['convnext_tiny.no_such_tag', 'convnext_tiny', 'nothing.like_it'])
def test_unknown_weights_are_named_with_those_there_are(name):
    with pytest.raises(CheckpointError, match='has no weights') as error:
        read_timm(f'timm://{name}')
    known = 'convnext_tiny.fb_in1k' if name.startswith('convnext') else 'none of a similar name'
    assert known in str(error.value)


def test_without_a_connection_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_CACHE', str(tmp_path))
    with pytest.raises(CheckpointError, match='cannot be fetched') as error:
        read_timm('timm://convnext_atto.d2_in1k')
    assert 'pretrained=None' in str(error.value) and '\n' not in str(error.value)
