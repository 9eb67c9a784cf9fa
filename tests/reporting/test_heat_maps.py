"""The sheet of heat maps: what stands below it fits, frames mark what was found."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from realmnet.curation.label_schema import LabelSchema
from realmnet.reporting.heat_maps import ExplainedPicture, explanation_sheet

FOOTER = 'Research software, not a medical device.\nHeat shows what the model uses: ' + 'x ' * 60
CLASSES = ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')


def sheet(classes, found=()):
    picture, heat = np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4))
    row = ExplainedPicture(
        'a', picture, dict.fromkeys(classes, heat), dict.fromkeys(classes, 0.7), frozenset(found),
        frozenset({'S1'}),
    )  # fmt: skip
    return explanation_sheet([row, row], classes, LabelSchema('x', classes), FOOTER)


@pytest.mark.parametrize('number', [1, 2, 7])
def test_all_text_stands_on_the_sheet_and_none_on_another(number):
    figure = sheet(CLASSES[:number])
    canvas = FigureCanvasAgg(figure)
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.texts]
    width, height = canvas.get_width_height()
    for box in boxes:
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
    below = sorted((box for box in boxes[number + 1 :]), key=lambda box: (-box.y0, box.x0))
    assert len(below) >= 5
    for first, second in pairwise(below[1:]):
        assert second.y1 <= first.y0
    shown = ' '.join(text.get_text() for text in figure.texts)
    assert 'not a medical device' in ' '.join(shown.split())


def test_frames_mark_what_was_found():
    figure = sheet(CLASSES, found=('S1', 'A2'))
    framed = [axes.spines['left'].get_visible() for axes in figure.axes[: 2 * (len(CLASSES) + 1)]]
    assert framed == [False, *(name in ('S1', 'A2') for name in CLASSES)] * 2
