import numpy as np
import pytest

from realmnet.curation.label_schema import PSMM, LabelSchema, get_schema
from realmnet.curation.label_table import read_label_table, write_label_table
from realmnet.curation.leakage import check_disjoint
from realmnet.curation.listed_pictures import missing_pictures
from realmnet.errors import LabelTableError

HEADER = 'S0,S1,A0,A1,A2,A3,A4,filename,ID'
GOOD = [
    '1,0,1,0,0,0,0,a.jpg,p1',
    '0.0,1.0,0.0,0.0,1.0,0.0,0.0,sub/b.jpg,p1',
    '1,0,0,1,0,0,0,c.jpg,p2',
]


@pytest.fixture
def write(tmp_path):
    def write(*lines, header=HEADER, name='labels.csv', newline='\n'):
        path = tmp_path / name
        path.write_text(newline.join([header, *lines]) + newline, newline='')
        return path

    return write


def test_reads_both_number_formats_in_file_order(write):
    table = read_label_table(write(*GOOD))
    assert table.labels.tolist() == [
        [1, 0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0, 0],
    ]  # fmt: skip
    assert table.filenames.tolist() == ['a.jpg', 'sub/b.jpg', 'c.jpg']
    assert table.patients.tolist() == ['p1', 'p1', 'p2']
    assert table.labels.dtype == np.int8


def test_order_is_the_schema_s_whatever_the_file_says(write):
    shuffled = write('p1,0,a.jpg,1,0,0,0,0,1,x', header='ID,A4,filename,A0,S1,A1,A2,A3,S0,note')
    table = read_label_table(shuffled)
    assert table.labels.tolist() == [[1, 0, 1, 0, 0, 0, 0]]
    assert table.ignored == ('note',)


def test_windows_files_with_byte_order_mark(write):
    table = read_label_table(write(*GOOD, header='\ufeff' + HEADER, newline='\r\n'))
    assert len(table) == 3 and table.patients[-1] == 'p2'


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ('2,0,1,0,0,0,0,d.jpg,p3', r"line 5 \(d.jpg\): label S0 is '2', expected 0 or 1"),
        ('nan,0,1,0,0,0,0,d.jpg,p3', r"line 5 \(d.jpg\): label S0 is 'nan'"),
        (',0,1,0,0,0,0,d.jpg,p3', r"line 5 \(d.jpg\): label S0 is ''"),
        ('yes,0,1,0,0,0,0,d.jpg,p3', "label S0 is 'yes'"),
        ('1,1,1,0,0,0,0,d.jpg,p3', r"line 5 \(d.jpg\): more than one of \['S0', 'S1'\] is 1"),
        ('1,0,1,1,0,0,0,d.jpg,p3', r"more than one of \['A0'"),
        ('1,0,0,0,0,0,0,d.jpg,p3', r"line 5 \(d.jpg\): none of \['A0'"),
        ('1,0,1,0,0,0,0,a.jpg,p3', r'line 5 \(a.jpg\): the file name occurs a second time'),
        ('1,0,1,0,0,0,0,,p3', "line 5.*column 'filename' is empty"),
        ('1,0,1,0,0,0,0,d.jpg,', "line 5.*column 'ID' is empty"),
        ('1,0,1,0,0,0,0,d.jpg', "line 5.*column 'ID' is empty"),
        ('1,0,1,0,0,0,0,../d.jpg,p3', 'leaves the picture folder'),
        ('1,0,1,0,0,0,0,/etc/d.jpg,p3', 'leaves the picture folder'),
        ('1,0,1,0,0,0,0,C:\\d.jpg,p3', 'leaves the picture folder'),
    ],
)
def test_bad_rows_are_named_with_their_line(write, row, message):
    with pytest.raises(LabelTableError, match=message):
        read_label_table(write(*GOOD, row))


def test_bad_files_are_named(write, tmp_path):
    with pytest.raises(LabelTableError, match='no such label file'):
        read_label_table(tmp_path / 'absent.csv')
    with pytest.raises(LabelTableError, match=r"column\(s\) \['A4', 'ID'\] missing"):
        read_label_table(write('1,0,1,0,0,0,a.jpg', header='S0,S1,A0,A1,A2,A3,filename'))
    with pytest.raises(LabelTableError, match='repeat the file name'):
        read_label_table(write('1,0,1,0,0,0,0,a.jpg', header=HEADER.removesuffix(',ID')))
    with pytest.raises(LabelTableError, match='no row'):
        read_label_table(write())
    with pytest.raises(LabelTableError, match=r"\['S0'\] occur twice"):
        read_label_table(write('1,1,0', header='S0,S0,filename'))
    binary = tmp_path / 'picture.csv'
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(LabelTableError, match='cannot be read as CSV'):
        read_label_table(binary)


def test_empty_label_sets_by_the_schema_s_choice(write):
    path = write('0,0,a.jpg,p1', header='N,D,filename,ID')
    with pytest.raises(LabelTableError, match=r'line 2 \(a.jpg\): the row has no label at all'):
        read_label_table(path, dict(name='ODIR', classes=['N', 'D']))
    table = read_label_table(path, dict(name='ODIR', classes=['N', 'D'], allow_empty=True))
    assert table.labels.tolist() == [[0, 0]]


def test_schemas():
    assert get_schema('PSMM') is PSMM
    assert PSMM.classes == ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')
    for bad in ('psmm', dict(name='x', classes=[]), dict(name='x', classes=['a', 'a']),
                dict(name='x', classes=['ID']), dict(name='x', classes=['a'], typo=1),
                dict(name='x', classes=['a'], exclusive=[['b']])):  # fmt: skip
        with pytest.raises(LabelTableError):
            get_schema(bad)


def test_written_tables_are_read_back(write, tmp_path):
    table = read_label_table(write(*GOOD))
    out = tmp_path / 'new' / 'copy.csv'
    write_label_table(table, out)
    assert read_label_table(out).frame.equals(table.frame)
    assert out.read_text().splitlines()[0] == HEADER
    assert [p.name for p in out.parent.iterdir()] == ['copy.csv']


def test_a_patient_in_two_splits_is_named(write):
    train = read_label_table(write(*GOOD, name='train.csv'))
    test = read_label_table(write('1,0,0,1,0,0,0,z.jpg,p2', name='test.csv'))
    with pytest.raises(LabelTableError, match=r"'p2' is in both train .*test\.csv\), line 2"):
        check_disjoint({'train': train, 'test': test})
    other = read_label_table(write('1,0,0,1,0,0,0,a.jpg,p9', name='other.csv'))
    with pytest.raises(LabelTableError, match=r"picture 'a\.jpg' is in both"):
        check_disjoint({'train': train, 'other': other})
    check_disjoint({'test': test, 'other': other})


def test_missing_pictures_are_listed_in_order(write, tmp_path):
    folder = tmp_path / 'pictures'
    (folder / 'sub').mkdir(parents=True)
    (folder / 'sub' / 'b.jpg').touch()
    assert missing_pictures(read_label_table(write(*GOOD)), folder) == ['a.jpg', 'c.jpg']


def test_too_many_names_for_the_classes():
    with pytest.raises(LabelTableError, match='1 readable names for 2 classes'):
        LabelSchema('x', ('a', 'b'), class_names=('only one',))


def test_rows_that_are_too_long_are_one_sentence(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text(','.join(PSMM.columns) + '\n1,0,1,0,0,0,0,a.jpg,x\n1,0,1,0,0,0,0,b.jpg,y,z,z\n')
    with pytest.raises(LabelTableError) as error:
        read_label_table(path)
    assert '\n' not in str(error.value)
