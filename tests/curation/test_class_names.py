"""Names of classes that every file of the project can hold."""

import pytest

from realmnet.curation.class_names import check_class_names
from realmnet.curation.label_schema import LabelSchema
from realmnet.errors import LabelTableError
from realmnet.evaluation.findings import findings_of
from realmnet.reporting.findings_table import from_row, to_row


@pytest.mark.parametrize(
    'name',
    ['macular hole', 'AMD (wet)', '高度近视', 'Früh-AMD', 'A-2.b', 'drusen +', 'a & b'],
)
def test_names_that_work(name):
    assert LabelSchema('mine', (name, 'other')).classes == (name, 'other')


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['a', 'a_score'], "ends in '_score'"),
        (['a', 'A'], 'differ in case or spelling only'),
        (['café', 'cafe\u0301'], 'differ in case or spelling only'),
        (['=1+1'], 'makes a spreadsheet calculate'),
        (['-x'], 'makes a spreadsheet calculate'),
        (['.x'], 'hides files'),
        (['a/b'], "has '/'"),
        (['a;b'], "has ';'"),
        (['a,b'], "has ','"),
        ([' a'], 'begins or ends with a space'),
        (['a  b'], 'two in a row'),
        (['a\nb'], 'cannot be shown'),
        (['a\u200bb'], 'cannot be shown'),
        (['Eye'], 'the name of another column'),
        (['ID'], 'the name of another column'),
        (['filename'], 'the name of another column'),
        (['Found'], 'the name of another column'),
        (['micro'], 'the name of another column'),
        ([''], 'has 0 characters'),
        (['x' * 65], 'has 65 characters'),
    ],
)
def test_names_that_cannot_be_written_are_refused_with_the_schema(names, message):
    with pytest.raises(LabelTableError, match=f"schema 'mine': the class name.*{message}"):
        LabelSchema('mine', tuple(names))


def test_readable_names_are_printable():
    check_class_names(['a'], ['anything / at all'])
    with pytest.raises(LabelTableError, match=r'readable name .* cannot be shown'):
        LabelSchema('mine', ('a',), ('\x1b[2J',))


@pytest.mark.parametrize('classes', [('normal', 'macular hole'), ('normal', 'hole')])
def test_findings_of_classes_with_spaces_are_read_back(classes):
    finding = findings_of([[0.9, 0.8]], classes)[0]
    assert finding.found == classes
    row = to_row('a.jpg', finding)
    assert from_row(row, classes) == ('a.jpg', finding, None)
    assert row['found'] == ('normal; macular hole' if ' ' in classes[1] else 'normal hole')
