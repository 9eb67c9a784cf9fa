"""Who and which picture a predictions file or a table of groups names, in whatever spelling."""

import json
import pickle
import unicodedata
import warnings

import numpy as np
import pandas as pd
import pytest

from realmnet.errors import InputError, InputWarning
from realmnet.evaluation.comparison import compare
from realmnet.evaluation.diagnosis import pathologic_myopia
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.groups import group_of
from realmnet.evaluation.predictions import (
    Predictions,
    read_predictions,
    same_images,
    write_predictions,
)

HEADER = 'filename,ID,N_score,M_score,N,M\n'
PLAIN = HEADER + 'a.jpg,007,0.1,0.9,0,1\nb.jpg,NA,0.8,0.2,1,0\n'


def predictions(filenames, patients, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(len(filenames))[:, None] % 2
    scores = np.clip(0.3 + 0.3 * truth + rng.normal(0, 0.2, truth.shape), 0, 1)
    return Predictions(
        np.array(filenames, object), np.array(patients, object), scores,
        truth.astype(np.int8), ('M',),
    )  # fmt: skip


def read(tmp_path, text):
    path = tmp_path / 'x.csv'
    path.write_bytes(text.encode())
    return read_predictions(path)


@pytest.mark.parametrize(
    'text',
    [
        PLAIN,
        '\ufeff' + PLAIN.replace('\n', '\r\n'),
        'sep=,\n' + PLAIN,
        PLAIN.replace('filename,ID', ' filename , ID'),
        PLAIN.replace('007', ' 007\u00a0').replace('a.jpg', './a.jpg'),
        PLAIN.replace('0,1\n', 'FALSE,TRUE\n').replace('1,0\n', 'True,false\n'),
        PLAIN + ',,,,,\n\n',
        ',' + PLAIN.replace('\na', '\n0,a').replace('\nb', '\n1,b'),
    ],
)
def test_tables_are_read_as_a_person_means_them(tmp_path, text):
    back = read(tmp_path, text)
    assert back.filenames.tolist() == ['a.jpg', 'b.jpg']
    assert back.patients.tolist() == ['007', 'NA']
    assert back.scores.tolist() == [[0.1, 0.9], [0.8, 0.2]]
    assert back.truth.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (PLAIN.replace('a.jpg', 'eye, 1.jpg').replace('b.jpg', 'eye, 2.jpg'), 'line 2: 7 fields'),
        (PLAIN.replace('b.jpg', 'eye, 2.jpg'), 'line 3: 7 fields'),
        (PLAIN.replace('\na', '\n0,a').replace('\nb', '\n1,b'), 'line 2: 7 fields'),
        (PLAIN.replace('N_score,M_score,N,M', 'N_score,N_score,N,N'), 'occur twice'),
        (PLAIN.replace('0.1', '10%'), r'line 2 \(a.jpg\): column N_score is .10%.*0.9 for 90 %'),
        (PLAIN.replace('0.2', '"0,2"'), r'line 3 \(b.jpg\): column M_score.*decimal point'),
        (PLAIN.replace('0.2', '-1.9'), r'line 3 \(b.jpg\).*logits'),
        (PLAIN.replace('0.2', '20'), r'line 3 \(b.jpg\).*percentage'),
        (PLAIN.replace('0.2', ''), r'line 3 \(b.jpg\).*NaN'),
        (PLAIN.replace('0.2', '0_2'), r'line 3 \(b.jpg\).*must hold numbers'),
        (PLAIN.replace('0.2', 'TRUE'), r'line 3 \(b.jpg\).*must hold numbers'),
        (PLAIN.replace('_score', '_Score'), "found 'N_Score', expected 'N_score'"),
        (PLAIN.replace('1,0\n', '1,\n'), r'line 3 \(b.jpg\): a truth is not 0 or 1'),
        (PLAIN.replace(',ID', ',id'), "no column ID.*found 'id', expected 'ID'"),
        (PLAIN.replace(',ID', ',patient'), "no column ID.*found 'patient'"),
        (PLAIN.replace(',ID', ',Patient_ID'), "no column ID.*found 'Patient_ID'"),
        (PLAIN.replace('filename', 'Filename'), "found 'Filename', expected 'filename'"),
        (PLAIN.replace('filename', 'image'), "found 'image', expected 'filename'"),
        (PLAIN.replace('NA', ''), 'line 3: ID is empty'),
        (PLAIN.replace('b.jpg', './a.jpg'), r'line 3 .*occurs twice, first on line 2'),
        (PLAIN.replace('b.jpg', 'a.jpg '), r'line 3 .*occurs twice'),
        (PLAIN.replace('007', '1.23457E+11'), 'line 2: ID .*digits are lost'),
        (PLAIN.replace(',', ';').replace('.', ','), "separated by ';'"),
    ],
)
def test_others_are_refused_with_line_and_remedy(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, text)
    assert '\n' not in str(error.value)


def test_a_file_without_patients_says_so(tmp_path):
    with pytest.warns(InputWarning, match='each picture counts as its own patient'):
        read(tmp_path, 'filename,M_score,M\n01.jpg,0.1,0\n1.jpg,0.9,1\n')


@pytest.mark.parametrize('suffix', ['.csv', '.json'])
def test_any_name_is_read_back(tmp_path, suffix):
    names = ['NA', 'nan', 'None', '=1+1', "'=1", "'007", '-5', 'Wang, Li', 'say "x"', '1e5', 'José']
    before = predictions([f'{i}/{n}.jpg' for i, n in enumerate(names)], names)
    write_predictions(before, tmp_path / f'x{suffix}')
    after = read_predictions(tmp_path / f'x{suffix}')
    assert after.patients.tolist() == names
    assert after.filenames.tolist() == before.filenames.tolist()
    np.testing.assert_array_equal(after.scores, before.scores)


def test_no_formula_is_written(tmp_path):
    write_predictions(predictions(['=1+1.jpg', 'b.jpg'], ['@p', 'q']), tmp_path / 'x.csv')
    cells = pd.read_csv(tmp_path / 'x.csv').astype(str).to_numpy().ravel()
    assert not [cell for cell in cells if cell.startswith(('=', '+', '@'))]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda record: record | {'ID': 7}, 'row 1: ID .7. is a number, which keeps no'),
        (lambda record: record | {'ID': 7.0}, 'is a number'),
        (lambda record: record | {'filename': 7}, 'row 1: filename .7. is a number'),
        (lambda record: record | {'ID': None}, 'row 1: ID is empty'),
        (lambda record: record | {'M_score': [1, 2]}, 'must hold numbers'),
        (lambda record: record | {'M_score': None}, 'NaN'),
    ],
)
def test_json_names_are_text(tmp_path, change, message):
    path = tmp_path / 'x.json'
    write_predictions(predictions(['a.jpg', 'b.jpg'], ['1', '2']), path)
    content = json.loads(path.read_text())
    content['predictions'][0] = change(content['predictions'][0])
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_predictions(path)


@pytest.mark.parametrize('score', ['1' * 400, '[' * 100_000])
def test_json_that_is_too_much_is_refused_in_a_sentence(tmp_path, score):
    path = tmp_path / 'x.json'
    row = f'{{"filename": "a.jpg", "ID": "1", "M_score": {score}, "M": 1}}'
    path.write_text(f'{{"classes": ["M"], "predictions": [{row}]}}')
    with pytest.raises(InputError, match=r'x\.json'):
        read_predictions(path)


def test_a_key_that_stands_twice_in_json_is_refused(tmp_path):
    path = tmp_path / 'x.json'
    path.write_text(
        '{"predictions": [{"filename": "a", "ID": "1", "ID": "2", "M_score": 1, "M": 1}]}'
    )
    with pytest.raises(InputError, match=r"not a predictions file .*key 'ID' stands twice"):
        read_predictions(path)


def dump(path, samples):
    path.write_bytes(pickle.dumps([dict(pred_score=[0.2], gt_score=[1]) | s for s in samples]))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', InputWarning)
        return read_predictions(path, ['M']).filenames.tolist()


@pytest.mark.parametrize(
    ('paths', 'names'),
    [
        (['data/siteA/1.jpg', 'data/siteB/1.jpg'], ['siteA/1.jpg', 'siteB/1.jpg']),
        (['data/1.jpg', 'data/siteB/1.jpg'], ['1.jpg', 'siteB/1.jpg']),
        (['/x/data/1.jpg', '/x/data/2.jpg'], ['1.jpg', '2.jpg']),
        (['data\\A\\1.jpg', 'data\\B\\1.jpg'], ['A/1.jpg', 'B/1.jpg']),
        (['/x/1.jpg', 'y/1.jpg'], ['/x/1.jpg', 'y/1.jpg']),
        (['1.jpg', '2.jpg'], ['1.jpg', '2.jpg']),
    ],
)
def test_pictures_of_two_sites_in_a_dump(tmp_path, paths, names):
    assert dump(tmp_path / 'x.pkl', [{'img_path': path} for path in paths]) == names


def test_the_same_picture_twice_in_a_dump_is_refused(tmp_path):
    with pytest.raises(InputError, match=r'prediction 2 .*occurs twice'):
        dump(tmp_path / 'x.pkl', [{'img_path': 'x/1.jpg'}, {'img_path': './x//1.jpg'}])


NAMES = [f'{i}.jpg' for i in range(8)]
PATIENTS = ['001', '001', '002', '002', '003', '003', '004', '004']


def test_spaces_do_not_make_patients(tmp_path):
    frame = predictions(NAMES, PATIENTS).frame()
    frame.assign(ID=[f'{p}{" " * (i % 3)}' for i, p in enumerate(PATIENTS)]).to_csv(
        tmp_path / 'x.csv', index=False
    )
    evaluation = evaluate(read_predictions(tmp_path / 'x.csv'), bootstrap=20)
    assert evaluation.settings['patients'] == 4


def test_patients_that_look_alike_are_said_and_never_pooled(tmp_path):
    half = [p if i % 2 else p.lstrip('0') for i, p in enumerate(PATIENTS)]
    write_predictions(predictions(NAMES, half), tmp_path / 'x.csv')
    with pytest.warns(InputWarning, match="patients '001' and '1'"):
        model = read_predictions(tmp_path / 'x.csv').with_diagnosis(['M'])
    for pool in (
        lambda: evaluate(model, bootstrap=20),
        lambda: evaluate(model, bootstrap=0),
        lambda: pathologic_myopia(model, 'patient'),
        lambda: pathologic_myopia(model, 'eye'),
        lambda: compare(model, model, 20),
    ):
        with pytest.raises(InputError, match="patients '001' and '1'"):
            pool()
    evaluate(model, bootstrap=20, by='image', diagnosis='')


def test_pictures_without_patients_may_look_alike():
    names = ['1', '01', '001', '2', '02', '3', '4', '5']
    assert evaluate(predictions(names, names), bootstrap=0).settings['images'] == 8


def test_two_models_spell_one_picture_differently():
    accents = unicodedata.normalize('NFD', 'é.jpg')
    one = predictions(['a.jpg', 'x/b.jpg', 'é.jpg'], ['1', '2', 'é'])
    other = Predictions(
        np.array([accents, 'x//b.jpg', './a.jpg'], object), np.array(['é', '2', ' 1'], object),
        one.scores[::-1], one.truth[::-1], one.classes,
    )  # fmt: skip
    np.testing.assert_array_equal(same_images(one, other)[1].scores, one.scores)


def test_two_models_that_do_not_agree_on_names():
    one = predictions(['a.jpg', 'b.jpg'], ['007', '2'])
    with pytest.raises(InputError, match=r"'007' and '7'"):
        same_images(one, predictions(['a.jpg', 'b.jpg'], ['7', '2']))
    with pytest.raises(InputError, match=r"a\.jpg \(the other has 'A\.jpg'\)"):
        same_images(one, predictions(['A.jpg', 'b.jpg'], ['007', '2']))
    with pytest.raises(InputError, match='twice'):
        same_images(one, predictions(['a.jpg', 'b.jpg', './a.jpg'], ['007', '2', '007']))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('ID,sex\n001,F\n001,M\n002,F\n', "line 3: ID '001' has the sex 'M', but 'F' on line 2"),
        ('ID,sex\n001,F\n1,M\n', "patients '001' and '1'"),
        ('ID,sex\n1,F\n2,F\n3,F\n4,F\n', "for instance 001 .*found '1'"),
        ('id,sex\n001,F\n', "found 'id', expected 'ID'"),
        ('ID,Sex\n001,F\n', "found 'Sex', expected 'sex'"),
        ('ID,sex\n1.23457E+11,F\n', 'line 2: .*digits are lost'),
        ('ID,sex\n001,F,x\n', 'line 2: 3 fields'),
        ('filename,sex\n0.jpg,F\n./0.jpg,M\n', "line 3: filename '0.jpg' has the sex 'M'"),
    ],
)
def test_tables_of_groups_that_contradict_themselves(tmp_path, text, message):
    (tmp_path / 'g.csv').write_text(text)
    with pytest.raises(InputError, match=message):
        group_of(predictions(NAMES, PATIENTS), 'sex', tmp_path / 'g.csv')


def test_tables_of_groups_name_patients_in_any_spelling_of_spaces(tmp_path):
    path = tmp_path / 'g.csv'
    path.write_text('sep=,\n ID ,sex\n001 ,F\n 002,M\n003,F\n003, F\n\n004,M\n')
    groups = group_of(predictions(NAMES, PATIENTS), 'sex', path)
    assert groups.tolist() == ['F', 'F', 'M', 'M', 'F', 'F', 'M', 'M']
    path.write_text('ID,sex\n001,F\n002,f\n003,F\n004,M\n')
    with pytest.warns(InputWarning, match="groups 'F' and 'f'"):
        group_of(predictions(NAMES, PATIENTS), 'sex', path)
