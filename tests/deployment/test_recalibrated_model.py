"""A recalibration in a model: it travels, acts before the thresholds, and is said."""

import json
from dataclasses import replace

import numpy as np
import pytest
from model_files import patches, small_description, write_model
from test_description import RECALIBRATION, THRESHOLDS
from test_runtime import DESCRIPTION, by_hand, write_toy

from realmnet.apis.inferencer import Inferencer
from realmnet.deployment.description import ModelDescription
from realmnet.deployment.export import export_model
from realmnet.deployment.model_file import load_model, pack
from realmnet.deployment.runtime import OnnxModel
from realmnet.errors import InputError
from realmnet.evaluation.recalibration import Recalibration, write_recalibration
from realmnet.evaluation.thresholds import write_thresholds
from realmnet.reporting.findings_report import _about
from realmnet.reporting.model_card import model_card
from realmnet.reporting.picture_report import model_words

CHOSEN = replace(THRESHOLDS, recalibration=RECALIBRATION.digest)


def test_it_comes_back_and_files_of_before_have_none():
    one = small_description(thresholds=CHOSEN, recalibration=RECALIBRATION)
    assert ModelDescription.from_json(one.to_json()) == one
    content = json.loads(small_description(thresholds=THRESHOLDS).to_json())
    del content['recalibration'], content['thresholds']['recalibration']
    old = ModelDescription.from_json(json.dumps(content))
    assert old.recalibration is None and old.thresholds == THRESHOLDS
    scores = np.full((1, 7), 0.3)
    assert old.recalibrated(scores) is scores


def test_exported_model_applies_it_after_the_mirror_image(tmp_path):
    steps = Recalibration('isotonic', ['M', 'N'], {'M': [[0.2, 0.1], [0.4, 0.1], [0.6, 0.9]]})
    path = write_toy(tmp_path / 'toy.onnx', replace(DESCRIPTION, recalibration=steps))
    pictures = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    plain = (by_hand(pictures) + by_hand(pictures[:, :, ::-1])) / 2
    found = OnnxModel(path, flip=True).scores(pictures)
    assert found[:, 0] == pytest.approx(plain[:, 0], abs=1e-6)  # N has no curve
    assert found[:, 1] == pytest.approx(
        np.interp(plain[:, 1], [0.2, 0.4, 0.6], [0.1, 0.1, 0.9]), abs=1e-6
    )


def test_packed_model_finds_with_recalibrated_scores(tmp_path):
    source = write_model(tmp_path / 'epoch_1.pth')
    write_recalibration(replace(RECALIBRATION, source='/home/someone/val.csv'), tmp_path / 'r.json')
    write_thresholds(CHOSEN, tmp_path / 't.json')
    packed = pack(
        source, tmp_path / 'm.pth', None, tmp_path / 't.json', None, False, tmp_path / 'r.json'
    )
    assert b'someone' not in (tmp_path / 'm.pth').read_bytes()
    assert packed.description.recalibration == RECALIBRATION
    pictures = np.stack([patches(seed) for seed in range(4)])
    plain = Inferencer(source, 'cpu').scores(pictures)
    model = Inferencer(tmp_path / 'm.pth', 'cpu')
    roots = np.sqrt(plain / (1 - plain))  # a temperature of 2 takes the root of the odds
    assert model.scores(pictures) == pytest.approx(roots / (1 + roots), abs=1e-9)
    for finding, row in zip(model.findings(pictures), model.scores(pictures), strict=True):
        assert list(finding.scores.values()) == pytest.approx(row)
    # packed once more, and exported, it is still there
    again = pack(tmp_path / 'm.pth', tmp_path / 'n.pth', None, None, None, False)
    assert again.description.recalibration == RECALIBRATION
    network, description = load_model(tmp_path / 'm.pth')
    parity = export_model(network, description, tmp_path / 'm.onnx', pictures)
    assert parity.changed == 0
    exported = OnnxModel(tmp_path / 'm.onnx').scores(pictures)
    assert exported == pytest.approx(model.scores(pictures), abs=1e-5)


def test_thresholds_of_other_scores_stop_packing(tmp_path):
    source = write_model(tmp_path / 'a.pth', small_description(thresholds=THRESHOLDS))
    write_recalibration(RECALIBRATION, tmp_path / 'r.json')
    settings = dict(input_check=False, recalibration=tmp_path / 'r.json')
    with pytest.raises(InputError, match='chosen on scores without recalibration'):
        pack(source, tmp_path / 'b.pth', **settings)
    write_thresholds(CHOSEN, tmp_path / 't.json')
    with pytest.raises(InputError, match='with the recalibration'):
        pack(source, tmp_path / 'b.pth', thresholds=tmp_path / 't.json', input_check=False)
    other = replace(RECALIBRATION, curves={n: [0.4, 0.0] for n in RECALIBRATION.curves})
    write_recalibration(other, tmp_path / 'r.json')
    with pytest.raises(
        InputError, match=f'with the recalibration {RECALIBRATION.digest}.*{other.digest}'
    ):
        pack(source, tmp_path / 'b.pth', thresholds=tmp_path / 't.json', **settings)
    write_recalibration(replace(RECALIBRATION, schema=['M'], curves={}), tmp_path / 'r.json')
    with pytest.raises(InputError, match='needed is one of'):
        pack(source, tmp_path / 'b.pth', **settings)
    assert not (tmp_path / 'b.pth').exists()


def test_reports_say_it():
    note = 'Scores recalibrated by temperature fitted on val.csv (10 images)'
    one = small_description(thresholds=CHOSEN, recalibration=RECALIBRATION)
    for text in (
        model_words('m.pth', one),
        _about(one, {'flip': False}),
        model_card(one, 'm.pth', 'abc', 3),
    ):
        assert note in text
    assert 'not calibrated' not in text
    assert 'not calibrated probabilities' in model_card(small_description(), 'm.pth', 'abc', 3)
    assert 'recalibrated' not in model_words('m.pth', small_description())
