"""Files from before a schema had groups, a disease's name and more are read as they were meant.

``tests/earlier`` holds the texts; weights and pictures are made anew.
"""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from model_files import patches, write_model

from realmnet.apis import Inferencer
from realmnet.apis.folder import infer_folder
from realmnet.curation.label_schema import PSMM
from realmnet.deployment.description import KEY, ModelDescription
from realmnet.deployment.export import write_onnx, write_sealed
from realmnet.deployment.model_file import load_model
from realmnet.deployment.runtime import OnnxModel
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.findings import Finding
from realmnet.evaluation.predictions import read_predictions
from realmnet.reporting.findings_table import read_findings

EARLIER = Path(__file__).parents[1] / 'earlier'
ODIR = ('N', 'D', 'M')


def description_of(name: str) -> str:
    return (EARLIER / f'{name}.description.json').read_text()


def test_predictions_of_psmm_mean_what_they_meant():
    found = read_predictions(EARLIER / 'psmm.json')
    assert found.schema == PSMM
    assert read_predictions(EARLIER / 'psmm.csv').schema == PSMM
    parts = {row.part for row in evaluate(found, bootstrap=0, consistent=True).rows}
    assert parts == {
        'labels', 'consistent', *(f'pathologic myopia, by {u}' for u in ('image', 'eye', 'patient'))
    }  # fmt: skip


def test_predictions_with_a_diagnosis_keep_the_name_that_was_printed():
    found = read_predictions(EARLIER / 'odir.json')
    assert (found.schema.name, found.schema.classes) == ('ODIR-5K', ODIR)
    assert (found.schema.diagnosis, found.schema.disease) == (('M',), 'pathologic myopia')
    evaluation = evaluate(found, bootstrap=0)
    assert evaluation.value('recall', 'PM', part='pathologic myopia, by eye').positives > 0
    assert found.take(slice(None), [0, 1]).schema.diagnosis == ()


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('psmm', PSMM),
        ('oldest', PSMM),  # from before there were diagnosis and input_check
    ],
)
def test_descriptions_of_psmm(name, expected):
    found = ModelDescription.from_json(description_of(name)).label_schema
    assert found == expected


def test_descriptions_of_other_classes():
    odir = ModelDescription.from_json(description_of('odir'))
    schema = odir.label_schema
    assert (schema.disease, schema.diagnosis) == ('pathologic myopia', ('M',))
    assert (schema.words, schema.groups) == (('normal', 'diabetes', 'myopia'), ())
    assert odir.thresholds.diagnosis_rule == 'noisy-or'
    plain = ModelDescription.from_json(description_of('plain'))
    assert (plain.label_schema.disease, plain.diagnosis) == ('', ())
    for one in (odir, plain):  # and written again, they say the same
        assert ModelDescription.from_json(one.to_json()) == one


@pytest.mark.parametrize('name', ['psmm', 'odir'])
def test_a_packed_model_is_used_and_its_findings_are_continued(name, tmp_path):
    description = ModelDescription.from_json(description_of(name))
    model = write_model(tmp_path / 'm.pth', description, {KEY: description_of(name)})
    (tmp_path / 'in').mkdir()
    for i in range(4):
        file = f'{i // 2}_{("left", "right")[i % 2]}.bmp'
        cv2.imwrite(str(tmp_path / 'in' / file), patches(i)[..., ::-1])
    out = tmp_path / 'out'
    shutil.copytree(EARLIER / f'{name}_findings', out)
    settings = out / 'settings.json'
    folder = json.dumps(str((tmp_path / 'in').resolve()))
    settings.write_text(settings.read_text().replace('"PICTURES"', folder))
    inferencer = Inferencer(model, 'cpu')
    infer_folder(inferencer, tmp_path / 'in', out, {'name': 'model.pth', 'sha256': '0'}, False)
    earlier = EARLIER / f'{name}_findings'
    assert (out / 'findings.csv').read_bytes() == (earlier / 'findings.csv').read_bytes()
    if name == 'psmm':  # and what is made from it, byte for byte
        for file in ('eyes.csv', 'patients.csv'):
            assert (out / file).read_bytes() == (earlier / file).read_bytes()
        before, now = (
            json.loads((f / 'findings.json').read_text())['findings'] for f in (earlier, out)
        )
        assert now == before
        assert [list(row) for row in now] == [list(row) for row in before]
    new = inferencer.findings(
        np.stack([inferencer.read(p) for p in sorted((tmp_path / 'in').iterdir())])
    )
    rows = [row.finding for row in read_findings(out / 'findings.csv', description.label_schema)]
    assert [found_of(f) for f in new] == [found_of(f) for f in rows]


def found_of(finding: Finding) -> tuple:
    return finding.found, finding.groups, finding.disease, finding.uncertain


def test_an_exported_model_of_that_time_is_used(tmp_path):
    text = description_of('psmm')
    network, description = load_model(
        write_model(tmp_path / 'm.pth', ModelDescription.from_json(text), {KEY: text})
    )
    write_onnx(network, description, tmp_path / 'new.onnx')
    model = onnx.load(tmp_path / 'new.onnx')
    for entry in model.metadata_props:
        entry.value = text if entry.key == KEY else entry.value
    write_sealed(model, tmp_path / 'old.onnx')
    old = OnnxModel(tmp_path / 'old.onnx', threads=1)
    assert old.description.label_schema == PSMM
    pictures = np.stack([patches(i) for i in range(3)])
    expected = Inferencer(tmp_path / 'm.pth', 'cpu').findings(pictures)
    assert [found_of(f) for f in old.findings(pictures)] == [found_of(f) for f in expected]
