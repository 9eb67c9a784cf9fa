import numpy as np
import pytest
from PIL import Image

from realmnet.errors import InputError
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.predictions import Predictions
from realmnet.reporting.curves import calibration_curves, ranking_curves
from realmnet.reporting.mistakes import confident_mistakes, mistakes_figure
from realmnet.reporting.style import COLOURS, save
from realmnet.reporting.summary import forest_figure

CLASSES = ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')


def example(seed=0, n=120):
    rng = np.random.default_rng(0)
    truth = np.zeros((n, 7), np.int8)
    truth[np.arange(n), rng.integers(0, 2, n)] = 1
    truth[np.arange(n), 2 + rng.integers(0, 5, n)] = 1
    noise = np.random.default_rng(seed).normal(size=(n, 7))
    scores = 1 / (1 + np.exp(-(3 * truth - 1.5 + noise)))
    names = np.array([f'P-{i}.png' for i in range(n)], dtype=object)
    who = np.array([f'P-{i // 3}' for i in range(n)], dtype=object)
    return Predictions(names, who, scores, truth, CLASSES)


@pytest.mark.parametrize('sets', [1, 2])
@pytest.mark.parametrize('kind', ['roc', 'pr', 'calibration', 'forest'])
def test_figures_are_drawn_and_saved(tmp_path, kind, sets):
    models = {f'model {i}': example(i) for i in range(sets)}
    if kind == 'calibration':
        figure = calibration_curves(models)
    elif kind == 'forest':
        done = {k: evaluate(m, 20, diagnosis='') for k, m in models.items()}
        figure = forest_figure(done, example().schema)
    else:
        figure = ranking_curves(models, kind)
    path = save(figure, tmp_path / 'sub' / f'{kind}.png', dpi=60)
    assert np.asarray(Image.open(path)).std() > 5


def test_curves_end_where_they_should_and_name_the_area():
    figure = ranking_curves({'m': example()}, 'roc')
    lines = [line for line in figure.axes[0].get_lines() if line.get_gid() == 'model']
    assert len(lines) == 7
    for line in lines:
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (0, 0)
        assert (line.get_xdata()[-1], line.get_ydata()[-1]) == (1, 1)
    area = np.trapezoid(lines[6].get_ydata(), lines[6].get_xdata())
    assert f'{area:.3f}' in lines[6].get_label()


def test_class_without_positives_has_no_curve():
    model = example()
    truth = model.truth.copy()
    truth[:, 6] = 0
    model = Predictions(model.filenames, model.patients, model.scores, truth, CLASSES)
    for kind in ('roc', 'pr'):
        line = [line for line in ranking_curves({'m': model}, kind).axes[0].get_lines()
                if line.get_gid() == 'model'][6]  # fmt: skip
        assert len(line.get_xdata()) == 0
        assert '–' in line.get_label()


def test_mistakes_are_the_worst_and_of_different_patients(tmp_path):
    model = example()
    found = confident_mistakes(model, 5)
    distance = [abs(model.scores[i] - 0.5) for i in found]
    assert distance == sorted(distance, reverse=True)
    assert all((model.scores[i] >= 0.5) != (model.truth[i] == 1) for i in found)
    assert len({model.patients[row] for row, _ in found}) == len(found)
    with pytest.raises(InputError, match=r'P-\d+\.png.*--images'):
        mistakes_figure(model, tmp_path, 3)
    for name in model.filenames:
        Image.new('RGB', (20, 12), (200, 80, 40)).save(tmp_path / name)
    save(mistakes_figure(model, tmp_path, 3), tmp_path / 'sheet.png', dpi=60)
    perfect = Predictions(model.filenames, model.patients, model.truth * 0.8 + 0.1, model.truth,
                          CLASSES)  # fmt: skip
    with pytest.raises(InputError, match='no mistake'):
        mistakes_figure(perfect, tmp_path)


def test_the_sheet_reads_pictures_as_everything_else_does(tmp_path, monkeypatch):
    """Upright by EXIF, and 16 bits by their stated range."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:10, :10] = (250, 120, 30)
    tags = Image.Exif()
    tags[0x0112] = 6
    turned = Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / 'exif.png', exif=tags.tobytes())
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 256).save(tmp_path / 'deep.png')
    model = Predictions(
        np.array(['exif.png', 'deep.png']), np.array(['1', '2']), np.array([[0.1], [0.2]]),
        np.array([[1], [1]]), ('N',),
    )  # fmt: skip
    shown = []
    monkeypatch.setattr('matplotlib.axes.Axes.imshow', lambda self, x: shown.append(np.asarray(x)))
    mistakes_figure(model, tmp_path, 2)
    assert (shown[0] == pixels).all()
    assert (shown[1] == pixels[..., :1]).all()


def test_colours_suffice_for_the_classes_of_odir():
    assert len(set(COLOURS)) == 8
