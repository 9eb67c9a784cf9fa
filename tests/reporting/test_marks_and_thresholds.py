"""Files that stand alone say that pictures are synthetic, and figures decide as their table."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from realmnet.curation.label_table import read_label_table
from realmnet.curation.synthetic_marks import MARK
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.findings import findings_of
from realmnet.evaluation.predictions import Predictions, read_predictions, write_predictions
from realmnet.evaluation.tables import FORMATS
from realmnet.evaluation.thresholds import Thresholds
from realmnet.reporting.confusion import confusion_figure
from realmnet.reporting.contact_sheet import draw_sheet
from realmnet.reporting.curves import calibration_curves, ranking_curves
from realmnet.reporting.dataset_report import dataset_contents, write_report
from realmnet.reporting.mistakes import confident_mistakes, mistakes_figure
from realmnet.reporting.sheet import prediction_sheet
from realmnet.reporting.summary import forest_figure
from realmnet.reporting.tables import Table

CUTS = {'S0': 0.2, 'S1': 0.81, 'A0': 0.3, 'A1': 0.4, 'A2': 0.55, 'A3': 0.1, 'A4': 0.9}


def predictions_of(root, seed=0):
    """Scores drawn for the test pictures of a synthetic data set."""
    table = read_label_table(root / 'ImageSets' / 'Main' / 'test.csv')
    noise = np.random.default_rng(seed).normal(size=table.labels.shape)
    scores = 1 / (1 + np.exp(-(2 * table.labels - 1 + noise)))
    return Predictions(table.filenames, table.patients, scores, table.labels.astype(np.int8),
                       table.schema.classes)  # fmt: skip


def anonymous(predictions):
    """The same with names of a real source."""
    names, patients = (
        np.array([str(v).replace('-9999000', '-') for v in column], dtype=object)
        for column in (predictions.filenames, predictions.patients)
    )
    return Predictions(names, patients, predictions.scores, predictions.truth, predictions.classes)


@pytest.fixture(scope='module')
def model(synthetic_psmm):
    return predictions_of(synthetic_psmm)


@pytest.fixture(scope='module')
def chosen(model):
    return Thresholds(CUTS, 'youden', list(model.classes), 'dev.csv', 321)


def texts(figure, kind):
    return ' '.join(t.get_text().replace('\n', ' ') for t in figure.texts if t.get_gid() == kind)


@pytest.fixture(scope='module')
def figures(model, synthetic_psmm, chosen):
    return figures_of(model, synthetic_psmm / 'JPEGImages', chosen)


def figures_of(model, folder, chosen):
    return {
        'roc': ranking_curves({'m': model}, 'roc', {'m': chosen}),
        'pr of two': ranking_curves({'m': model, 'n': model}, 'pr', {'m': chosen, 'n': chosen}),
        'calibration': calibration_curves({'m': model}),
        'confusion': confusion_figure(model),
        'forest': forest_figure(
            {'m': evaluate(model, 20, thresholds=chosen, diagnosis='')}, model.schema
        ),
        'mistakes': mistakes_figure(model, folder, 2, thresholds=chosen),
        'sheet': prediction_sheet(model, folder, 4, thresholds=chosen),
    }


# ---------------------------------------------------------------- marks


def test_every_table_and_figure_of_a_synthetic_root_is_marked(synthetic_psmm, tmp_path):
    write_report(synthetic_psmm, tmp_path / 'out')
    written = [p for p in (tmp_path / 'out').iterdir() if p.suffix in ('.md', '.tex', '.csv')]
    assert len(written) >= 16
    for path in written:
        assert 'SYNTHETIC' in path.read_text(), path.name
    for path in written:
        if path.suffix == '.csv':  # in every row: a part of the table stands alone, too
            assert all(line.endswith(',SYNTHETIC') for line in path.read_text().splitlines()[1:])
    for figure in dataset_contents(synthetic_psmm)[1].values():
        assert texts(figure, 'synthetic') == MARK


def test_roots_made_before_are_known_by_their_record(synthetic_psmm, tmp_path):
    root = tmp_path / 'old'
    shutil.copytree(synthetic_psmm / 'ImageSets', root / 'ImageSets')
    for path in root.rglob('*.csv'):
        path.write_text(path.read_text().replace('-9999000', '-'))
    tables, figures = dataset_contents(root)
    assert not any('SYNTHETIC' in t.title for t in tables)
    assert not any(texts(f, 'synthetic') for f in figures.values())
    shutil.copy(synthetic_psmm / 'synthetic.json', root)
    tables, figures = dataset_contents(root)
    assert all(t.title.startswith('[SYNTHETIC] ') for t in tables)
    assert all(texts(f, 'synthetic') for f in figures.values())


@pytest.mark.parametrize('form', FORMATS)
def test_evaluations_are_marked_in_every_form(model, form):
    assert 'SYNTHETIC' in evaluate(model, 0).table(form)
    assert 'SYNTHETIC' not in evaluate(anonymous(model), 0).table(form)
    if form == 'latex':  # printed, not only a comment
        rows = [line for line in evaluate(model, 0).table(form).splitlines() if '&' in line]
        assert all(line.endswith((r'& SYNTHETIC \\', r'& data \\')) for line in rows)


def test_predictions_say_it_by_their_names_and_in_json(model, tmp_path):
    for suffix in ('csv', 'json'):
        write_predictions(model, tmp_path / f'x.{suffix}')
        assert read_predictions(tmp_path / f'x.{suffix}').synthetic
    assert json.loads((tmp_path / 'x.json').read_text())['notice'] == MARK
    # Old names: the file alone says it where it was told when written.
    old = anonymous(model)
    write_predictions(old, tmp_path / 'old.json')
    assert not read_predictions(tmp_path / 'old.json').synthetic
    old.info['notice'] = MARK
    write_predictions(old, tmp_path / 'old.json')
    assert read_predictions(tmp_path / 'old.json').synthetic


def test_figures_are_marked(figures, model, chosen, tmp_path):
    for name, figure in figures.items():
        assert texts(figure, 'synthetic') == MARK, name
    real = anonymous(model)
    for name in real.filenames:
        Image.new('RGB', (20, 12)).save(tmp_path / name)
    assert not texts(ranking_curves({'m': real}, 'roc'), 'synthetic')
    assert not texts(mistakes_figure(real, tmp_path, 2), 'synthetic')
    (tmp_path / 'synthetic.json').touch()  # names of a set made before: its folder says it
    assert texts(mistakes_figure(real, tmp_path, 2), 'synthetic')
    assert texts(prediction_sheet(real, tmp_path, 2), 'synthetic')


def test_contact_sheets_are_marked(model):
    (finding,) = findings_of(model.scores[:1], model.classes, None)
    heads = [
        np.asarray(draw_sheet([Path('none.jpg')], [(name, finding, '')], 'x'))[:36, 125:]
        for name in ('SUSTech-999900034_2.jpg', 'SUSTech-34_2.jpg')
    ]
    assert (heads[0] != 255).any()
    assert (heads[1] == 255).all()


def test_marks_of_sweeps_reach_their_csv():
    table = Table('t', '[SYNTHETIC, QUICK] Table A7', ['a'], [['1']])
    assert table.to_csv() == 'a,data\n1,"SYNTHETIC, QUICK"\n'


# ---------------------------------------------------------------- thresholds


def test_captions_name_the_thresholds_of_the_table(figures, model, chosen):
    note = evaluate(model, 0, thresholds=chosen).note_of_thresholds
    for name in ('roc', 'pr of two', 'mistakes', 'sheet', 'forest'):
        caption = texts(figures[name], 'caption')
        assert note.rstrip('.') in caption, name
        if name != 'forest':  # its table gives the rule and not the values
            assert 'S1\u00a0.810' in caption, name
    for name in ('calibration', 'confusion'):
        assert 'o threshold is used' in texts(figures[name], 'caption')


def test_dots_of_curves_are_the_numbers_of_the_table(model, chosen):
    table = evaluate(model, 0, thresholds=chosen)
    figure = ranking_curves({'m': model}, 'roc', {'m': chosen})
    dots = [line for line in figure.axes[0].get_lines() if line.get_marker() == 'o']
    names = [c for c, column in zip(model.classes, model.truth.T, strict=True) if column.mean() > 0]
    assert len(dots) == len(names)
    for dot, name in zip(dots, names, strict=True):
        assert dot.get_ydata()[0] == pytest.approx(table.value('recall', name).value)
        assert 1 - dot.get_xdata()[0] == pytest.approx(table.value('specificity', name).value)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend[-1] == f'mean  {table.value("AUROC").value:.3f}'


def test_mistakes_are_the_wrong_decisions_of_the_table(model, chosen):
    cuts = np.array([CUTS[c] for c in model.classes])
    wrong = (model.scores >= cuts) != (model.truth == 1)
    found = confident_mistakes(model, 10**6, 10**6, chosen)
    assert sorted(found) == sorted(map(tuple, np.argwhere(wrong).tolist()))
    hamming = evaluate(model, 0, thresholds=chosen).value('hamming').value
    assert len(found) / wrong.size == pytest.approx(hamming)


def test_a_score_on_the_threshold_counts_as_in_the_table():
    names = np.array(['a', 'b'], dtype=object)
    one = Predictions(names, names, np.array([[0.3], [0.3]]), np.array([[0], [1]]), ('M',))
    assert confident_mistakes(one, thresholds=0.3) == [(0, 0)]  # claimed; b is right
    assert confident_mistakes(one) == [(1, 0)]  # at .5, b is missed
    # .2 below a threshold of .8 is a quarter of the way, .1 above it half.
    two = Predictions(names, names, np.array([[0.6], [0.9]]), np.array([[1], [0]]), ('M',))
    assert confident_mistakes(two, thresholds=0.8) == [(1, 0), (0, 0)]


def test_numbers_without_interval_are_open_circles(model):
    model = Predictions(model.filenames, model.patients.copy(), model.scores, model.truth,
                        model.classes)  # fmt: skip
    model.patients[model.truth[:, 1] == 1] = 'SUSTech-1'
    figure = forest_figure({'m': evaluate(model, 20, diagnosis='')}, model.schema)
    rings = [
        point
        for axes in figure.axes
        for line in axes.get_lines()
        if line.get_gid() == 'no interval'
        for point in line.get_xdata()
    ]
    assert rings
    assert 'Open circle: no interval (' in texts(figure, 'caption')
    assert 'one patient' in texts(figure, 'caption')
