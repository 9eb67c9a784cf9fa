import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.text import Text
from outcome_samples import predictions

from realmnet.errors import InputError
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.metric_records import METRICS, columns_of
from realmnet.reporting.grid_figures import heat_map_pairs, radar_figure
from realmnet.reporting.measured import Entry, Estimate
from realmnet.reporting.style import save
from realmnet.reporting.summary import forest_figure
from realmnet.reporting.sweep_figures import RED, bar_figure, line_figure


def entry(name, value, published='', **more):
    number = {'F1': Estimate(value, value - 0.1, value + 0.05, 'patients')} if value else {}
    return Entry(name, more.pop('settings', {}), number, {'F1': published} if published else {},
                 'done' if value else 'not run', **more)  # fmt: skip


def texts(figure):
    return [t.get_text() for t in figure.findobj(Text) if t.get_text()]


def lines(axes, colour=None):
    return [line for line in axes.get_lines() if colour in (None, line.get_color())]


def test_bars_reach_the_values_and_have_their_intervals(tmp_path):
    entries = [entry('a', 0.6, '0.7'), entry('b', 0), entry('c', 0.8, '>0.5', chosen=True)]
    figure = bar_figure('Fig. 0', entries, ('F1',))
    (axes,) = figure.axes
    bars = list(axes.patches)
    assert [b.get_y() + b.get_height() for b in bars] == pytest.approx([0.6, 0.8])
    assert [b.get_x() + b.get_width() / 2 for b in bars] == pytest.approx([0, 2])
    segments = [c.get_segments()[0][:, 1] for c in axes.collections
                if isinstance(c, LineCollection)]  # fmt: skip
    np.testing.assert_allclose(segments, [[0.5, 0.65], [0.7, 0.85]])
    marks = {line.get_marker(): line.get_xydata()[0].tolist() for line in axes.get_lines()
             if line.get_marker() in ('D', '^')}  # fmt: skip
    assert marks == {'D': [0, 0.7], '^': [2, 0.5]}
    assert {'not run', 'a', 'b', 'c ★', 'Fig. 0', 'published'} <= set(texts(figure))
    save(figure, tmp_path / 'bars.png', dpi=50)


@pytest.mark.parametrize('metric', METRICS, ids=lambda metric: metric.name)
def test_every_metric_has_its_title_range_and_direction_in_figures(metric):
    name = columns_of((), [metric])[0].name
    low, high = metric.range(7)
    numbers = {0.2: (low + 0.01, low, low + 0.1), 0.8: (high - 0.01, high - 0.1, high)}
    entries = [
        Entry(str(x), {'x': x, 'y': 1}, {name: Estimate(*ends, 'patients')})
        for x, ends in numbers.items()
    ]
    figure = bar_figure('Fig. 0', entries, (name,))
    assert figure.axes[0].get_title().startswith((metric.title, metric.mean))
    assert figure.axes[0].get_title().endswith('↓') == (metric.better == 'less')
    bottom, top = figure.axes[0].get_ylim()
    assert low <= bottom < low + 0.01
    assert high <= top <= high * 1.1 + (metric.limits[1] is None)
    ours = heat_map_pairs('Fig. 0', entries, 'y', 'x', (name,)).axes[0].get_images()[0].get_array()
    assert ours[0].argmax() == (metric.better == 'greater')  # the best cell is the dark one


def test_every_class_metric_has_a_panel_of_the_forest():
    metrics = [m for m in METRICS if m.level == 'class']
    done = evaluate(predictions(), 10, diagnosis='')
    figure = forest_figure({'m': done}, predictions().schema, [m.name for m in metrics])
    titles = [axes.get_title() for axes in figure.axes]
    assert [t.split(' (')[0] for t in titles] == [m.title for m in metrics]
    assert titles[3] == 'AP (mean: mAP)'


def test_lines_mark_the_choice_and_what_did_not_run(tmp_path):
    entries = [entry(str(x), v, settings={'x': x, 'm': m}, chosen=(x, m) == (2, 'p'))
               for m, values in (('p', (0.5, 0.7, 0)), ('q', (0.4, 0.45, 0.6)))
               for x, v in zip((1, 2, 4), values, strict=True)]  # fmt: skip
    figure = line_figure('Fig. 0', entries, 'x', ('m',), ('F1',))
    axes = figure.axes[0]
    drawn = [line.get_xydata().tolist() for line in axes.get_lines()]
    assert [[1, 0.5], [2, 0.7]] in drawn
    assert [[1, 0.4], [2, 0.45], [4, 0.6]] in drawn
    star = [line for line in lines(axes, RED) if line.get_marker() == '*']
    assert star[0].get_xydata().tolist() == [[2, 0.7]]
    level = [line for line in lines(axes, RED) if line.get_marker() != '*']
    assert set(level[0].get_ydata()) == {0.7}
    crosses = [line.get_xdata().tolist() for line in axes.get_lines() if line.get_marker() == 'x']
    assert [4] in crosses
    assert {'p', 'q', 'not run', "the paper's choice"} <= set(texts(figure))
    save(figure, tmp_path / 'lines.png', dpi=50)


def test_bounds_are_dotted_and_published_values_dashed():
    entries = [entry(str(x), 0.1 * x, '0.3', settings={'x': x}) for x in (2, 4)]
    axes = line_figure('F', entries, 'x', metrics=('F1',), bounds=True).axes[0]
    dotted = [line.get_ydata() for line in axes.get_lines() if line.get_linestyle() == ':']
    np.testing.assert_allclose(dotted, [[0.1, 0.3], [0.25, 0.45]])
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == '--']
    assert dashed[0].get_ydata().tolist() == [0.3, 0.3]


def test_crowded_values_get_a_step_each():
    entries = [entry(str(x), 0.5, settings={'x': x}) for x in (0.1, 0.5, 0.99, 0.999)]
    axes = line_figure('F', entries, 'x', metrics=('F1',)).axes[0]
    assert axes.get_xticks().tolist() == [3, 2, 1, 0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ['.999', '.99', '.5', '.1']


def test_grey_lines_are_grey():
    entries = [entry(f'{x}{g}', 0.5, settings={'x': x, 'gamma_neg': g})
               for g in (2.0, 4.0) for x in (1, 2)]  # fmt: skip
    figure = line_figure('F', entries, 'x', ('gamma_neg',), ('F1',), grey=('gamma_neg', 2.0))
    colours = {line.get_label(): line.get_color() for line in figure.legends[0].get_lines()}
    red, green, blue = (int(colours['γ− 2'][i : i + 2], 16) for i in (1, 3, 5))
    assert red == green == blue
    assert colours['γ− 4'] == '#0072B2'


def test_a_setting_that_is_missing_is_named():
    with pytest.raises(InputError, match=r"cell a: has no setting 'z' .*'x': 1"):
        line_figure('F', [entry('a', 0.5, settings={'x': 1})], 'z')


def test_figures_without_any_result_say_so():
    entries = [entry('a', 0, settings={'x': 1}), entry('b', 0, settings={'x': 2})]
    assert 'nothing has run yet' in texts(bar_figure('F', entries))
    assert 'nothing has run yet' in texts(line_figure('F', entries, 'x'))


def test_synthetic_stands_in_the_title():
    figure = bar_figure('F', [entry('a', 0.5, data='synthetic')])
    assert '[SYNTHETIC] F' in texts(figure)


def test_heat_maps_put_every_cell_in_its_place():
    entries = [
        entry(f'{p} {n}', 0 if (p, n) == (1, 2) else p / 10 + n / 100, f'0.{p}{n}',
              settings={'T_P': p, 'T_N': n}, chosen=(p, n) == (2, 1))
        for p in (1, 2) for n in (1, 2, 3)
    ]  # fmt: skip
    figure = heat_map_pairs('F', entries, 'T_P', 'T_N', ('F1',))
    ours, theirs = figure.axes[:2]
    cells = {t.get_position(): t.get_text() for t in ours.texts}
    assert cells[0, 0] == '.1100'
    assert cells[2, 1] == '.2300'
    assert cells[1, 0] == 'not run'
    assert {t.get_position(): t.get_text() for t in theirs.texts}[2, 0] == '.1300'
    shades = ours.images[0].get_array()
    assert (shades.min(), shades.max()) == (0, 1)
    assert shades.mask.tolist() == [[False, True, False], [False] * 3]
    (frame,) = ours.patches
    assert (frame.get_x(), frame.get_y()) == (-0.5, 0.5)


def test_the_best_cell_is_dark_also_where_less_is_better():
    cells = [
        Entry(str(n), {'T_P': 1, 'T_N': n}, {m: Estimate(v) for m in ('F1', 'hamming')})
        for n, v in ((1, 0.2), (2, 0.4))
    ]
    figure = heat_map_pairs('F', cells, 'T_P', 'T_N', ('F1', 'hamming'))
    f1, _, hamming, _ = figure.axes[:4]
    assert f1.images[0].get_array().tolist() == [[0, 1]]
    assert hamming.images[0].get_array().tolist() == [[1, 0]]


def test_radar_draws_value_and_both_ends(tmp_path):
    run = predictions(classes=('P0', 'P1', 'P2', 'P3', 'P4'))
    theirs = {'P4': {'AUROC': '0.9029'}, '': {'AUROC': '0.8642'}}
    figure = radar_figure('F', run, run.classes, {'P4': 'PC'}, theirs, bootstrap=20)
    assert len(figure.axes) == 6
    whole = evaluate(run, 20, diagnosis='')
    by_colour = {line.get_color(): line.get_ydata() for line in figure.axes[4].get_lines()[:3]}
    for colour, end in (('#1f4e8c', 'value'), ('#2ca02c', 'high'), (RED, 'low')):
        wanted = [getattr(whole.value('AUROC', c), end) for c in run.classes]
        np.testing.assert_allclose(by_colour[colour], [*wanted, wanted[0]])
    assert figure.axes[4].get_lines()[3].get_ydata().tolist() == [0.9029]
    mean = figure.axes[5].get_lines()
    wanted = [whole.value(m).value for m in ('precision', 'recall', 'F1', 'mAP', 'AUROC')]
    np.testing.assert_allclose(mean[0].get_ydata()[:-1], wanted)
    assert mean[3].get_ydata().tolist() == [0.8642]
    assert {'PC', 'P0', 'upper end, 95 %'} <= set(texts(figure))
    save(figure, tmp_path / 'radar.png', dpi=50)
    empty = radar_figure('F', None, run.classes, published=theirs)
    assert texts(empty).count('not run') == 6
