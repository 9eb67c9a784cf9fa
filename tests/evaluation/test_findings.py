import math

import numpy as np
import pytest

from realmnet.curation.label_schema import PSMM, LabelSchema
from realmnet.errors import InputError
from realmnet.evaluation.decoding import decide
from realmnet.evaluation.diagnosis import eye_of, pathologic_myopia, patient_of
from realmnet.evaluation.findings import MARGIN, Units, findings_of, logit
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.thresholds import Thresholds

CLASSES = PSMM.classes
ODIR = LabelSchema('ODIR-5K', ('M',), diagnosis=('M',), disease='pathologic myopia')


def thresholds(image=0.5, eye=0.5, patient=0.5, rule='max', **values):
    values = dict.fromkeys(CLASSES, 0.5) | values
    cuts = {'image': image, 'eye': eye, 'patient': patient}
    return Thresholds(values, 'F1', list(CLASSES), diagnosis=cuts, diagnosis_rule=rule)


def one(scores, chosen=None, classes=CLASSES, **options):
    return findings_of(np.array([scores]), classes, chosen, **options)[0]


def test_hand_worked_picture():
    finding = one([0.7, 0.2, 0.01, 0.3, 0.9, 0.1, 0.02])
    assert finding.found == ('S0', 'A2')
    assert (finding.grade, finding.staphyloma) == ('A2', False)
    assert finding.diagnosis_score == 0.9
    assert finding.pathologic_myopia
    assert finding.uncertain == ()


def test_decisions_agree_with_decoding_and_diagnosis():
    scores = np.random.default_rng(0).uniform(size=(200, 7))
    found = decide(scores, CLASSES, consistent=True)
    names = np.array([str(i) for i in range(200)], dtype=object)
    predictions = Predictions(names, names, scores, np.zeros((200, 7), np.int8), CLASSES)
    for rule in ('max', 'noisy-or'):
        disease = pathologic_myopia(predictions, 'image', rule).scores[:, 0]
        findings = findings_of(scores, CLASSES, thresholds(image=0.8, rule=rule))
        for row, finding in enumerate(findings):
            assert finding.found == tuple(c for c, f in zip(CLASSES, found[row], strict=True) if f)
            assert finding.grade == finding.found[1]
            assert finding.diagnosis_score == pytest.approx(disease[row], abs=1e-12)
            assert finding.pathologic_myopia == (disease[row] >= 0.8)


def test_margin_is_a_probability_of_six_tenths_at_a_threshold_of_half():
    assert logit(0.6) - logit(0.5) == pytest.approx(MARGIN)
    assert one([0.5999], classes=ODIR).uncertain == ('M', 'pathologic myopia')
    assert one([0.6001], classes=ODIR).uncertain == ()
    assert one([0.4001], classes=ODIR).uncertain == ('M', 'pathologic myopia')
    assert one([0.3999], classes=ODIR).uncertain == ()


def test_margin_follows_a_low_threshold():
    chosen = Thresholds({'M': 0.02}, 'F1', ['M'], diagnosis={'image': 0.02})
    near = math.exp(logit(0.02) + 0.9 * MARGIN)
    far = math.exp(logit(0.02) + 1.1 * MARGIN)
    assert one([near / (1 + near)], chosen, ODIR).uncertain
    assert not one([far / (1 + far)], chosen, ODIR).uncertain
    # a margin of probabilities of .1 would call both uncertain
    assert far / (1 + far) < 0.12


def test_groups_are_uncertain_by_their_two_best():
    assert one([0.5, 0.55, 0.0, 0.0, 0.9, 0.0, 0.0]).uncertain == ('staphyloma',)
    assert one([0.0, 0.95, 0.0, 0.0, 0.5, 0.45, 0.0]).uncertain == ('grade',)


def test_diagnosis_that_the_labels_contradict_is_uncertain():
    chosen = thresholds(image=0.1)
    finding = one([0.9, 0.1, 0.0, 0.9, 0.3, 0.0, 0.0], chosen)
    assert (finding.grade, finding.staphyloma) == ('A1', False)
    assert finding.pathologic_myopia
    assert finding.uncertain == ('pathologic myopia',)


def test_scores_of_exactly_nought_and_one():
    finding = one([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0], thresholds(image=0.0, S1=1.0))
    assert finding.grade == 'A4'
    assert finding.uncertain == ()


def test_other_schemas_get_scores_and_decisions():
    finding = one([0.9, 0.1, 0.7], classes=['N', 'D', 'G'])
    assert finding.found == ('N', 'G')
    assert finding.grade is finding.staphyloma is finding.pathologic_myopia is None
    chosen = Thresholds({'N': 0.95, 'M': 0.2}, 'F1', ['N', 'M'], diagnosis={'image': 0.3})
    schema = LabelSchema('two', ('N', 'M'), diagnosis=('M',))
    finding = one([0.9, 0.25], chosen, schema)
    assert finding.found == ('M',)
    assert finding.pathologic_myopia is False


@pytest.mark.parametrize(
    ('scores', 'options', 'sentence'),
    [
        ([[0.1]], {}, 'shape'),
        ([[0.1] * 6 + [np.nan]], {}, 'NaN'),
        ([[0.1] * 6 + [3.0]], {}, 'percentage'),
        ([[0.1] * 7], {'margin': -1}, 'margin'),
    ],
)
def test_mistakes(scores, options, sentence):
    with pytest.raises(InputError, match=sentence):
        findings_of(np.array(scores), CLASSES, **options)


@pytest.mark.parametrize(
    ('name', 'patient', 'eye'),
    [
        ('ShenzhenEye-2415460_OD_2020-12-27_2.jpg', 'ShenzhenEye-2415460',
         'ShenzhenEye-2415460 OD 2020-12-27'),
        ('sub/LishuiR-027429_20230823@090310_R5.jpg', 'LishuiR-027429',
         'LishuiR-027429 OD 2023-08-23'),
        ('Zhongshan-33_3_OD3.jpg', 'Zhongshan-33', 'Zhongshan-33 OD'),
        ('SUSTech-129_10.jpg', 'SUSTech-129', None),
        ('0_left.jpg', '0', '0 OS'),
        ('a/0_left.jpg', 'a/0', 'a/0 OS'),
        ('Clinic-7_2020.jpg', None, None),
        ('photo.jpg', None, None),
        ('_OD_1.jpg', None, None),
        ('smith_anna_2020-01-02_OS_1.jpg', None, None),
    ],
)  # fmt: skip
def test_names_that_tell(name, patient, eye):
    assert patient_of(name) == patient
    if patient:
        assert eye_of(name, patient) == eye


def test_units_take_the_worst_picture():
    units = Units(thresholds(eye=0.8, patient=0.5))
    for name, scores in [
        ('P01_OD_1.jpg', [0.9, 0.1, 0, 0.9, 0.1, 0, 0]),
        ('P01_OD_2.jpg', [0.9, 0.1, 0, 0.1, 0.7, 0, 0]),
        ('P01_OS_1.jpg', [0.2, 0.6, 0.9, 0.1, 0, 0, 0]),
        ('SUSTech-1_1.jpg', [0.9, 0.1, 0.9, 0.1, 0, 0, 0]),
        ('x.jpg', [0.9, 0.1, 0.9, 0.1, 0, 0, 0]),
    ]:
        units.add(name, one(scores))
    right, left = units.findings('eye')
    assert (right.name, right.images, right.grade, right.staphyloma) == ('P01 OD', 2, 'A2', False)
    assert right.diagnosis_score == 0.7
    assert right.pathologic_myopia is False  # 0.7 is below the threshold of eyes
    assert not right.uncertain
    assert (left.name, left.grade, left.staphyloma) == ('P01 OS', 'A0', True)
    patients = list(units.findings('patient'))
    assert [(p.name, p.images, p.grade) for p in patients] == [
        ('P01', 3, 'A2'), ('SUSTech-1', 1, 'A0')
    ]  # fmt: skip
    assert [p.pathologic_myopia for p in patients] == [True, False]
    assert units.unnamed == {'eye': 2, 'patient': 1}
