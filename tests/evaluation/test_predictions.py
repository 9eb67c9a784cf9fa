import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from realmnet.errors import InputError
from realmnet.evaluation.dumped import read_dump
from realmnet.evaluation.predictions import (
    Predictions,
    read_predictions,
    same_images,
    write_predictions,
)


def example(classes=('a', 'b')):
    rng = np.random.default_rng(0)
    names = np.array(['P-1_1.jpg', 'P-1_2.jpg', 'P-2_1.jpg'], dtype=object)
    return Predictions(
        names,
        np.array(['P-1', 'P-1', 'P-2'], dtype=object),
        rng.random((3, len(classes))),
        rng.integers(0, 2, (3, len(classes))).astype(np.int8),
        tuple(classes),
        {'checkpoint': 'epoch_1.pth', 'seed': 42},
    )


@pytest.mark.parametrize('suffix', ['.csv', '.json'])
def test_written_predictions_are_read_back_bit_by_bit(tmp_path, suffix):
    write_predictions(example(), tmp_path / f'x{suffix}')
    back = read_predictions(tmp_path / f'x{suffix}')
    np.testing.assert_array_equal(back.scores, example().scores)
    np.testing.assert_array_equal(back.truth, example().truth)
    assert back.filenames.tolist() == example().filenames.tolist()
    assert back.patients.tolist() == example().patients.tolist()
    assert back.classes == ('a', 'b')
    if suffix == '.json':
        assert back.info == {'checkpoint': 'epoch_1.pth', 'seed': 42}


def test_bare_csv_without_patients(tmp_path):
    path = tmp_path / 'x.csv'
    path.write_text('filename,M_score,M\n001.jpg,0.25,0\n002.jpg,0.75,1.0\n')
    back = read_predictions(path)
    assert back.patients.tolist() == ['001.jpg', '002.jpg']
    assert back.truth.tolist() == [[0], [1]]


def test_columns_are_found_by_name_and_psmm_gets_its_order(tmp_path):
    frame = example(('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')).frame()
    frame[list(frame.columns[::-1])].to_csv(tmp_path / 'x.csv', index=False)
    back = read_predictions(tmp_path / 'x.csv')
    assert back.classes == ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')
    np.testing.assert_array_equal(back.scores[:, 3], frame['A1_score'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda f: f.assign(a_score=[3.2, -1.0, 0.5]), 'logits.*sigmoid'),
        (lambda f: f.assign(a_score=[0.1, np.nan, 0.5]), r'P-1_2.jpg.*NaN'),
        (lambda f: f.assign(a=[0, 2, 1]), 'not 0 or 1'),
        (lambda f: f.assign(a_score=['x', '1', '0']), 'must hold numbers'),
        (lambda f: f.drop(columns='a'), r"\['a'\] missing"),
        (lambda f: f.drop(columns=['a_score', 'b_score']), 'missing'),
        (lambda f: f.assign(filename=['q', 'r', 'q']), 'occurs twice'),
        (lambda f: f.iloc[:0], 'no prediction'),
        (lambda f: f.assign(ID=['P', None, 'P']), 'ID is empty'),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path, change, message):
    change(example().frame()).to_csv(tmp_path / 'x.csv', index=False)
    with pytest.raises(InputError, match=message) as caught:
        read_predictions(tmp_path / 'x.csv')
    assert '\n' not in str(caught.value)


def test_other_mistakes_are_refused(tmp_path):
    with pytest.raises(InputError, match='no such predictions file'):
        read_predictions(tmp_path / 'none.csv')
    (tmp_path / 'x.json').write_text('{"no": 1}')
    with pytest.raises(InputError, match='not a predictions file'):
        read_predictions(tmp_path / 'x.json')
    (tmp_path / 'l.json').write_text('[1, 2]')
    with pytest.raises(InputError, match='not a predictions file'):
        read_predictions(tmp_path / 'l.json')
    write_predictions(example(), tmp_path / 'y.csv')
    with pytest.raises(InputError, match='missing'):
        read_predictions(tmp_path / 'y.csv', ['a', 'z'])
    with pytest.raises(InputError, match='holds the classes'):
        read_predictions(tmp_path / 'y.csv', ['a'])
    with pytest.raises(InputError, match='written as'):
        write_predictions(example(), tmp_path / 'y.txt')


def test_same_images_puts_rows_and_columns_in_order():
    one = example()
    other = one.take(np.array([2, 0, 1]), [1, 0])
    back = same_images(one, other)[1]
    np.testing.assert_array_equal(back.scores, one.scores)
    assert back.classes == one.classes


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda p: p.take(np.array([0, 1])), '1 of A missing in B and 0'),
        (lambda p: p.take(np.arange(3), [0]), 'has the classes'),
        (lambda p: Predictions(p.filenames, p.patients, p.scores, 1 - p.truth, p.classes), 'truth'),
        (lambda p: Predictions(p.filenames, p.filenames, p.scores, p.truth, p.classes), 'patient'),
        (lambda p: Predictions(np.array(['x', *p.filenames[1:]]), p.patients, p.scores, p.truth,
                               p.classes), '1 of A missing in B and 1'),
    ],
)  # fmt: skip
def test_predictions_that_cannot_be_compared_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        same_images(example(), change(example()), names=['A', 'B'])


def dump(path, samples):
    with path.open('wb') as file:
        pickle.dump(samples, file, protocol=2)


def samples(convert=np.asarray):
    return [
        {
            'filename': f'P-{i}.jpg',
            'patient': f'P-{i}',
            'img_shape': (64, 64),
            'pred_score': convert(np.float32([0.25, 0.5 + 0.1 * i])),
            'gt_score': convert(np.float32([1, 0])),
            'gt_label': convert(np.int64([0])),
        }
        for i in range(3)
    ]


def test_dump_of_arrays_is_read(tmp_path):
    dump(tmp_path / 'x.pkl', samples())
    back = read_predictions(tmp_path / 'x.pkl', ['a', 'b'])
    assert back.scores[2].tolist() == pytest.approx([0.25, 0.7])
    assert back.patients.tolist() == ['P-0', 'P-1', 'P-2']
    with pytest.raises(InputError, match='give the class names'):
        read_predictions(tmp_path / 'x.pkl')


def test_mmengines_dump_is_read_without_torch(tmp_path):
    torch = pytest.importorskip('torch')
    evaluator = pytest.importorskip('mmengine.evaluator')
    metric = evaluator.DumpResults(out_file_path=str(tmp_path / 'x.pkl'))
    metric.process(None, samples(torch.tensor))
    metric.compute_metrics(metric.results)
    code = (
        'import sys; from realmnet.evaluation.predictions import read_predictions;'
        f'p = read_predictions({str(tmp_path / "x.pkl")!r}, ["a", "b"]);'
        'print(p.scores[1].round(6).tolist(), "torch" in sys.modules)'
    )
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == '[0.25, 0.6] False'


@pytest.mark.parametrize('dtype', ['float32', 'float64', 'float16', 'int64', 'uint8', 'bool'])
def test_tensors_become_the_arrays_they_were(tmp_path, dtype):
    torch = pytest.importorskip('torch')
    array = np.arange(24).reshape(4, 6).astype(dtype)
    whole = torch.tensor(array)
    dump(tmp_path / 'x.pkl', [whole, whole[1:3, ::2], whole.T, whole[:0]])
    back = read_dump(tmp_path / 'x.pkl')
    for ours, expected in zip(back, [array, array[1:3, ::2], array.T, array[:0]], strict=True):
        np.testing.assert_array_equal(ours, expected)


class Command:
    """Unpickling it would run a command."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_code_in_a_dump_is_refused_and_not_run(tmp_path):
    marker = tmp_path / 'ran'
    for function, arguments in (
        (os.system, (f'touch {marker}',)),
        (eval, (f"open({str(marker)!r}, 'w')",)),
        (getattr, ('text', 'upper')),
    ):
        dump(tmp_path / 'x.pkl', [Command(function, *arguments)])
        with pytest.raises(InputError, match=r'refused.*could run code'):
            read_predictions(tmp_path / 'x.pkl')
    assert not marker.exists()


def test_code_inside_a_tensors_bytes_is_refused_and_not_run(tmp_path):
    storage = pytest.importorskip('torch.storage')
    marker = tmp_path / 'ran'
    inner = pickle.dumps(Command(os.system, f'touch {marker}'), protocol=2)
    dump(tmp_path / 'x.pkl', [Command(storage._load_from_bytes, inner)])
    with pytest.raises(InputError, match=r'refused.*could run code'):
        read_predictions(tmp_path / 'x.pkl')
    assert not marker.exists()


def test_tensor_that_claims_more_than_its_numbers_is_refused(tmp_path):
    torch = pytest.importorskip('torch')
    from torch._utils import _rebuild_tensor_v2

    class Greedy:
        def __init__(self, size, stride, offset=0):
            self.arguments = size, stride, offset

        def __reduce__(self):
            size, stride, offset = self.arguments
            storage = torch.zeros(4)._typed_storage()
            return _rebuild_tensor_v2, (storage, offset, size, stride, False, {})

    for greedy in (Greedy((4,), (100,)), Greedy((2,), (1,), 3), Greedy((2,), (-1,), 1),
                   Greedy((10**12,), (0,))):  # fmt: skip
        dump(tmp_path / 'x.pkl', [greedy])
        with pytest.raises(InputError, match='not a readable dump'):
            read_dump(tmp_path / 'x.pkl')


def test_broken_dumps_are_refused(tmp_path):
    (tmp_path / 'x.pkl').write_bytes(b'not a pickle')
    with pytest.raises(InputError, match='not a readable dump'):
        read_predictions(tmp_path / 'x.pkl')
    dump(tmp_path / 'x.pkl', {'a': 1})
    with pytest.raises(InputError, match='not a list'):
        read_predictions(tmp_path / 'x.pkl')
    dump(tmp_path / 'x.pkl', [{'pred_score': [0.1], 'filename': 'x'}])
    with pytest.raises(InputError, match=r'gt_score.*missing'):
        read_predictions(tmp_path / 'x.pkl')


def test_byte_order_mark_does_not_matter(tmp_path):
    frame = pd.DataFrame({'filename': ['a'], 'M_score': [0.5], 'M': [1]})
    frame.to_csv(tmp_path / 'x.csv', index=False, encoding='utf-8-sig')
    assert len(read_predictions(tmp_path / 'x.csv')) == 1


def test_seven_classes_that_are_not_psmms_are_not_taken_for_them(tmp_path):
    dump = [
        {'filename': f'{i}.jpg', 'pred_score': np.full(7, 0.5), 'gt_score': np.eye(7)[i]}
        for i in range(7)
    ]
    path = tmp_path / 'odir.pkl'
    path.write_bytes(pickle.dumps(dump))
    with pytest.raises(InputError, match='exactly one of'):
        read_predictions(path)
    assert read_predictions(path, 'NDGCAHM').classes == tuple('NDGCAHM')


@pytest.mark.parametrize(
    'text',
    ['[]', '{"classes": 5, "predictions": []}', '{"checkpoint": 5, "predictions": []}'],
)
def test_json_of_another_shape_is_refused(tmp_path, text):
    path = tmp_path / 'x.json'
    path.write_text(text)
    with pytest.raises(InputError, match='not a predictions file'):
        read_predictions(path)


def test_what_is_no_text_is_refused_without_printing_it(tmp_path):
    path = tmp_path / 'x.csv'
    path.write_bytes(b'\xff\xfe' * 1000)
    with pytest.raises(InputError, match='not a predictions file') as error:
        read_predictions(path)
    assert len(str(error.value)) < 300
