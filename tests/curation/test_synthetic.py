"""Synthetic PSMM: labels, layout, pictures, masks, repeatability."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from realmnet.curation.label_schema import PSMM
from realmnet.curation.label_table import read_label_table
from realmnet.curation.sources import sources_of
from realmnet.curation.synthetic import (
    LABEL_SETS,
    SyntheticArguments,
    draw_patients,
    label_frame,
    make_synthetic,
    render_patient,
)
from realmnet.curation.synthetic.acquisition import POLE_RANGE, take_picture
from realmnet.curation.synthetic.anatomy import Canvas, grow_eye, grow_vessels
from realmnet.curation.synthetic.fundus import paint_fundus
from realmnet.curation.synthetic.labels import SOURCE_PATIENTS, draw_eye_labels
from realmnet.curation.synthetic.lesions import draw_lesions
from realmnet.curation.synthetic.writer import MASKS, PICTURES, RECORD, SPLITS
from realmnet.curation.synthetic_marks import any_synthetic, is_synthetic_id
from realmnet.errors import InputError
from realmnet.evaluation.diagnosis import eye_of, patient_of

ROOT = Path(__file__).parents[2]
ARGUMENTS = SyntheticArguments(patients=40, size=64, labels='even', seed=42)
#: Counted in the published label files, in the order of `LABEL_SETS` (train + val + test).
PUBLISHED = {
    'S0A1': 18327 + 3980 + 4180,
    'S1A2': 4322 + 870 + 872,
    'S1A1': 3821 + 686 + 707,
    'S1A3': 1836 + 368 + 377,
    'S0A0': 1436 + 340 + 294,
    'S1A4': 568 + 121 + 96,
    'S0A3': 75 + 8 + 35,
    'S0A2': 35 + 4 + 13,
}


BEFORE_THE_PREFIX = [
    ('ShenzhenEye-2486437', 'S1A2'), ('ShenzhenEye-2073320', 'S1A4'),
    ('ShenzhenEye-2510070', 'S1A2'), ('ShenzhenEye-2330801', 'S1A1'), ('SUSTech-20', 'S1A4'),
]  # fmt: skip


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp('synthetic') / 'psmm'
    make_synthetic(out, ARGUMENTS, workers=1)
    return out


@pytest.fixture(scope='module')
def tables(root):
    return {name: read_label_table(root / path) for name, path in SPLITS.items()}


def digest(folder):
    files = sorted(p for p in folder.rglob('*') if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


# ---------------------------------------------------------------- labels


def test_published_label_sets_follow_the_published_histogram():
    eyes = Counter(label for pair in draw_eye_labels(4000, 'published', 3) for label in pair)
    expected = np.array([PUBLISHED[name] for name in LABEL_SETS]) / 43371 * 8000
    seen = np.array([eyes[name] for name in LABEL_SETS])
    assert ((seen - expected) ** 2 / expected).sum() < chi2.ppf(0.999, 7)
    assert sum(PUBLISHED.values()) == 43371


def test_pictures_follow_the_histogram_of_the_eyes():
    frame = label_frame(draw_patients(1500, 'published', 5))
    share = frame[list(PSMM.classes)].mean()
    total = dict.fromkeys(PSMM.classes, 0)
    for name, count in PUBLISHED.items():
        total[name[:2]] += count / 43371
        total[name[2:]] += count / 43371
    assert np.allclose(share, [total[name] for name in PSMM.classes], atol=0.02)


def test_even_label_sets_are_uniform():
    eyes = Counter(label for pair in draw_eye_labels(400, 'even', 3) for label in pair)
    assert set(eyes) == set(LABEL_SETS)
    assert all(abs(count - 100) <= 1 for count in eyes.values())


def test_eyes_of_a_patient_resemble_each_other():
    pairs = draw_eye_labels(2000, 'even', 0)
    severity = np.array([[LABEL_SETS.index(eye) for eye in pair] for pair in pairs])
    assert 0.5 < np.corrcoef(severity.T)[0, 1] < 0.85


def test_patients_have_two_eyes_and_one_to_eight_pictures():
    patients = draw_patients(200, 'published', 1)
    counts = [len(patient.pictures) for patient in patients]
    assert min(counts) >= 1
    assert max(counts) <= 8
    assert len(set(counts)) >= 5
    for patient in patients:
        eyes = {picture.eye for picture in patient.pictures}
        assert eyes == {'OD', 'OS'} or len(patient.pictures) == 1
    assert any(picture.examination for patient in patients for picture in patient.pictures)


@pytest.mark.parametrize('num_patients', [40, 41, 500])
def test_five_sources_in_the_published_proportion(num_patients):
    sources = Counter(patient.source for patient in draw_patients(num_patients))
    assert set(sources) == set(SOURCE_PATIENTS)
    assert sources['ShenzhenEye'] / num_patients == pytest.approx(4003 / 4560, abs=0.09)


def test_file_names_are_those_of_psmm():
    patients = draw_patients(120)
    assert len({patient.patient_id for patient in patients}) == 120
    for patient in patients:
        for picture in patient.pictures:
            if patient.source == 'ShenzhenEye':
                pattern = rf'{patient.patient_id}_{picture.eye}_20\d\d-\d\d-\d\d_\d\.jpg'
                assert re.fullmatch(r'ShenzhenEye-9999000\d{7}', patient.patient_id)
            else:
                pattern = rf'{patient.patient_id}_\d\.jpg'
            assert re.fullmatch(pattern, picture.filename)


def test_names_are_of_nobody_and_parsed_as_psmms():
    for patient in draw_patients(200, 'even'):
        assert is_synthetic_id(patient.patient_id)
        for picture in patient.pictures:
            assert is_synthetic_id(picture.filename)
            assert patient_of(picture.filename) == patient.patient_id
            eye = eye_of(picture.filename, patient.patient_id)
            if patient.source == 'ShenzhenEye':
                assert eye.startswith(f'{patient.patient_id} {picture.eye} 20')
        assert sources_of([patient.patient_id]).tolist() == [patient.source]


def test_no_published_name_is_a_synthetic_one(image_sets):
    names = {
        str(name)
        for path in ('MYOPIA/MYOPIA.csv', 'val.csv', 'test.csv')
        for table in [read_label_table(image_sets / path)]
        for column in (table.patients, table.filenames)
        for name in column
    }
    assert len(names) == 43371 + 4560
    assert not any_synthetic(names)
    # The longest published number has 7 digits, the shortest synthetic one 8.
    assert max(len(re.match(r'[A-Za-z]+-(\d+)', name)[1]) for name in names) == 7
    assert not names & {patient.patient_id for patient in draw_patients(3000)}


def test_the_prefix_changes_names_and_nothing_else():
    # Drawn before the numbers had a prefix: the same patients in the same order.
    drawn = [(p.patient_id.replace('-9999000', '-'), p.label_sets['OD'])
             for p in draw_patients(60, 'even')]  # fmt: skip
    assert drawn[::12] == BEFORE_THE_PREFIX
    names = [p.patient_id for p in draw_patients(500)]
    plain = [name.replace('-9999000', '-') for name in names]
    assert np.argsort(names).tolist() == np.argsort(plain).tolist()


@pytest.mark.parametrize(
    ('name', 'synthetic'),
    [
        ('Zhongshan-99990001', True),
        ('day 1/LishuiR-9999000000012_3.jpg', True),
        ('Zhongshan-9999000', False),
        ('ShenzhenEye-999900', False),
        ('ShenzhenEye-2415460_OD_2020-12-27_99990001.jpg', False),
        ('99990001', False),
        ('SUSTech-99990001x', False),
        ('ShenzhenEye-19999000123', False),
    ],
)
def test_synthetic_identifiers(name, synthetic):
    assert is_synthetic_id(name) is synthetic


# ---------------------------------------------------------------- layout


def test_layout_and_columns(root, tables):
    for path in SPLITS.values():
        header = (root / path).read_text().splitlines()[0]
        assert header == 'S0,S1,A0,A1,A2,A3,A4,filename,ID'
    pictures = {path.name for path in (root / PICTURES).iterdir()}
    named = [set(tables[name].filenames) for name in ('train', 'val', 'test')]
    assert pictures == set.union(*named)
    assert sum(map(len, named)) == len(pictures)
    for name in pictures:
        assert cv2.imread(str(root / PICTURES / name)).shape == (64, 64, 3)


def test_only_the_eight_label_sets(tables):
    for table in tables.values():
        sets = {''.join(np.array(PSMM.classes)[row == 1]) for row in table.labels}
        assert sets <= set(LABEL_SETS)


def test_no_patient_in_two_splits(tables):
    patients = [set(tables[name].patients) for name in ('train', 'val', 'test')]
    assert [len(part) for part in patients] == [28, 6, 6]
    assert len(set.union(*patients)) == 40


def test_resampled_list_is_a_part_of_train(tables):
    kept = list(tables['train_mlrus20'].filenames)
    train = list(tables['train'].filenames)
    assert 0.75 * len(train) < len(kept) < len(train)
    assert kept == [name for name in train if name in set(kept)]


def test_record_says_what_it_is(root, tables):
    record = json.loads((root / RECORD).read_text())
    assert 'synthetic' in record['notice']
    assert record['arguments'] == {'patients': 40, 'size': 64, 'labels': 'even', 'seed': 42}
    assert record['counts']['test']['pictures'] == len(tables['test'])
    assert record['counts']['train']['A3'] == tables['train'].labels[:, 5].sum()


def test_masks_belong_to_present_classes_and_only_to_them(root, tables):
    frame = pd.concat([tables[name].frame for name in ('train', 'val', 'test')])
    for name in ('S0', 'A0'):
        assert not (root / MASKS / name).exists()
    for name in ('S1', 'A1', 'A2', 'A3', 'A4'):
        expected = {Path(f).with_suffix('.png').name for f in frame.filename[frame[name] == 1]}
        found = {path.name: path for path in (root / MASKS / name).iterdir()}
        assert set(found) == expected
        for path in found.values():
            mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert mask.shape == (64, 64)
            assert set(np.unique(mask)) == {0, 255}
            assert 0.002 < (mask > 0).mean() < 0.5


# ---------------------------------------------------------------- repeatability


def test_workers_do_not_change_a_byte(root, tmp_path):
    make_synthetic(tmp_path / 'two', ARGUMENTS, workers=2)
    assert digest(tmp_path / 'two') == digest(root)


def test_another_seed_is_another_data_set(tmp_path):
    for seed in (1, 2):
        make_synthetic(tmp_path / str(seed), SyntheticArguments(8, 32, 'even', seed))
    first, second = (digest(tmp_path / str(seed)) for seed in (1, 2))
    assert not set(first.values()) & set(second.values())


def run_tool(*arguments):
    command = [sys.executable, str(ROOT / 'tools/dataset_tools/make_synthetic.py'), *arguments]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_tool_leaves_what_is_there_and_refuses_the_rest(tmp_path):
    out = tmp_path / 'psmm'
    arguments = [str(out), '--patients', '8', '--size', '32', '--labels', 'even']
    (tmp_path / '.psmm.partial').mkdir()
    (tmp_path / '.psmm.partial' / RECORD).write_text('{"arguments": null}')
    first = run_tool(*arguments)
    assert first.returncode == 0, first.stderr
    assert not (tmp_path / '.psmm.partial').exists()
    before = digest(out)

    again = run_tool(*arguments)
    assert again.returncode == 0
    assert 'already there' in again.stdout
    assert digest(out) == before

    other = run_tool(*arguments, '--seed', '7')
    assert other.returncode == 1
    assert len(other.stderr.strip().splitlines()) == 1
    assert 'other arguments' in other.stderr
    assert digest(out) == before


def test_foreign_folders_are_refused(tmp_path):
    for name in ('out', '.other.partial'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'thesis.tex').write_text('mine')
    with pytest.raises(InputError, match='not a synthetic data set'):
        make_synthetic(tmp_path / 'out', SyntheticArguments(8, 32))
    with pytest.raises(InputError, match='not left by this tool'):
        make_synthetic(tmp_path / 'other', SyntheticArguments(8, 32))
    assert (tmp_path / '.other.partial' / 'thesis.tex').read_text() == 'mine'


def test_an_interrupted_run_can_be_repeated(tmp_path):
    def stop(number):
        raise KeyboardInterrupt

    arguments = SyntheticArguments(8, 32)
    with pytest.raises(KeyboardInterrupt):
        make_synthetic(tmp_path / 'a', arguments, progress=stop)
    assert not (tmp_path / 'a').exists()
    make_synthetic(tmp_path / 'a', arguments)
    make_synthetic(tmp_path / 'b', arguments)
    assert digest(tmp_path / 'a') == digest(tmp_path / 'b')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((2, 64), 'patient'),
        ((8, 8), 'px'),
        ((8, 64, 'odd'), 'published'),
        ((8, 64, 'even', -1), 'seed'),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        SyntheticArguments(*arguments)


# ---------------------------------------------------------------- pictures


def test_eyes_are_mirrored():
    right = grow_eye(np.random.default_rng(4), 'OD')
    left = grow_eye(np.random.default_rng(4), 'OS')
    assert right.fovea[0] < 0 < right.disc[0]
    np.testing.assert_allclose(left.fovea, right.fovea * [-1, 1])
    np.testing.assert_allclose(left.vessels.points, right.vessels.points * [-1.0, 1.0])


@pytest.mark.parametrize('seed', range(5))
def test_vessels_taper_leave_the_disc_and_spare_the_fovea(seed):
    fovea, disc = np.array([-0.155, 0.02]), np.array([0.155, -0.01])
    vessels = grow_vessels(np.random.default_rng(seed), fovea, disc)
    drawn = vessels.widths > 0.001
    from_fovea = np.linalg.norm(vessels.points - fovea, axis=-1)
    assert from_fovea[drawn].min() > 0.04
    trunks = vessels.widths[:, 0] > 0.006
    starts = np.linalg.norm(vessels.points[:, 0] - disc, axis=-1)
    assert (starts[trunks] < 0.06).sum() >= 8
    assert (vessels.widths[:, 0] >= vessels.widths[:, -1]).all()


def test_lines_thinner_than_a_pixel_are_fainter():
    canvas = Canvas(40)
    path = np.stack([np.linspace(-1, 1, 20), np.zeros(20)], 1)[None]
    sums = [canvas.lines(path, np.full((1, 20), width)).sum() for width in (0.004, 0.01, 0.05)]
    assert 0 < sums[0] < 0.7 * sums[1] < 0.7 * sums[2]


def test_pictures_of_one_eye_differ_but_share_the_labels():
    patient = next(p for p in draw_patients(40, 'even', 0) if len(p.pictures) >= 4)
    shots = render_patient(patient, 48, 0)
    eye = [p.filename for p in patient.pictures if p.eye == 'OD']
    first, second = (shots[name] for name in eye[:2])
    assert first.masks.keys() == second.masks.keys()
    assert np.abs(first.image.astype(int) - second.image).mean() > 5


def test_pole_stays_in_the_middle():
    rng = np.random.default_rng(0)
    eye = grow_eye(rng, 'OD')
    fundus = paint_fundus(eye, draw_lesions(rng, eye, 'S0A1'), 48, rng)
    poles = np.array([take_picture(fundus, 'ShenzhenEye', 48, rng).pole for _ in range(150)]) / 48
    assert poles.min() >= POLE_RANGE[0]
    assert poles.max() <= POLE_RANGE[1]
    assert (np.ptp(poles, axis=0) > 0.3).all()


def test_border_follows_the_source():
    rng = np.random.default_rng(0)
    eye = grow_eye(rng, 'OD')
    fundus = paint_fundus(eye, draw_lesions(rng, eye, 'S0A0'), 32, rng)
    share = {
        source: np.mean([take_picture(fundus, source, 32, rng).has_border for _ in range(120)])
        for source in SOURCE_PATIENTS
    }
    assert share['SUSTech'] == 1
    assert 0.6 < share['ShenzhenEye'] < 0.86
    assert share['LishuiR'] == share['Zhongshan'] == share['LishuiZ'] == 0


@pytest.mark.parametrize(
    ('label_set', 'name'),
    [('S1A1', 'S1'), ('S0A1', 'A1'), ('S0A2', 'A2'), ('S0A3', 'A3'), ('S1A4', 'A4')],
)
def test_a_lesion_is_seen_where_its_mask_is(label_set, name):
    """Same eye and same noise with and without the lesion: the change is in the mask."""
    inside, outside = [], []
    for seed in range(4):
        eye = grow_eye(np.random.default_rng(seed), 'OD')
        lesions = draw_lesions(np.random.default_rng(seed), eye, label_set)
        healthy = draw_lesions(np.random.default_rng(seed), eye, 'S0A0')
        with_lesion = paint_fundus(eye, lesions, 64, np.random.default_rng(seed))
        without = paint_fundus(eye, healthy, 64, np.random.default_rng(seed))
        change = np.abs(with_lesion.rgb - without.rgb).mean(-1)
        mask = with_lesion.masks[name] > 0.5
        inside.append(change[mask].mean())
        far = with_lesion.canvas.squared_distance(np.zeros(2)) > 1
        outside.append(change[far].mean())
    assert np.mean(inside) > 0.03
    assert np.mean(inside) > 2 * np.mean(outside)


def test_import_leaves_torch_out():
    code = 'import sys, realmnet.curation.synthetic.difficulty; assert "torch" not in sys.modules'
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)
