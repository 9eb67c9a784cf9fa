import csv

import numpy as np
import pytest

from realmnet.curation.content import Content
from realmnet.curation.label_schema import PSMM
from realmnet.errors import InputError
from realmnet.evaluation.findings import findings_of
from realmnet.reporting.findings_table import (
    columns,
    from_row,
    read_findings,
    to_row,
)

CONTENT = Content(7, 'ab' * 32)
CUSTOM = ('normal', 'high_myopia', 'pathologic_myopia')


@pytest.mark.parametrize('classes', [PSMM.classes, CUSTOM, ('M', 'N'), ('高度近视',)])
@pytest.mark.parametrize('name', ['a.jpg', '=1+1_OD.jpg', "'-a/@b.png"])
def test_a_row_comes_back(classes, name, tmp_path):
    scores = np.random.default_rng(0).random((1, len(classes))).round(4)
    finding = findings_of(scores, classes)[0]
    row = to_row(name, finding, CONTENT)
    assert from_row(row, classes) == (name, finding, CONTENT)
    assert not any(cell.startswith(('=', '+', '-', '@')) for cell in row.values())
    with (tmp_path / 'f.csv').open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, columns(classes), extrasaction='ignore')
        writer.writeheader()
        writer.writerow(row)
    assert list(read_findings(tmp_path / 'f.csv', classes)) == [(name, finding, CONTENT)]


def test_a_class_of_the_diagnosis_name_is_no_diagnosis():
    finding = findings_of(np.array([[0.1, 0.2, 0.7]]), CUSTOM)[0]
    assert len(set(columns(CUSTOM))) == len(columns(CUSTOM))
    found = from_row(to_row('a.jpg', finding), CUSTOM).finding
    assert found.scores['pathologic_myopia'] == 0.7
    assert found.diagnosis_score is None


def test_every_cell_is_text_for_a_spreadsheet():
    finding = findings_of(np.array([[0.9]]), ('N',))[0]
    assert to_row('=CMD().jpg', finding)['filename'] == "'=CMD().jpg"


@pytest.mark.parametrize('row', [b'a\xff.jpg', b'a\x00.jpg', b'"a', b'a,b,c,d,e,f,g,h,i,j,k,l'])
def test_damaged_rows_are_one_sentence(row, tmp_path):
    path = tmp_path / 'f.csv'
    path.write_bytes(','.join(columns(CUSTOM)).encode() + b'\n' + row + b'\n')
    with pytest.raises(InputError, match=r'f\.csv, line \d+: the row is damaged'):
        list(read_findings(path, CUSTOM))


def test_a_heading_that_is_no_text(tmp_path):
    (tmp_path / 'f.csv').write_bytes(b'\xff\n')
    with pytest.raises(InputError, match='the row is damaged'):
        list(read_findings(tmp_path / 'f.csv', CUSTOM))
