import numpy as np
import pytest
from mmengine.config import ConfigDict
from PIL import Image

from realmnet.datasets import LabelTableDataset, PSMMDataset
from realmnet.datasets.preflight import check_data
from realmnet.engine.metric import MultiLabelReport
from realmnet.errors import InputError, LabelTableError
from realmnet.evaluation.predictions import read_predictions

HEADER = 'S0,S1,A0,A1,A2,A3,A4,filename,ID\n'


@pytest.fixture
def root(tmp_path):
    """Three pictures of three patients in the published layout, one a split."""
    (tmp_path / 'JPEGImages').mkdir()
    for name, labels, patient in (
        ('a.jpg', '1,0,1,0,0,0,0', 'p1'), ('b.jpg', '0,1,0,0,1,0,0', 'p2'),
        ('c.jpg', '1,0,0,1,0,0,0', 'p3'),
    ):  # fmt: skip
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / 'JPEGImages' / name)
        (tmp_path / f'{name[0]}.csv').write_text(f'{HEADER}{labels},{name},{patient}\n')
    return tmp_path


def config(root, ann_file, **options):
    return ConfigDict(type='PSMMDataset', data_root=str(root), ann_file=ann_file, **options)


def test_items_carry_labels_patient_and_line(root):
    dataset = PSMMDataset('b.csv', data_root=str(root), pipeline=[dict(type='LoadPicture')])
    item = dataset[0]
    assert item['gt_score'].tolist() == [0, 1, 0, 0, 1, 0, 0]
    assert (item['filename'], item['patient'], item['line']) == ('b.jpg', 'p2', 2)
    assert item['img'].shape == (8, 8, 3)
    assert dataset.get_cat_ids(0) == [1, 4]
    assert dataset.metainfo['classes'] == ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')


def test_another_schema_with_empty_label_sets(root, capsys):
    (root / 'odir.csv').write_text('N,O,D,filename,ID\n0,1,0,a.jpg,p1\n')
    schema = dict(name='ODIR', classes=['D', 'N'], allow_empty=True)
    dataset = LabelTableDataset('odir.csv', schema, data_root=str(root), data_prefix='JPEGImages')
    assert dataset[0]['gt_score'].tolist() == [0, 0]
    assert dataset.metainfo['classes'] == ('D', 'N')
    assert capsys.readouterr().err.count("ignored: ['O']") <= 1


def test_missing_pictures_are_named_and_counted(root):
    (root / 'd.csv').write_text(
        HEADER + ''.join(f'1,0,1,0,0,0,0,no{i}.jpg,p{i}\n' for i in range(7))
    )
    with pytest.raises(InputError, match=r'7 of 7 pictures .*: no0.jpg, .*no4.jpg and 2 more'):
        PSMMDataset('d.csv', data_root=str(root))


def test_preflight_accepts_good_data_and_absent_other_splits(root):
    check_data([config(root, 'a.csv'), config(root, 'b.csv')], [config(root, 'absent.csv')])


def test_preflight_names_bad_pictures(root):
    path = root / 'JPEGImages' / 'b.jpg'
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r'1 of 1 pictures.*\n.*b.jpg \(line 2'):
        check_data([config(root, 'b.csv')])


def test_preflight_finds_a_patient_in_two_splits(root):
    (root / 'leak.csv').write_text(f'{HEADER}1,0,0,1,0,0,0,c.jpg,p1\n')
    with pytest.raises(LabelTableError, match="patient 'p1' is in both"):
        check_data([config(root, 'a.csv')], [config(root, 'leak.csv')])


@pytest.mark.parametrize(('diagnosis', 'expected'), [(['N'], ('N',)), ([], ())])
def test_the_meaning_of_classes_travels_from_dataset_to_predictions(
    root, tmp_path, diagnosis, expected
):
    (root / 'own.csv').write_text('D,N,filename,ID\n1,0,a.jpg,1\n0,1,b.jpg,2\n')
    schema = dict(name='own', classes=['D', 'N'], diagnosis=diagnosis)
    dataset = LabelTableDataset(
        'own.csv', schema=schema, data_root=str(root), data_prefix='JPEGImages', pipeline=[]
    )
    report = MultiLabelReport(predictions_file=str(tmp_path / 'x.json'))
    report.dataset_meta = dataset.metainfo
    rows = [(n, n, np.array([0.2, 0.7]), np.array(t)) for n, t in (('a', [1, 0]), ('b', [0, 1]))]
    report.compute_metrics(rows)
    found = read_predictions(tmp_path / 'x.json').schema
    assert (found.name, found.diagnosis) == ('own', expected)


def test_a_schema_called_like_a_file_is_not_read_from_it(root, monkeypatch, capfd):
    (root / 'own').write_text('what stands in a file\n')
    (root / 'own.csv').write_text('D,N,filename,ID\n1,0,a.jpg,1\n0,1,b.jpg,2\n')
    monkeypatch.chdir(root)
    dataset = LabelTableDataset(
        'own.csv', schema=dict(name='own', classes=['D', 'N']), data_root=str(root),
        data_prefix='JPEGImages',
    )  # fmt: skip
    assert dataset.metainfo['meaning']['schema'] == 'own'
    assert 'meta file' not in ''.join(capfd.readouterr())


def test_a_diagnosis_that_the_schema_lacks_is_refused(root):
    schema = dict(name='own', classes=['D', 'N'], diagnosis=['M'])
    with pytest.raises(LabelTableError, match=r"the diagnosis names \['M'\].*classes \['D', 'N'\]"):
        LabelTableDataset('own.csv', schema=schema, data_root=str(root))
    with pytest.raises(LabelTableError, match='expected a list'):
        LabelTableDataset('own.csv', schema=schema | {'diagnosis': 'N'}, data_root=str(root))


def test_preflight_finds_damage_that_leaves_the_end_mark(root):
    path = root / 'JPEGImages' / 'b.jpg'
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b'\0' * 512 + data[len(data) // 2 + 512 :])
    with pytest.raises(InputError, match=r'b.jpg \(line 2 .*\): cannot be read whole'):
        check_data([config(root, 'b.csv')])


def test_accepted_damage_is_logged_before_the_run(root, monkeypatch):
    said = []
    monkeypatch.setattr(
        'realmnet.datasets.preflight.print_log', lambda text, *rest: said.append(text)
    )
    path = root / 'JPEGImages' / 'b.jpg'
    path.write_bytes(path.read_bytes()[:-2])
    accepting = config(root, 'b.csv', pipeline=[dict(type='LoadPicture', accept_damaged=True)])
    check_data([accepting])
    assert len(said) == 1 and 'b.jpg (line 2' in said[0]
    assert said[0].endswith('damaged: Premature end of JPEG file, accepted')
    assert PSMMDataset('b.csv', str(root), pipeline=accepting.pipeline)[0]['img'].shape == (8, 8, 3)


def test_preflight_refuses_links_out_of_the_folder(root):
    path = root / 'JPEGImages' / 'b.jpg'
    path.rename(root / 'elsewhere.jpg')
    path.symlink_to(root / 'elsewhere.jpg')
    with pytest.raises(InputError, match='a link out of the folder'):
        check_data([config(root, 'b.csv')])
