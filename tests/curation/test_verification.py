"""Every defect that is put into a data set is found, and nothing else."""

import shutil

import cv2
import numpy as np
import pytest
from curation_samples import draw_picture, psmm_table
from sklearn.metrics import cohen_kappa_score

from realmnet.curation.label_schema import PSMM
from realmnet.curation.label_table import LabelTable, write_label_table
from realmnet.curation.pictures import write_picture
from realmnet.curation.quality import Quality, measure_quality, worst_first
from realmnet.curation.verification import agreement, verify_labels, verify_pictures
from realmnet.errors import InputError

NAMES = {
    'train': [
        ('SUSTech-1_1.jpg', 'S0A1'),
        ('SUSTech-1_2.jpg', 'S1A2'),
        ('SUSTech-2_1.jpg', 'S0A0'),
    ],
    'val': [('ShenzhenEye-3_1.jpg', 'S1A4')],
    'test': [('LishuiZ-4_1.jpg', 'S1A3'), ('Zhongshan-5_1.jpg', 'S0A1')],
}


@pytest.fixture
def root(tmp_path):
    """A sound data set with pictures of 64 x 64."""
    seed = 0
    for split, rows in NAMES.items():
        folder = tmp_path / 'ImageSets' / 'Main'
        write_label_table(psmm_table(rows), folder / f'{split}.csv')
        for name, _ in rows:
            seed += 1
            write_picture(tmp_path / 'JPEGImages' / name, draw_picture(seed, (64, 64))[0])
    return tmp_path


def check(root, size=0):
    result = verify_labels(root)
    verify_pictures(result, root / 'JPEGImages', size, jobs=1)
    return result


def found(result):
    return {(f.check, f.fatal): f.items for f in result.findings}


def test_a_sound_data_set(root):
    result = check(root, 64)
    assert result.findings == []
    assert result.may_train
    assert result.counts == {'train': 3, 'val': 1, 'test': 2}
    assert len(result.quality) == 6


def test_missing_extra_and_patients_without_pictures(root):
    (root / 'JPEGImages' / 'SUSTech-2_1.jpg').rename(root / 'JPEGImages' / 'other.jpg')
    result = check(root)
    problems = [(f.check, f.fatal, f.items) for f in result.findings]
    assert problems == [
        ('missing', True, ('SUSTech-2_1.jpg',)), ('missing', True, ('SUSTech-2',)),
        ('extra', False, ('other.jpg',)),
    ]  # fmt: skip
    assert not result.may_train


def test_unreadable_and_sizes(root):
    (root / 'JPEGImages' / 'LishuiZ-4_1.jpg').write_bytes(b'\xff\xd8\xff')
    write_picture(root / 'JPEGImages' / 'SUSTech-1_1.jpg', draw_picture(9, (80, 64))[0])
    result = check(root, 64)
    assert found(result) == {
        ('unreadable', True): ('LishuiZ-4_1.jpg',), ('sizes', True): ('SUSTech-1_1.jpg',)
    }  # fmt: skip
    assert ('sizes', False) in found(check(root))


@pytest.mark.parametrize(
    ('copy', 'fatal', 'message'),
    [('LishuiZ-4_1.jpg', True, 'different splits'), ('SUSTech-1_2.jpg', True, 'different labels')],
)
def test_the_same_pixels_twice(root, copy, fatal, message):
    shutil.copy(root / 'JPEGImages' / 'SUSTech-1_1.jpg', root / 'JPEGImages' / copy)
    (finding,) = check(root).findings
    assert (finding.check, finding.fatal) == ('duplicates', fatal)
    assert message in finding.message
    assert sorted(finding.items) == sorted(['SUSTech-1_1.jpg', copy])


def test_leakage(root):
    path = root / 'ImageSets' / 'Main' / 'test.csv'
    write_label_table(psmm_table([*NAMES['test'], ('SUSTech-2_9.jpg', 'S0A0')]), path)
    assert found(verify_labels(root)) == {('leakage', True): ('SUSTech-2',)}


def test_label_rules_do_not_stop_the_report(root):
    path = root / 'ImageSets' / 'Main' / 'val.csv'
    path.write_text(path.read_text().replace('0,1,', '1,1,', 1))
    result = verify_labels(root)
    assert [f.check for f in result.findings] == ['labels']
    assert 'val.csv, line 2' in result.findings[0].message
    assert set(result.tables) == {'train', 'test'}


def test_resampled_list_must_come_from_the_training_list(root):
    path = root / 'ImageSets' / 'Main' / 'MYOPIA_MLRUS-20' / 'MYOPIA_MLRUS-20.csv'
    write_label_table(psmm_table(NAMES['train'][:2]), path)
    assert verify_labels(root).findings == []
    write_label_table(psmm_table([('SUSTech-1_1.jpg', 'S1A1')]), path)
    assert found(verify_labels(root)) == {('resampled', True): ('SUSTech-1_1.jpg',)}


def test_names_and_sources(root):
    table = psmm_table([('Elsewhere-3_1.jpg', 'S1A4'), ('x.jpg', 'S0A1')])
    table.frame.loc[1, 'ID'] = 'SUSTech-77'
    write_label_table(table, root / 'ImageSets' / 'Main' / 'val.csv')
    assert set(found(verify_labels(root))) == {('names', False), ('sources', False)}


def test_no_picture_folder(root):
    with pytest.raises(InputError, match='no such folder'):
        verify_pictures(verify_labels(root), root / 'none')


def test_kappa_is_scikit_learns_and_one_case_by_hand():
    rng = np.random.default_rng(0)
    sets = ['S0A0', 'S0A1', 'S1A1', 'S1A2', 'S1A3', 'S1A4']
    first = psmm_table([(f'SUSTech-{i}_1.jpg', s) for i, s in enumerate(rng.choice(sets, 80))])
    second = psmm_table([(f'SUSTech-{i}_1.jpg', s) for i, s in enumerate(rng.choice(sets, 70))])
    result = agreement(first, second.take(rng.permutation(70)))
    a, b = first.labels[:70], second.labels
    assert result['images'] == 70
    assert result['identical'] == (a == b).all(1).sum()
    for column, name in enumerate(PSMM.classes):
        assert result[name] == pytest.approx(cohen_kappa_score(a[:, column], b[:, column]))
    grades = cohen_kappa_score(a[:, 2:].argmax(1), b[:, 2:].argmax(1), weights='quadratic')
    assert result['A0-A4'] == pytest.approx(grades)

    # 10 pictures, 4 + 4 agree: observed .8, expected .5, kappa .6
    one = psmm_table([(f'a_{i}', 'S0A0' if i < 5 else 'S1A0') for i in range(10)])
    two = psmm_table([(f'a_{i}', 'S0A0' if i < 4 or i == 9 else 'S1A0') for i in range(10)])
    assert agreement(one, two)['S0-S1'] == pytest.approx(0.6)
    assert np.isnan(agreement(one, two)['A0-A4'])


def test_kappa_needs_common_pictures():
    one, two = psmm_table([('a_1', 'S0A0')]), psmm_table([('b_1', 'S0A0')])
    with pytest.raises(InputError, match='no picture in common'):
        agreement(one, two)
    with pytest.raises(InputError, match='different classes'):
        from realmnet.curation.label_schema import LabelSchema

        agreement(one, LabelTable(two.frame, LabelSchema('x', ('S0', 'S1')), 'b'))


def test_quality_orders_blurred_dark_and_burnt_pictures():
    import cv2

    good = [measure_quality(draw_picture(s, lossy=False)[0]) for s in range(5)]
    image = draw_picture(1, lossy=False)[0]
    blurred = measure_quality(cv2.GaussianBlur(image, (0, 0), 6))
    dark = measure_quality((image * 0.12).astype(np.uint8))
    burnt = measure_quality(np.where(image > 8, 255, image).astype(np.uint8))
    assert blurred.sharpness < 0.2 * good[1].sharpness
    assert dark.exposure < 0.3 * good[1].exposure
    assert burnt.burnt > 0.9
    assert burnt.visible < 0.1
    order = worst_first([*good, blurred, dark, burnt])
    assert set(order[:3]) == {5, 6, 7}


def test_visible_share_is_the_lit_share():
    image = np.zeros((100, 100, 3), np.uint8)
    image[20:80, 20:80] = 120
    assert measure_quality(image).visible == pytest.approx(0.36)
    assert measure_quality(image) == Quality(0.0, pytest.approx(120 / 255), 0.0, 0.36)
    assert worst_first([]).tolist() == []


def test_pictures_that_are_stored_in_another_way_are_named(root):
    grey = np.full((64, 64), 90, np.uint8)
    pictures = {
        'SUSTech-1_1.jpg': grey, 'SUSTech-1_2.jpg': np.dstack([grey + 1] * 4),
        'SUSTech-2_1.jpg': np.dstack([grey + 2] * 3).astype(np.uint16) * 257,
    }  # fmt: skip
    for name, pixels in pictures.items():
        _, data = cv2.imencode('.png', pixels)
        data.tofile(root / 'JPEGImages' / name)
    result = check(root, 64)
    assert found(result) == {('forms', False): tuple(sorted(pictures))}
    assert 'PNG L: 1' in result.findings[0].message
    assert 'PNG RGBA: 1' in result.findings[0].message
    assert 'PNG RGB;16: 1' in result.findings[0].message
    assert result.may_train


def test_a_negative_number_of_processes(root):
    with pytest.raises(InputError, match='jobs'):
        verify_pictures(verify_labels(root), root / 'JPEGImages', jobs=-1)


def test_one_photograph_in_two_splits_is_named(root):
    from test_near_duplicates import vessels

    tables = {split: table.filenames for split, table in verify_labels(root).tables.items()}
    first = next(iter(tables['train']))
    second = next(iter(tables['test']))
    image = vessels(3)
    _, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    data.tofile(root / 'JPEGImages' / first)
    small = cv2.resize(image, (160, 160), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode('.jpg', small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
    data.tofile(root / 'JPEGImages' / second)
    named = found(check(root))[('near duplicates', False)]
    assert named == (f'{first} = {second}',) or named == (f'{second} = {first}',)


def test_damage_is_an_error_or_a_warning(root):
    path = sorted((root / 'JPEGImages').iterdir())[0]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 60] + b'\xff\xd9')
    assert ('unreadable', True) in found(check(root))
    result = verify_labels(root)
    verify_pictures(result, root / 'JPEGImages', jobs=1, accept_damaged=True)
    assert found(result)[('damaged', False)] == (path.name,)
    assert ('unreadable', True) not in found(result)
