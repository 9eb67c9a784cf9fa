"""No table that is written for a spreadsheet calculates something."""

import pandas as pd

from realmnet.curation.csv_files import read_csv
from realmnet.curation.prepare import PrepareSettings, prepare_images
from realmnet.evaluation.tables import lay_out
from realmnet.reporting.tables import Table, write_table


def test_tables_of_results_mark_text_and_leave_numbers():
    text = lay_out(['class', 'F1'], [['=1+1', -0.5], ['A4', float('nan')], ['-x', 1]], 'csv')
    assert text == "class,F1\n'=1+1,-0.5\nA4,\n'-x,1"


def test_tables_of_the_paper_mark_text_and_leave_numbers(tmp_path):
    rows = [['@site', '-2.5'], ['–', '+0.2, -0.3 sd']]
    write_table(Table('t', 'title', ['List', 'n'], rows), tmp_path)
    assert (tmp_path / 't.csv').read_text() == 'List,n\n\'@site,-2.5\n–,"\'+0.2, -0.3 sd"\n'
    assert read_csv(tmp_path / 't.csv').columns == {
        'List': ['@site', '–'],
        'n': [r[1] for r in rows],
    }


def test_the_list_of_unreadable_pictures_marks_names(tmp_path):
    (tmp_path / 'raw').mkdir()
    for name in ('=1+1.jpg', 'b.jpg'):
        (tmp_path / 'raw' / name).write_bytes(b'no picture')
    prepare_images(tmp_path / 'raw', tmp_path / 'out', PrepareSettings(32), jobs=1)
    assert pd.read_csv(tmp_path / 'out' / 'unreadable.csv')['filename'].tolist() == [
        "'=1+1.jpg",
        'b.jpg',
    ]
    names = read_csv(tmp_path / 'out' / 'unreadable.csv').columns['filename']
    assert names == ['=1+1.jpg', 'b.jpg']
