import json

import numpy as np
import pytest

from realmnet.errors import InputError
from realmnet.evaluation.diagnosis import eyes, has_diagnosis, pathologic_myopia, sources
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.groups import group_of
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.thresholds import (
    choose_thresholds,
    read_thresholds,
    thresholds_path,
    write_thresholds,
)

PSMM = ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')


def make(names, patients, scores, truth, classes=PSMM):
    return Predictions(np.array(names, dtype=object), np.array(patients, dtype=object),
                       np.array(scores, float), np.array(truth, np.int8), classes)  # fmt: skip


NAMES = [
    'ShenzhenEye-7_OD_2020-12-27_1.jpg',
    'ShenzhenEye-7_OD_2020-12-27_2.jpg',
    'ShenzhenEye-7_OS_2020-12-27_1.jpg',
    'ShenzhenEye-7_OD_2021-12-27_1.jpg',
]


def example():
    scores = np.full((4, 7), 0.1)
    scores[0, 1], scores[1, 4], scores[2, 3] = 0.3, 0.6, 0.9
    truth = [[1, 0, 0, 1, 0, 0, 0], [0, 1, 0, 1, 0, 0, 0], [1, 0, 0, 1, 0, 0, 0],
             [1, 0, 0, 0, 0, 1, 0]]  # fmt: skip
    return make(NAMES, ['ShenzhenEye-7'] * 4, scores, truth)


def test_pathologic_myopia_is_staphyloma_or_grade_two_and_worse():
    image = pathologic_myopia(example())
    assert image.scores[:, 0].tolist() == [0.3, 0.6, 0.1, 0.1]
    assert image.truth[:, 0].tolist() == [0, 1, 0, 1]
    assert image.classes == ('PM',)


def test_eye_and_patient_take_the_maximum():
    eye = pathologic_myopia(example(), 'eye')
    assert eye.filenames.tolist() == [
        'ShenzhenEye-7 OD 2020-12-27', 'ShenzhenEye-7 OS 2020-12-27', 'ShenzhenEye-7 OD 2021-12-27',
    ]  # fmt: skip
    assert eye.scores[:, 0].tolist() == [0.6, 0.1, 0.1]
    assert eye.truth[:, 0].tolist() == [1, 0, 1]
    patient = pathologic_myopia(example(), 'patient')
    assert (patient.scores.tolist(), patient.truth.tolist()) == ([[0.6]], [[1]])


def test_noisy_or():
    value = pathologic_myopia(example(), rule='noisy-or').scores[0, 0]
    assert value == pytest.approx(1 - 0.7 * 0.9**3)


@pytest.mark.parametrize(
    ('name', 'eye'),
    [
        ('ShenzhenEye-2415460_OD_2020-12-27_2.jpg', 'P OD 2020-12-27'),
        ('LishuiR-018849_20230707@093423_R6.jpg', 'P OD 2023-07-07'),
        ('LishuiZ-012651_20231016@115016_L2.jpg', 'P OS 2023-10-16'),
        ('Zhongshan-15_4_OD4.jpg', 'P OD'),
        ('Zhongshan-66_23_11_8_OS4.jpg', 'P OS'),
        ('Zhongshan-66_3_PRE-OD1.jpg', 'P OD'),
        ('0_left.jpg', 'P OS'),
        ('SUSTech-34_11.jpg', 'SUSTech-34_11.jpg'),
        ('ShenzhenEye-1_OU_2020-12-27_2.jpg', 'ShenzhenEye-1_OU_2020-12-27_2.jpg'),
        ('folder_R/plain.jpg', 'folder_R/plain.jpg'),
    ],
)
def test_eye_is_read_off_the_name(name, eye):
    assert eyes(make([name], ['P'], [[0.5]], [[1]], ('M',))).tolist() == [eye]


def test_published_names_tell_the_eye(image_sets):
    from realmnet.curation.label_table import read_label_table

    table = read_label_table(image_sets / 'test.csv')
    predictions = make(table.filenames, table.patients, table.labels, table.labels)
    names, kinds = eyes(predictions), sources(predictions)
    unknown = np.isin(names, table.filenames)
    assert set(kinds[unknown]) <= {'SUSTech', 'ShenzhenEye'}
    both = [n for n, s in zip(table.filenames[unknown], kinds[unknown], strict=True)
            if s == 'ShenzhenEye']  # fmt: skip
    assert all('_OU_' in name for name in both)


def test_other_classes():
    bare = make(['a'], ['a'], [[0.2, 0.7]], [[0, 1]], ('N', 'M'))
    assert not has_diagnosis(bare.classes)
    assert not has_diagnosis(bare.schema)
    odir = bare.with_diagnosis(['M'])
    assert has_diagnosis(odir.schema)
    assert pathologic_myopia(odir).scores.tolist() == [[0.7]]
    other = make(['a'], ['a'], [[0.2]], [[0]], ('G',))
    assert not has_diagnosis(other.classes)
    with pytest.raises(InputError, match='needs the classes'):
        pathologic_myopia(other)
    with pytest.raises(InputError, match='rule'):
        pathologic_myopia(odir, rule='mean')
    with pytest.raises(InputError, match='unit'):
        pathologic_myopia(odir, 'clinic')


def binary(scores, truth):
    names = [f'{i}.jpg' for i in range(len(scores))]
    predictions = make(names, names, np.array(scores)[:, None], np.array(truth)[:, None], ('M',))
    return predictions.with_diagnosis(['M'])


def test_thresholds_worked_by_hand():
    model = binary([0.1, 0.2, 0.3, 0.4, 0.8, 0.9], [0, 1, 0, 0, 1, 1])
    assert choose_thresholds(model, 'F1').values['M'] == pytest.approx(0.6)  # 4/5 beats 3/4
    assert choose_thresholds(model, 'youden').values['M'] == pytest.approx(0.6)
    assert choose_thresholds(model, 'sensitivity', 1).values['M'] == pytest.approx(0.15)
    assert choose_thresholds(model, 'sensitivity', 2 / 3).values['M'] == pytest.approx(0.6)
    assert choose_thresholds(model, 'sensitivity', 0.3).values['M'] == pytest.approx(0.85)


@pytest.mark.parametrize('rule', ['F1', 'youden', 'sensitivity'])
@pytest.mark.parametrize('seed', range(4))
def test_thresholds_are_the_best_of_all_cuts(rule, seed):
    rng = np.random.default_rng(seed)
    truth, scores = rng.integers(0, 2, 60), np.round(rng.random(60), 1 + seed)
    cut = choose_thresholds(binary(scores, truth), rule, 0.8).values['M']

    def quality(threshold):
        claimed = scores >= threshold
        hits, recall = (claimed & (truth == 1)).sum(), claimed[truth == 1].mean()
        specificity = (~claimed)[truth == 0].mean()
        return {'F1': 2 * hits / (claimed.sum() + truth.sum()), 'youden': recall + specificity,
                'sensitivity': specificity if recall >= 0.8 else -1}[rule]  # fmt: skip

    best = max(quality(t) for t in [0, *(np.unique(scores)), 1.01])
    assert quality(cut) == pytest.approx(best)


def test_class_without_positives_keeps_one_half():
    chosen = choose_thresholds(binary([0.1, 0.9], [0, 0]))
    assert (chosen.values, chosen.undefined) == ({'M': 0.5}, ['M'])


def test_thresholds_file(tmp_path):
    chosen = choose_thresholds(binary([0.1, 0.2, 0.9], [0, 1, 1]), 'sensitivity', 0.9, 'val.csv')
    path = thresholds_path(tmp_path / 'run' / 'epoch_50.pth')
    write_thresholds(chosen, path)
    assert path.name == 'epoch_50.thresholds.json'
    assert read_thresholds(path, ['M']) == chosen
    content = json.loads(path.read_text())
    assert {'schema', 'rule', 'values', 'source', 'required'} <= set(content)
    assert content['diagnosis']['image'] == pytest.approx(0.15)
    with pytest.raises(InputError, match='needed are those of'):
        read_thresholds(path, ['N'])
    path.write_text(json.dumps(content | {'values': {'M': 7}}))
    with pytest.raises(InputError, match=r'within \[0, 1\]'):
        read_thresholds(path)
    path.write_text('{}')
    with pytest.raises(InputError, match='not a thresholds file'):
        read_thresholds(path)
    with pytest.raises(InputError, match='no such'):
        read_thresholds(tmp_path / 'none.json')
    with pytest.raises(InputError, match='rule'):
        choose_thresholds(binary([0.1], [0]), 'best')
    with pytest.raises(InputError, match='sensitivity'):
        choose_thresholds(binary([0.1], [0]), 'sensitivity', 1.5)


def test_groups(tmp_path):
    model = example()
    table = tmp_path / 'people.csv'
    table.write_text('ID,sex,age\nShenzhenEye-7,F,43\n')
    assert set(group_of(model, 'source', tmp_path / 'x.json')) == {'ShenzhenEye'}
    assert set(group_of(model, 'sex', table)) == {'F'}
    assert set(group_of(model, 'age', table)) == {'40-59'}
    table.write_text('filename,age\n' + ''.join(f'{n},{a}\n' for n, a in
                     zip(NAMES, ['0', '19.5', '60', ''], strict=True)))  # fmt: skip
    assert group_of(model, 'age', table).tolist() == ['0-19', '0-19', '60+', 'unknown']
    table.write_text('filename,age\n' + ''.join(f'{n},{a}\n' for n, a in
                     zip(NAMES, ['40-59', '60+', 'NA', 'nan'], strict=True)))  # fmt: skip
    assert group_of(model, 'age', table).tolist() == ['40-59', '60+', 'unknown', 'unknown']
    for age in ('45 y', '045Y', '18M', '"45,5"', '0x20', '1960'):
        table.write_text(f'ID,age\nShenzhenEye-7,{age}\n')
        with pytest.raises(InputError, match='no number of years'):
            group_of(model, 'age', table)
    with pytest.raises(InputError, match="no column 'device'"):
        group_of(model, 'device', table)
    table.write_text('ID,sex\nX,F\n')
    with pytest.raises(InputError, match='4 picture'):
        group_of(model, 'sex', table)


def test_lowest_threshold_is_not_a_score():
    model = binary([0.1, 0.2, 0.9], [1, 0, 1])
    assert choose_thresholds(model, 'sensitivity', 1).values['M'] == 0


@pytest.mark.parametrize(
    'change', [{'schema': None}, {'diagnosis': None}, {'diagnosis': {'image': 7}}]
)
def test_damaged_thresholds_are_refused(tmp_path, change):
    path = tmp_path / 'x.thresholds.json'
    write_thresholds(choose_thresholds(binary([0.1, 0.9], [0, 1])), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r'x\.thresholds\.json'):
        read_thresholds(path)


def test_thresholds_of_one_diagnosis_are_not_used_for_another():
    model = binary([0.1, 0.2, 0.9, 0.3], [0, 1, 1, 0])
    chosen = choose_thresholds(model, diagnosis='noisy-or')
    assert chosen.diagnosis_rule == 'noisy-or'
    evaluate(model, 0, thresholds=chosen, diagnosis='noisy-or')
    with pytest.raises(InputError, match='--diagnosis noisy-or'):
        evaluate(model, 0, thresholds=chosen)


@pytest.mark.parametrize('content', [b'', b'\xff\xfe'])
def test_unreadable_table_of_groups(tmp_path, content):
    path = tmp_path / 'groups.csv'
    path.write_bytes(content)
    with pytest.raises(InputError, match='not a table of groups'):
        group_of(binary([0.1, 0.9], [0, 1]), 'sex', path)
