"""Words and colours of classes in reports are those of the schema; PSMM's stay as they were."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from realmnet.curation.class_groups import ClassGroup
from realmnet.curation.label_schema import PSMM, LabelSchema
from realmnet.evaluation.findings import Units, findings_of, refuse
from realmnet.reporting.contact_sheet import headline
from realmnet.reporting.findings_report import _units
from realmnet.reporting.picture_report import facts_html, scores_html
from realmnet.reporting.style import COLOURS, class_colours, in_words, readable

STAGES = LabelSchema(
    'PALM', ('N', 'H', 'P'), ('normal', 'high myopia', 'pathologic'),
    (ClassGroup('stage', ('N', 'H', 'P'), ordered=True),),
    diagnosis=('P',), disease='pathologic myopia',
    words=('normal fundus', 'high myopia', 'pathologic myopia'),
)  # fmt: skip
#: A scale of four, a choice without order, absent or present, and a class that stands alone.
MIXED = LabelSchema(
    'mixed', ('a0', 'a1', 'a2', 'a3', 'red', 'green', 'blue', 'clear', 'hazy', 'drusen'),
    groups=(
        ClassGroup('haze', ('clear', 'hazy'), ordered=True, title='Media <opacity>'),
        ClassGroup('level', ('a0', 'a1', 'a2', 'a3'), ordered=True),
        ClassGroup('camera colour', ('red', 'green', 'blue')),
    ),
)  # fmt: skip
MIXED_SCORES = [0.1, 0.2, 0.6, 0.1, 0.2, 0.7, 0.1, 0.3, 0.8, 0.9]


def plain(html):
    return re.sub(r'\s+', ' ', re.sub(r'<[^>]*>', ' ', html)).strip()


def told(schema, scores):
    finding = findings_of(np.array([scores]), schema)[0]
    about = SimpleNamespace(classes=schema.classes, label_schema=schema, thresholds=None)
    return finding, plain(facts_html(finding, about)), plain(scores_html(finding, about))


def test_psmm_keeps_its_colours():
    assert class_colours(PSMM) == [
        '#9ecae1', '#08519c', '#fdd9b5', '#fdae6b', '#f16913', '#c1370a', '#67000d'
    ]  # fmt: skip
    some = PSMM.subset(['A0', 'S1', 'S0'])
    assert class_colours(some) == [COLOURS[0], '#08519c', '#9ecae1']


def test_colours_follow_the_groups():
    assert class_colours(STAGES) == ['#fdd9b5', '#f16913', '#67000d']
    colours = class_colours(MIXED)
    assert colours[0] == '#fdd9b5' and colours[3] == '#67000d'
    red = [int(colour[1:3], 16) for colour in colours[:4]]
    assert red == sorted(red, reverse=True) and len(set(red)) == 4  # darker step by step
    assert colours[4:7] == list(COLOURS[4:7])
    assert colours[7:9] == ['#9ecae1', '#08519c']
    assert colours[9] == COLOURS[9 % 8]


def test_psmm_keeps_its_words():
    assert [readable(c, PSMM) for c in PSMM.classes] == [
        'S0 NoPS', 'S1 PS', 'A0 NoMRL', 'A1 TFO', 'A2 DCA', 'A3 PCA', 'A4 MA'
    ]  # fmt: skip
    assert in_words('A2', PSMM) == 'A2 diffuse chorioretinal atrophy'
    finding, facts, table = told(PSMM, [0.1, 0.9, 0, 0.2, 0.8, 0.1, 0])
    assert headline(finding) == 'A2 DCA · staphyloma'
    assert facts == (
        'Pathologic myopia yes score 0.90, yes from 0.50 '
        'Myopic maculopathy A2 diffuse chorioretinal atrophy score 0.80 '
        'Posterior staphyloma yes score 0.90 against 0.10'
    )
    assert table.endswith(
        'Of S0 and S1, and of A0 to A4, the class with the highest score counts as found; there '
        'the threshold is only for comparison.'
    )


def test_one_scale_is_told_in_its_own_words():
    finding, facts, table = told(STAGES, [0.2, 0.42, 0.38])
    assert finding.found == ('H',)
    assert headline(finding) == 'H high myopia'
    assert finding.uncertain == ('stage',)  # .42 is close to .38
    assert facts == (
        'Pathologic myopia no score 0.38, yes from 0.50 '
        'Stage H high myopia score 0.42 too close to call'
    )
    assert 'Of N, H and P, the class with the highest score' in table
    assert headline(refuse(finding, ['too dark'])) == 'ungradable'


def test_groups_of_every_kind_beside_a_class_of_its_own():
    finding, facts, table = told(MIXED, MIXED_SCORES)
    assert headline(finding) == 'a2 · green · haze · drusen .90'
    assert facts == (
        'Level a2 score 0.60 Camera colour green score 0.70 '
        'Media &lt;opacity&gt; yes score 0.80 against 0.30'
    )
    assert 'Of clear and hazy, and of a0 to a3, and of red, green and blue, the class' in table


@pytest.mark.parametrize(
    ('schema', 'header'),
    [
        (PSMM, 'patient pictures worst grade staphyloma pathologic myopia'),
        (STAGES, 'patient pictures worst stage pathologic myopia'),
        (MIXED, 'patient pictures worst level haze'),
    ],
)
def test_units_have_a_column_for_each_scale(schema, header):
    units = Units()
    scores = np.random.default_rng(0).random((2, schema.num_classes))
    for name, finding in zip(('1_left.jpg', '1_right.jpg'), findings_of(scores, schema),
                             strict=True):  # fmt: skip
        units.add(name, finding)
    page = ''.join(_units(units, 'patient'))
    assert plain(page.partition('<thead>')[2].partition('</thead>')[0]) == header
