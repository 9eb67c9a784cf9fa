"""A schema that would be misread is refused with place and remedy; a good one travels."""

import json

import pytest

from realmnet.curation.class_groups import ClassGroup
from realmnet.curation.label_schema import PSMM, LabelSchema, get_schema
from realmnet.curation.schema_file import read_schema
from realmnet.errors import LabelTableError

NHP = ('N', 'H', 'P')


def group(classes=NHP, name='stage', **fields):
    return dict(name=name, classes=list(classes), **fields)


@pytest.mark.parametrize(
    ('fields', 'sentence'),
    [
        (dict(groups=[group('NH'), group('HP', 'other')]),
         r"class 'H' is in two groups, 'stage' and 'other'; leave it in one"),
        (dict(groups=[group('N')]), r"group 'stage' has the classes \['N'\], expected two or more"),
        (dict(groups=[group('NN')]), r"has the classes \['N', 'N'\], expected two or more, each"),
        (dict(groups=[group('NX')]), r"group 'stage' names unknown classes \['X'\]; the classes"),
        (dict(groups=[group('NH'), group('PQ')], classes=[*NHP, 'Q']),
         "group name 'stage' is taken by another group or a class; rename the group"),
        (dict(groups=[group(name='N')]), "group name 'N' is taken by another group or a class"),
        (dict(disease='glaucoma'), r"the disease 'glaucoma' names no class; name those that mean"),
        (dict(diagnosis=['X'], disease='glaucoma'), r"diagnosis names \['X'\]; name each once"),
        (dict(diagnosis=['N', 'N']), 'name each once, of the classes'),
        (dict(diagnosis={'N': 1}), 'diagnosis must be a list of names'),
        (dict(diagnosis_rule='mean'), "diagnosis_rule 'mean' is unknown; use one of"),
        (dict(groups=[group(exclusive=False, activation='softmax')]),
         r"softmax makes the scores .* add up to 1, but .* set exclusive=True, or activation="),
        (dict(groups=[group(activation='relu')]), "activation 'relu' is unknown; use one of"),
        (dict(groups=[group(ordered='yes')]), "ordered must be true or false, got 'yes'"),
        (dict(groups=[group(order=True)]), r"cannot be read; write dict\(name=..., classes="),
        (dict(groups=group()), r'expected a list of groups; write \[...\]'),
        (dict(groups={'NHP'}), r'expected a list of groups; write \[...\]'),
        (dict(classes={'N', 'H', 'P'}), 'classes must be a list of names'),
        (dict(groups=[dict(name='s', classes={'N', 'H'})]), 'must be a list of names'),
        (dict(groups=[group(name='eye')]), "the group 'eye' is the name of another column; rename"),
        (dict(groups=[group(name='a;b')]), "the group 'a;b' has ';', which separates names"),
        (dict(groups=[group(name='=1+1')]), 'makes a spreadsheet calculate; rename it'),
        (dict(groups=[group(name='x_score')]), "ends in '_score'"),
        (dict(groups=[group(name='a\n')]), 'must be text on one line'),
        (dict(diagnosis=['P'], disease='found'), "the disease 'found' is the name of another"),
        (dict(diagnosis=['P'], disease='x' * 65), 'has 65 characters'),
        (dict(diagnosis=['P'], disease='stage', groups=[group()]), 'would have one column'),
        (dict(words=['a']), '1 descriptions in words for 3 classes; give one each or none'),
        (dict(modality='x' * 501), 'at most 500 characters'),
        (dict(colour='red'), "it has no field 'colour'; it takes name, classes"),
        (dict(exclusive=[['N', 'H']], groups=[group()]), 'has both groups and exclusive'),
        (dict(allow_empty='yes'), "allow_empty must be true or false, got 'yes'"),
    ],
)  # fmt: skip
def test_bad_schemas_are_one_sentence(fields, sentence, tmp_path):
    content = dict(name='PALM', classes=list(NHP)) | fields
    with pytest.raises(LabelTableError, match=sentence) as caught:
        get_schema(content)
    assert '\n' not in str(caught.value)
    try:
        text = json.dumps(content)
    except TypeError:  # a set cannot stand in a file
        return
    (tmp_path / 's.json').write_text(text)
    with pytest.raises(LabelTableError, match=rf's\.json: .*{sentence}'):
        read_schema(str(tmp_path / 's.json'))


def test_a_schema_file_says_which_file():
    with pytest.raises(LabelTableError, match=r'x\.json'):
        read_schema('x.json')


def test_exclusive_groups_without_a_name_stay_readable():
    schema = get_schema(dict(name='PALM', classes=NHP, exclusive=[['N', 'H', 'P']]))
    assert schema.exclusive == (NHP,)
    assert (schema.decisions, schema.graded) == ((), None)


@pytest.mark.parametrize(
    'schema',
    [
        PSMM,
        LabelSchema('plain', ('a', 'b'), allow_empty=True),
        LabelSchema(
            'PALM', NHP, ('normal', 'high myopia', 'pathologic'), diagnosis=('P',),
            disease='pathologic myopia', diagnosis_rule='noisy-or', words=('no', 'some', 'much'),
            groups=(ClassGroup('stage', NHP, ordered=True, activation='softmax', title='Stage'),),
            modality='fundus pictures', intended_use='Research',
        ),
    ],
)  # fmt: skip
def test_a_schema_comes_back_from_json(schema):
    text = json.dumps(schema.to_fields())
    assert get_schema(json.loads(text)) == schema
    assert get_schema(json.loads(json.dumps(schema.to_info()))['label_schema']) == schema


def test_columns_and_codes():
    assert [group.name for group in PSMM.decisions] == ['grade', 'staphyloma']
    assert (PSMM.disease_code, PSMM.disease_column) == ('PM', 'pathologic_myopia')
    one = LabelSchema('x', ('a',), diagnosis=('a',), disease='edema (diabetic) of retina')
    assert (one.disease_code, one.disease_column) == ('EOR', 'edema_(diabetic)_of_retina')
    assert LabelSchema('x', ('a',), diagnosis=('a',)).disease_code == 'disease'
    column = LabelSchema('x', ('a',), diagnosis=('a',), disease='ischaemic disease')
    assert column.disease_code == 'ischaemic disease'  # ID would be another column
    assert LabelSchema('x', ('a',)).disease_column == ''
