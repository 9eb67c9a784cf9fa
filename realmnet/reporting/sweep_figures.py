"""Figures 3, 4 and A4-A6: bars with intervals, and lines of a swept value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from realmnet.errors import InputError
from realmnet.evaluation.metric_records import metric_of
from realmnet.reporting.measured import AVERAGE, Entry, heading
from realmnet.reporting.published import METRICS
from realmnet.reporting.style import COLOURS, FAINT, INK, paper_style
from realmnet.reporting.sweep_tables import marked

#: The paper's choice.
RED = '#d62728'
#: How settings are written in figures.
SYMBOLS = {
    'alpha': 'α', 'gamma': 'γ', 'margin': 'margin m', 'lambda': 'λ', 'heads': 'heads H',
    'ratio': 'resampling ratio r', 'size': 'input size (px)', 'rate': 'drop path rate',
    'share': 'share of the training data (%)', 'T_P': '$T_P$', 'T_N': '$T_N$',
}  # fmt: skip
_LINES = {'gamma_pos': 'γ+ {}', 'gamma_neg': 'γ− {}', 'size': '{} px', 'heads': 'H = {}'}
_GREYS = ('#666666', '#8c8c8c', '#b0b0b0', '#cccccc', '#4d4d4d', '#9e9e9e', '#bdbdbd')
_SHAPES = 'osDv^P*Xph'
_ENDS = {
    'patients': 'error bars: 95 % interval by patient',
    'seeds': 'error bars: standard deviation over seeds',
    'targets': 'average: 95 % interval over test sets',
}


def bar_figure(title: str, entries: Sequence[Entry], metrics: Sequence[str] = METRICS) -> Figure:
    """Draw a panel a metric, a bar a cell with its interval, the published number as a diamond.

    Axes do not begin at 0. A cell without results is an empty place with its state. A published
    bound ("over 70%") is a triangle. The paper's choice has a star beside its name.

    Args:
        title: What the figure shows.
        entries: From :func:`realmnet.reporting.measured.entries_of` or ``entries_by_source``.
        metrics: Panels.

    Returns:
        The figure.
    """
    names = [entry.name + (' ★' if entry.chosen else '') for entry in entries]
    with paper_style():
        figure, panels = _panels(len(metrics))
        columns = panels.shape[1]
        for i, (axes, metric) in enumerate(zip(panels.ravel(), metrics, strict=False)):
            _limits(axes, entries, metric, ends=True)
            for place, entry in enumerate(entries):
                colour = COLOURS[-1 if entry.name == AVERAGE else place % (len(COLOURS) - 1)]
                _bar(axes, place, entry, metric, colour)
            axes.set_title(heading(metric))
            low = i >= len(metrics) - columns
            axes.set_xticks(range(len(names)), names if low else [], rotation=40, ha='right',
                            rotation_mode='anchor')  # fmt: skip
            axes.tick_params(axis='x', length=0)
            axes.set_xlim(-0.6, len(names) - 0.4)
        _finish(figure, title, entries, [], 'axes do not begin at 0')
    return figure


def line_figure(
    title: str,
    entries: Sequence[Entry],
    x: str,
    lines: Sequence[str] = (),
    metrics: Sequence[str] = METRICS,
    bounds: bool = False,
    grey: tuple[str, object] | None = None,
) -> Figure:
    """Draw a panel a metric: ours against a setting, a line for each value of the other settings.

    The paper's choice is a red star with a horizontal line; published numbers are hollow
    diamonds; cells without results are crosses at the bottom.

    Args:
        title: What the figure shows.
        entries: From :func:`realmnet.reporting.measured.entries_of`.
        x: Setting on the x axis, numbers.
        lines: Settings that tell lines apart.
        metrics: Panels.
        bounds: Draw the ends of the intervals as dotted lines. Otherwise a single line has error
            bars, and several have none.
        grey: A setting and its value whose lines are grey, as the paper draws them.

    Returns:
        The figure.

    Raises:
        InputError: If a cell does not have the setting ``x`` as a number.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: _number(entry, x)):
        groups.setdefault(_line_name(entry, lines), []).append(entry)
    order = list(dict.fromkeys(_line_name(entry, lines) for entry in entries))
    groups = {name: groups[name] for name in order}
    places = sorted({_number(entry, x) for entry in entries})
    if len(places) > 1 and min(np.diff(places)) < 0.04 * (places[-1] - places[0]):
        steps = {value: float(i) for i, value in enumerate(places)}  # .9, .99, .999: a step each
    else:
        steps = {value: value for value in places}
    colours = _colours(groups, grey)
    with paper_style():
        figure, panels = _panels(len(metrics))
        for axes, metric in zip(panels.ravel(), metrics, strict=False):
            _limits(axes, entries, metric, ends=bounds or len(groups) == 1)
            for name, group in groups.items():
                xs = [steps[_number(entry, x)] for entry in group]
                _line(axes, xs, group, metric, colours[name], bounds, len(groups) == 1)
            for entry in entries:
                if entry.chosen and metric in entry.estimates and not bounds:
                    _choice(axes, steps[_number(entry, x)], entry.estimates[metric].value)
            axes.set_title(heading(metric))
            _ticks(axes, steps)
        columns = panels.shape[1]
        for axes in panels.ravel()[len(metrics) - columns : len(metrics)]:
            axes.set_xlabel(SYMBOLS.get(x, x))
        handles = [
            Line2D([], [], color=colour, marker=shape, markersize=3.5, label=name)
            for (name, (colour, shape)) in colours.items()
            if len(groups) > 1
        ]
        remark = 'dotted: ends of the 95 % intervals' if bounds else ''
        single = not bounds and len(groups) == 1
        _finish(figure, title, entries, handles, remark, bars=single, crosses=True, star=not bounds)
    return figure


def _panels(number: int) -> tuple[Figure, np.ndarray]:
    columns = min(4, number)
    rows = -(-number // columns)
    figure = Figure(figsize=(1.8 * columns, 1.75 * rows + 0.5), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.ravel()[number:]:
        axes.set_axis_off()
    return figure, panels


def _bar(axes: Axes, at: float, entry: Entry, metric: str, colour: str) -> None:
    bottom, top = axes.get_ylim()
    estimate = entry.estimates.get(metric)
    if estimate is None or math.isnan(estimate.value):
        text = 'undefined' if estimate else _short(entry.state)
        axes.text(at, bottom + 0.04 * (top - bottom), text, rotation=90, ha='center', va='bottom',
                  fontsize=5.5, color='#777777')  # fmt: skip
    else:
        axes.bar(at, estimate.value - bottom, 0.72, bottom=bottom, color=colour, alpha=0.85,
                 linewidth=0)  # fmt: skip
        reach = np.array([[estimate.value - estimate.low], [estimate.high - estimate.value]])
        if np.isfinite(reach).all():  # no caps where there is no interval
            axes.errorbar(at, estimate.value, np.maximum(reach, 0), color=INK, elinewidth=0.8,
                          capsize=1.8, capthick=0.8)  # fmt: skip
    theirs = _theirs(entry, metric)
    if theirs is not None:
        bound = entry.published[metric].startswith('>')
        axes.plot(at, theirs, '^' if bound else 'D', color='white', markeredgecolor=INK,
                  markersize=3.8, markeredgewidth=0.8, zorder=4)  # fmt: skip


def _line(
    axes: Axes, xs: Sequence[float], group: Sequence[Entry], metric: str,
    look: tuple[str, str], bounds: bool, bars: bool,
) -> None:  # fmt: skip
    colour, shape = look
    found = [(x, e.estimates[metric]) for x, e in zip(xs, group, strict=True) if e.estimates]
    if found:
        places, estimates = zip(*found, strict=True)
        values = np.array([e.value for e in estimates])
        ends = np.array([(e.low, e.high) for e in estimates]).T
        axes.plot(places, values, color=colour, marker=shape, markersize=2.6, linewidth=1.1)
        if bounds:
            for end in ends:
                axes.plot(places, end, color=colour, linewidth=0.8, linestyle=':')
        elif bars:
            has = np.isfinite(ends).all(0)  # no caps where there is no interval
            reach = np.maximum([values - ends[0], ends[1] - values], 0)[:, has]
            axes.errorbar(np.array(places)[has], values[has], reach, fmt='none', ecolor=colour,
                          elinewidth=0.8, capsize=1.8)  # fmt: skip
    theirs = [(x, _theirs(e, metric)) for x, e in zip(xs, group, strict=True)]
    theirs = [(x, value) for x, value in theirs if value is not None]
    if theirs:
        axes.plot(*zip(*theirs, strict=True), linestyle='--', color=colour, linewidth=0.7,
                  marker='D', markersize=3.4, markerfacecolor='white', markeredgecolor=INK,
                  markeredgewidth=0.7)  # fmt: skip
    missing = [x for x, e in zip(xs, group, strict=True) if not e.estimates]
    bottom, top = axes.get_ylim()
    axes.plot(missing, np.full(len(missing), bottom + 0.03 * (top - bottom)), 'x', color='#999999',
              markersize=3.2, markeredgewidth=0.8)  # fmt: skip


def _choice(axes: Axes, place: float, value: float) -> None:
    axes.axhline(value, color=RED, linewidth=0.7, zorder=0)
    axes.plot(place, value, '*', color=RED, markersize=8, zorder=5)


def _limits(axes: Axes, entries: Sequence[Entry], metric: str, ends: bool) -> None:
    """Range of all that is drawn, within that of the metric where it is a fixed one."""
    values = [_theirs(entry, metric) for entry in entries]
    for entry in entries:
        if metric in entry.estimates:
            e = entry.estimates[metric]
            values += [e.value, e.low, e.high] if ends else [e.value]
    values = [v for v in values if v is not None and math.isfinite(v)]
    if not values:
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        return
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.01
    floor, ceiling = metric_of(metric).limits
    top = high + room if ceiling is None else min(ceiling, high + room)
    axes.set_ylim(max(floor, low - 2 * room), max(top, high + 0.02 * room))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis='y', color=FAINT, linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)


def _ticks(axes: Axes, steps: Mapping[float, float]) -> None:
    gap = 0.12 * (max(steps.values()) - min(steps.values()))
    shown: list[float] = []
    for value in reversed(steps):  # as many as do not touch, the last in any case
        if not shown or steps[shown[-1]] - steps[value] >= gap:
            shown.append(value)
    axes.set_xticks([steps[v] for v in shown], [_tick(v) for v in shown],
                    fontsize=6 if len(shown) > 4 else 7)  # fmt: skip


def _tick(value: float) -> str:
    text = f'{value:.4g}'
    return text[1:] if text.startswith('0.') else text


def _finish(
    figure: Figure, title: str, entries: Sequence[Entry], handles: list[Line2D], remark: str,
    bars: bool = True, crosses: bool = False, star: bool = True,
) -> None:  # fmt: skip
    """Title, one legend for all panels, and what the marks mean."""
    if star and any(entry.chosen and entry.estimates for entry in entries):
        handles = [*handles, Line2D([], [], color=RED, marker='*', markersize=8, linestyle='',
                                    label="the paper's choice")]  # fmt: skip
    kinds = dict.fromkeys(e.of for entry in entries for e in entry.estimates.values() if e.of)
    printed = [text for entry in entries for text in entry.published.values()]
    if any(not text.startswith('>') for text in printed):
        handles = [*handles, _mark('D', 'published')]
    if any(text.startswith('>') for text in printed):
        handles = [*handles, _mark('^', 'published as "over"')]
    if crosses and any(not entry.estimates for entry in entries):
        handles = [*handles, Line2D([], [], color='#999999', marker='x', markersize=4,
                                    linestyle='', label='not run')]  # fmt: skip
    remarks = [remark] if remark else []
    if bars:
        remarks += [_ENDS[kind] for kind in kinds]
    if not any(entry.estimates for entry in entries):
        remarks = ['nothing has run yet']
    figure.suptitle(marked(title, entries), fontsize=9, x=0.01, ha='left')
    text = '; '.join(remarks)
    if handles:
        figure.legend(handles=handles, loc='outside lower center', ncols=min(6, len(handles)),
                      columnspacing=1.2, handletextpad=0.4, title=text,
                      title_fontproperties=dict(size=6))  # fmt: skip
    elif text:
        figure.supxlabel(text, fontsize=6)


def _mark(shape: str, label: str) -> Line2D:
    return Line2D([], [], marker=shape, color='white', markeredgecolor=INK, markersize=4.5,
                  markeredgewidth=0.8, linestyle='', label=label)  # fmt: skip


def _colours(
    groups: Mapping[str, Sequence[Entry]], grey: tuple[str, object] | None
) -> dict[str, tuple[str, str]]:
    faint = [name for name, group in groups.items()
             if grey and group[0].settings.get(grey[0]) == grey[1]]  # fmt: skip
    strong = [name for name in groups if name not in faint]
    looks = {name: (COLOURS[i % len(COLOURS)], _SHAPES[i % len(_SHAPES)])
             for i, name in enumerate(strong)}  # fmt: skip
    looks |= {name: (_GREYS[i % len(_GREYS)], _SHAPES[i % len(_SHAPES)])
              for i, name in enumerate(faint)}  # fmt: skip
    return {name: looks[name] for name in groups}


def _line_name(entry: Entry, lines: Sequence[str]) -> str:
    return ', '.join(
        _LINES.get(key, '{}').format(_plain(entry.settings[key]))
        for key in lines
        if key in entry.settings
    )


def _plain(value: object) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)


def _number(entry: Entry, x: str) -> float:
    if isinstance(entry.settings.get(x), int | float):
        return float(entry.settings[x])
    raise InputError(
        f'cell {entry.name}: has no setting {x!r} that is a number, to be the place on an axis; '
        f'it has {dict(entry.settings)}'
    )


def _theirs(entry: Entry, metric: str) -> float | None:
    text = entry.published.get(metric, '').lstrip('>')
    return float(text) if text else None


def _short(state: str) -> str:
    return state if state in ('cut', 'failed') else 'not run'
