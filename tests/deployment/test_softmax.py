"""A model of classes that exclude each other gives the same scores in every form that it has."""

import json

import numpy as np
import pytest
import torch
from model_files import NETWORK, patches, small_description, write_model
from PIL import Image

from realmnet.apis import Inferencer
from realmnet.apis.folder import infer_folder
from realmnet.curation.label_schema import LabelSchema
from realmnet.deployment.description import ModelDescription
from realmnet.deployment.export import export_model
from realmnet.deployment.model_file import load_model
from realmnet.deployment.runtime import OnnxModel
from realmnet.errors import InputError
from realmnet.evaluation.findings import Units, findings_of
from realmnet.reporting.findings_table import columns, unit_columns

PALM = LabelSchema(
    'PALM', ('N', 'H', 'P', 'X'), ('normal', 'high myopia', 'pathologic', 'scar'),
    diagnosis=('P',), disease='pathologic myopia', diagnosis_rule='noisy-or',
    groups=(dict(name='stage', classes=('N', 'H', 'P'), ordered=True, activation='softmax'),),
)  # fmt: skip
COLOURS = LabelSchema('hues', ('r', 'g', 'b'), groups=(dict(name='hue', classes=('r', 'g', 'b')),))


@pytest.fixture(scope='module')
def packed(tmp_path_factory):
    fields = ModelDescription.of_schema(PALM)
    description = small_description(fields.pop('classes'), **fields)
    return write_model(tmp_path_factory.mktemp('softmax') / 'm.pth', description)


def test_scores_add_up_to_one_in_every_form(packed, tmp_path):
    network, description = load_model(packed)
    assert description.label_schema == PALM
    pictures = np.stack([patches(i) for i in range(5)])
    inputs = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        logits = network(inputs, mode='tensor').double()
    expected = torch.cat([logits[:, :3].softmax(1), logits[:, 3:].sigmoid()], 1).numpy()
    found = Inferencer(packed, 'cpu').scores(pictures)
    assert np.abs(found - expected).max() < 1e-6
    for name in ('m.onnx', 'm.pt2'):
        parity = export_model(network, description, tmp_path / name, pictures)
        assert (parity.difference < 1e-5, parity.changed) == (True, 0)
    exported = OnnxModel(tmp_path / 'm.onnx', threads=1)
    assert exported.description == description
    assert np.abs(exported.scores(pictures) - expected).max() < 1e-5


def test_a_folder_has_a_column_for_the_group(packed, tmp_path):
    (tmp_path / 'in').mkdir()
    for i, side in enumerate(('left', 'right')):
        Image.fromarray(patches(i)).save(tmp_path / 'in' / f'7_{side}.png')
    out = tmp_path / 'out'
    infer_folder(Inferencer(packed, 'cpu'), tmp_path / 'in', out, {'name': 'm', 'sha256': '0'})
    header = (out / 'findings.csv').read_text(encoding='utf-8-sig').splitlines()[0].split(',')
    assert header == columns(PALM)
    assert header[8:11] == ['stage', 'pathologic_myopia_score', 'pathologic_myopia']
    patients = (out / 'patients.csv').read_text(encoding='utf-8-sig').splitlines()
    assert patients[0].split(',')[1:] == unit_columns(PALM)
    rows = json.loads((out / 'findings.json').read_text())['findings']
    assert all(row['stage'] in 'NHP' for row in rows)
    worst = max((row['stage'] for row in rows), key='NHP'.index)
    assert patients[1].split(',')[2] == worst


def test_the_highest_of_three_is_found_below_every_threshold():
    bare = LabelSchema(
        'three', ('N', 'H', 'P'), groups=(dict(name='stage', classes=('N', 'H', 'P')),)
    )
    found = findings_of(np.array([[0.20, 0.45, 0.35]]), bare)[0]
    assert (found.found, found.groups) == (('H',), {'stage': 'H'})
    assert (found.grade, found.staphyloma, found.pathologic_myopia) == (None, None, None)


def test_units_take_the_worst_of_ordered_groups_only():
    scores = {'ordered': [[0.1, 0.7, 0.2, 0.9], [0.1, 0.2, 0.7, 0.1]], 'hues': [[0.1, 0.8, 0.1]]}
    units = Units()
    for number, finding in enumerate(findings_of(np.array(scores['ordered']), PALM)):
        units.add(f'7_{("left", "right")[number]}.jpg', finding)
    patient = next(iter(units.findings('patient')))
    assert (patient.groups, patient.disease) == ({'stage': 'P'}, True)
    assert [unit.groups['stage'] for unit in units.findings('eye')] == ['H', 'P']
    units = Units()
    units.add('7_left.jpg', findings_of(np.array(scores['hues']), COLOURS)[0])
    assert next(iter(units.findings('eye'))).groups == {}
    assert unit_columns(COLOURS) == ['images', 'uncertain', 'ungradable', 'notice']
    assert 'hue' in columns(COLOURS)


def test_without_thresholds_the_schema_says_how_the_disease_is_scored():
    schema = LabelSchema('x', ('a', 'b'), diagnosis=('a', 'b'), disease='rare disease',
                         diagnosis_rule='noisy-or')  # fmt: skip
    found = findings_of(np.array([[0.4, 0.4]]), schema)[0]
    assert found.diagnosis_score == pytest.approx(0.64)
    assert (found.disease, found.pathologic_myopia) == (True, None)


@pytest.mark.parametrize(
    ('meaning', 'sentence'),
    [
        ({'groups': [{'name': 'a', 'classes': ['N', 'H']}, {'name': 'b', 'classes': ['H', 'P']}]},
         "class 'H' is in two groups"),
        ({'groups': [{'name': 'a', 'classes': ['N']}]}, 'expected two or more'),
        ({'groups': 7}, 'expected a list of groups'),
        ({'groups': [{'name': 'a', 'classes': ['N', 'H'], 'run': 'x'}]}, 'cannot be read'),
        ({'groups': [{'name': 'x' * 65, 'classes': ['N', 'H']}]}, 'has 65 characters'),
        ({'disease': 'glaucoma'}, 'names no class'),
        ({'disease': 5}, 'must be text'),
        ({'words': ['a\x1b[2J', 'b', 'c', 'd']}, 'must be text on one line'),
        ({'modality': 'x' * 501}, 'at most 500 characters'),
        ({'name': 'other'}, 'stand beside it; take them out'),
        ({'surprise': 1}, "no field 'surprise'"),
        ([], 'meaning must be an object'),
    ],
)  # fmt: skip
def test_what_a_stranger_may_write_of_classes_is_checked(meaning, sentence):
    content = json.loads(small_description(PALM.classes).to_json()) | {'meaning': meaning}
    with pytest.raises(InputError, match=sentence) as caught:
        ModelDescription.from_json(json.dumps(content))
    assert '\n' not in str(caught.value)


def test_the_linear_head_of_groups_can_be_described():
    network = {
        'type': 'ImageClassifier',
        'backbone': NETWORK['backbone'],
        'neck': {'type': 'GlobalAveragePooling'},
        'head': {'type': 'GroupLinearHead', 'num_classes': 3, 'in_channels': 16},
    }
    assert small_description(('N', 'H', 'P'), network=network).network == network
