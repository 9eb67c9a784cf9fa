"""CSV as Excel, R, Numbers and hand editing leave it: read as meant, or refused with the line."""

import csv
import io

import numpy as np
import pandas as pd
import pytest

from realmnet.curation.csv_files import (
    csv_text,
    from_spreadsheet,
    read_csv,
    spreadsheet_safe,
    write_csv,
)
from realmnet.errors import InputError

HEADER = 'N,M,filename,ID\n'
ROWS = {'N': ['1', '0'], 'M': ['0', '1'], 'filename': ['a.jpg', 'b.jpg'], 'ID': ['007', 'NA']}
PLAIN = HEADER + '1,0,a.jpg,007\n0,1,b.jpg,NA\n'


def read(tmp_path, content):
    path = tmp_path / 'x.csv'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_csv(path)


@pytest.mark.parametrize(
    ('text', 'lines'),
    [
        (PLAIN, [2, 3]),
        (PLAIN.removesuffix('\n'), [2, 3]),
        ('\ufeff' + PLAIN.replace('\n', '\r\n'), [2, 3]),
        (PLAIN.replace('\n', '\r'), [2, 3]),
        ('sep=,\n' + PLAIN, [3, 4]),
        ('"sep=,"\r\n' + PLAIN, [3, 4]),
        ('\n\n' + PLAIN + '\n\n', [4, 5]),
        (PLAIN.replace('\n1', '\n\n\n1'), [4, 5]),
        (PLAIN + ',,,\n , ,,\n,,,,,,\n', [2, 3]),
        (PLAIN.replace('\n', ',,\n'), [2, 3]),
        (PLAIN.replace('ID\n', 'ID,,\n'), [2, 3]),
        (PLAIN.replace('N,M,filename,ID', ' N ,M\u00a0,filename, ID'), [2, 3]),
        (PLAIN.replace('a.jpg', '"a.jpg"').replace('007', '"007"'), [2, 3]),
    ],
)
def test_what_a_person_means_is_read_with_the_lines_of_the_file(tmp_path, text, lines):
    table = read(tmp_path, text)
    assert table.columns == ROWS
    assert table.lines.tolist() == lines


def test_lines_are_counted_past_quoted_line_breaks(tmp_path):
    table = read(tmp_path, 'note,ID\n"two\nlines",1\n\nx,2\n')
    assert table.columns == {'note': ['two\nlines', 'x'], 'ID': ['1', '2']}
    assert table.lines.tolist() == [2, 5]


def test_index_column_of_pandas_is_kept_apart(tmp_path):
    pd.DataFrame(ROWS).to_csv(tmp_path / 'x.csv')
    assert read_csv(tmp_path / 'x.csv').columns == {'': ['0', '1'], **ROWS}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (PLAIN.replace(',', ';'), r"separated by ';', not by commas"),
        (PLAIN.replace(',', '\t'), 'separated by tabs'),
        ('sep=;\n' + PLAIN.replace(',', ';'), "separated by ';'"),
        (PLAIN.replace(',', '|'), r"separated by '\|'"),
        (PLAIN.replace('007', 'Wang, Li'), r'line 2: 5 fields where the header has 4.*quotes'),
        (PLAIN.replace('NA', 'Wang, Li'), r'line 3: 5 fields'),
        (PLAIN.replace('\n1', '\n1,1').replace('\n0', '\n2,0'), 'line 2: 5 fields.*row names'),
        (PLAIN.replace(',NA', ''), r"line 3: 3 field\(s\) where the header has 4.*'ID' is empty"),
        ('\n' + PLAIN.replace('\n0', '\n\n0').replace(',NA', ''), 'line 5: 3 field'),
        (PLAIN.replace('\n', ',\n').replace('NA,', 'Wang, Li'), 'line 3.*without a name|quotes'),
        (PLAIN.replace('M,f', 'N,f'), r"\['N'\] occur twice"),
        (PLAIN.replace('M,f', ' N ,f'), r"\['N'\] occur twice"),
        (PLAIN.replace('M,f', 'n,f'), "'N' and 'n' differ only by case"),
        (PLAIN.replace('M,f', ',f'), 'line 2.*without a name'),
        (PLAIN.replace('a.jpg', '"a.jpg'), r'after line 1\); close every quote'),
        (PLAIN.replace('a.jpg', '"a"b.jpg'), r'after line 1\); close every quote'),
        (PLAIN.encode('utf-16'), 'UTF-16'),
        (PLAIN.encode('utf-16-le'), 'UTF-16'),
        (PLAIN.encode('utf-32'), 'UTF-32'),
        (PLAIN.replace('a.jpg', '左眼.jpg').encode('gbk'), 'line 2 is not UTF-8, but perhaps GBK'),
        (PLAIN.replace('NA', 'Müller').encode('latin-1'), 'line 3 is not UTF-8'),
        (b'PK\x03\x04xxxx', 'Excel workbook'),
        (b'', 'it is empty'),
        (b'\n , ,\n', 'it is empty'),
    ],
)
def test_what_could_mean_something_else_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, content)
    assert str(tmp_path / 'x.csv') in str(error.value)
    assert '\n' not in str(error.value)


def test_a_file_of_another_ending_or_case_is_named(tmp_path):
    (tmp_path / 'labels.csv').touch()
    for name in ('labels', 'Labels.csv', 'labels.CSV', 'labels.txt'):
        with pytest.raises(InputError, match=r"found 'labels\.csv' there"):
            read_csv(tmp_path / name)


FORMULAS = ['=1+1', '+A1', '-A1', '@SUM(A1)', '\t=1', '\r=1', '＝1+1', "'=1", "''=1", '-1+1']
HARMLESS = ['-0.5', '+3', '-', '1e-5', '-inf', "'007", "O'Brien", "'s-Gravenhage", 'a=b', "'", '']


def test_no_formula_is_written_and_every_cell_is_read_back(tmp_path):
    cells = FORMULAS + HARMLESS + ['a, b', 'say "x"', 'two\nlines', 'car\rriage', ' spaces ']
    write_csv(tmp_path / 'x.csv', ['n', 'text'], enumerate(cells))
    assert read_csv(tmp_path / 'x.csv').columns['text'] == cells
    raw = list(csv.reader(io.StringIO((tmp_path / 'x.csv').read_bytes().decode(), newline='')))
    for cell, written in zip(cells, raw[1:], strict=True):
        assert (written[1] == "'" + cell) == (cell in FORMULAS)
        assert (written[1] == cell) == (cell not in FORMULAS)


def test_a_formula_in_the_header_is_harmless_too(tmp_path):
    write_csv(tmp_path / 'x.csv', ['ID', '=1+1'], [['a', 'b']])
    assert (tmp_path / 'x.csv').read_text() == "ID,'=1+1\na,b\n"
    assert read_csv(tmp_path / 'x.csv').columns == {'ID': ['a'], '=1+1': ['b']}


@pytest.mark.parametrize('text', FORMULAS + HARMLESS)
def test_the_mark_can_be_undone(text):
    assert from_spreadsheet(spreadsheet_safe(text)) == text


def test_a_cell_with_and_without_the_mark_is_two_spellings(tmp_path):
    with pytest.raises(InputError, match="line 3: '=a' also occurs with an apostrophe"):
        read(tmp_path, "ID\n'=a\n=a\n")


def test_numbers_are_written_as_pandas_writes_them():
    frame = pd.DataFrame(
        {'f': ['a, b', 'c "d"', ''], 's': [0.1 + 0.2, np.nan, -1e-7], 'n': [1, -2, 3]}
    )
    rows = zip(*(frame[name].tolist() for name in frame), strict=True)
    assert csv_text(list(frame), rows) == frame.to_csv(index=False, lineterminator='\n')


def test_byte_order_mark_for_excel_is_read_again(tmp_path):
    write_csv(tmp_path / 'x.csv', ['ID'], [['左眼']], bom=True)
    assert (tmp_path / 'x.csv').read_bytes().startswith(b'\xef\xbb\xbf')
    assert read_csv(tmp_path / 'x.csv').columns == {'ID': ['左眼']}


def test_names_in_another_encoding_are_one_sentence():
    with pytest.raises(InputError, match='cannot be written as UTF-8'):
        csv_text(['filename'], [['\udcff.jpg']])
