"""Properties of tables, splits and groups under any names that a hospital may give.

``REALMNET_PROPERTY_EXAMPLES`` names the number of examples, for long runs.
"""

import csv
import io
import os
import warnings

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realmnet.curation.csv_files import from_spreadsheet, read_csv, write_csv
from realmnet.curation.identifiers import (
    clean,
    clean_name,
    identifier_problem,
    name_spelling,
    spelling,
)
from realmnet.curation.label_schema import get_schema
from realmnet.curation.label_table import LabelTable, read_label_table, write_label_table
from realmnet.curation.leakage import check_disjoint
from realmnet.curation.partition import split_patients
from realmnet.errors import InputError, InputWarning
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.groups import group_of
from realmnet.evaluation.predictions import (
    Predictions,
    read_predictions,
    same_images,
    write_predictions,
)

SCHEMA = get_schema(dict(name='x', classes=['N', 'M'], allow_empty=True))
LONG = settings(
    max_examples=int(os.environ.get('REALMNET_PROPERTY_EXAMPLES', 100)),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# What real tables are made of, rather than any character: so that spellings do meet.
PIECES = ['0', '00', '7', '1', '.0', '.', 'a', 'A', 'é', 'e\u0301', 'Ａ', '７', '张', ' ', '\u00a0',
          '\u200b', '\ufeff', "'", '"', ',', ';', '\t', '\n', '\r', '=', '+', '-', '@', '＝', 'NA',
          'nan', 'None', 'E+11', '1.23457', '/', './', '//', '\\', '..', '.jpg', '.JPG', 'TRUE',
          '%', '|', 'ß', 'İ', 'ſ', '\u0130', '\u2028', '\x85', '\x00', '_']  # fmt: skip
CELLS = st.lists(st.sampled_from(PIECES), max_size=6).map(''.join) | st.text(max_size=8)
NAMES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map(''.join)
ROWS = st.lists(st.tuples(NAMES, NAMES, st.booleans()), min_size=1, max_size=8)


def quietly(function, *arguments, **options):
    """Return the result, or None for a refusal in one sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', InputWarning)
        try:
            return function(*arguments, **options)
        except InputError as error:
            assert str(error)
            return None


@LONG
@given(st.lists(st.tuples(CELLS, CELLS, st.floats(allow_nan=False, width=16)), max_size=6))
def test_what_is_written_is_read_back_or_refused(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp('csv') / 'x.csv'
    if quietly(write_csv, path, ['first', 'second', 'number'], rows) is None and not path.exists():
        assert any('\ud800' <= c <= '\udfff' for row in rows for cell in row[:2] for c in cell)
        return
    table = quietly(read_csv, path)
    if table is None:
        assert any('\0' in row[0] + row[1] for row in rows)
        return
    assert table.columns['first'] == [row[0] for row in rows]
    assert table.columns['second'] == [row[1] for row in rows]
    assert list(map(float, table.columns['number'])) == [row[2] for row in rows]
    for row in csv.reader(io.StringIO(path.read_bytes().decode(), newline='')):
        assert not row[0].startswith(('=', '@', '\t', '\r', '\n'))


@LONG
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6), st.sampled_from('ipq'))
def test_tables_of_others_are_read_as_the_csv_module_reads_them(tmp_path_factory, rows, dialect):
    path = tmp_path_factory.mktemp('csv') / 'x.csv'
    frame = pd.DataFrame(rows, columns=['first', 'second'])
    quoting = {'i': csv.QUOTE_ALL, 'p': csv.QUOTE_MINIMAL, 'q': csv.QUOTE_NONNUMERIC}[dialect]
    try:
        frame.to_csv(path, index=False, quoting=quoting, encoding='utf-8-sig')
    except UnicodeEncodeError:
        return
    expected = list(csv.reader(io.StringIO(path.read_bytes().decode('utf-8-sig'), newline='')))
    filled = [row for row in expected[1:] if any(cell.strip() for cell in row)]
    table = quietly(read_csv, path)
    if table is None:
        return
    unmarked = [[from_spreadsheet(cell) for cell in row] for row in filled]
    assert [list(row) for row in zip(*table.columns.values(), strict=True)] == unmarked


def label_frame(rows):
    frame = pd.DataFrame(
        {'N': [int(row[2]) for row in rows], 'M': [int(not row[2]) for row in rows]}, dtype=np.int8
    )
    frame['filename'] = np.array([row[0] for row in rows], object)
    frame['ID'] = np.array([row[1] for row in rows], object)
    return frame


@LONG
@given(ROWS)
def test_label_tables_keep_every_name_or_refuse(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp('csv')
    label_frame(rows).to_csv(folder / 'raw.csv', index=False)
    table = quietly(read_label_table, folder / 'raw.csv', SCHEMA)
    if table is None:
        return
    plain = [row for row in rows if not any("'" in cell for cell in row[:2])]
    if len(plain) == len(rows):
        assert table.filenames.tolist() == [clean_name(row[0]) for row in rows]
        assert table.patients.tolist() == [clean(row[1]) for row in rows]
    assert not any(map(identifier_problem, [*table.filenames, *table.patients]))
    write_label_table(table, folder / 'own.csv')
    again = quietly(read_label_table, folder / 'own.csv', SCHEMA)
    assert again is not None
    assert again.frame.equals(table.frame)


@LONG
@given(ROWS, st.integers(0, 3))
def test_no_split_separates_two_spellings(rows, seed):
    patients = np.array([clean(row[1]) for row in rows], object)
    parts = quietly(split_patients, patients, (0.5, 0.5), seed)
    if parts is None:
        return
    one, two = ({spelling(p) for p in patients[part]} for part in parts)
    assert not one & two
    assert sorted(np.concatenate(parts)) == list(range(len(rows)))


@LONG
@given(ROWS, ROWS)
def test_disjoint_tables_share_no_spelling(first, second):
    tables = {
        name: LabelTable(
            label_frame([(clean_name(f), clean(p), label) for f, p, label in rows]), SCHEMA, name
        )
        for name, rows in (('one', first), ('two', second))
    }
    try:
        check_disjoint(tables)
        shares = False
    except InputError:
        shares = True
    spelled = [
        ({spelling(p) for p in table.patients}, {name_spelling(f) for f in table.filenames})
        for table in tables.values()
    ]
    assert shares == bool(spelled[0][0] & spelled[1][0] or spelled[0][1] & spelled[1][1])


@LONG
@given(ROWS)
def test_predictions_count_the_patients_that_there_are(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp('csv')
    truth = np.array([[row[2]] for row in rows], np.int8)
    model = Predictions(
        np.array([row[0] for row in rows], object), np.array([row[1] for row in rows], object),
        truth * 0.5 + 0.25, truth, ('M',),
    )  # fmt: skip
    for suffix in ('csv', 'json'):
        path = folder / f'x.{suffix}'
        write_predictions(model, path)
        back = quietly(read_predictions, path)
        if back is None:
            continue
        assert back.filenames.tolist() == [clean_name(row[0]) for row in rows]
        assert back.patients.tolist() == [clean(row[1]) for row in rows]
        np.testing.assert_array_equal(back.scores, model.scores)
        assert same_images(back, model)[1].truth.tolist() == truth.tolist()
        evaluation = quietly(evaluate, back, bootstrap=0)
        if evaluation is not None:
            counted = evaluation.settings['patients']
            assert counted == len(set(back.patients))
            if (back.patients != back.filenames).any():
                assert counted == len({spelling(p) for p in back.patients})


@LONG
@given(ROWS, st.lists(st.sampled_from(['F', 'M']), min_size=8, max_size=8))
def test_groups_are_those_of_the_table_or_refused(tmp_path_factory, rows, values):
    path = tmp_path_factory.mktemp('csv') / 'g.csv'
    people = [clean(row[1]) for row in rows]
    write_csv(path, ['ID', 'sex'], zip((row[1] for row in rows), values, strict=False))
    zeros = np.zeros((len(rows), 1))
    model = Predictions(
        np.array([str(i) for i in range(len(rows))], object), np.array(people, object), zeros,
        zeros.astype(np.int8), ('M',),
    )  # fmt: skip
    groups = quietly(group_of, model, 'sex', path)
    if groups is not None:
        assert groups.tolist() == values[: len(rows)]
