"""A page for one picture at a time, in a browser, without any other computer."""

from __future__ import annotations

import contextlib
import html
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from realmnet.apis.one_picture import Examined, Examiner
from realmnet.curation.pictures import list_pictures
from realmnet.errors import InputError
from realmnet.reporting.findings_table import NOTICE, FindingRow, write_json
from realmnet.reporting.picture_report import (
    METHOD_WORDS,
    facts_html,
    legend_html,
    maps_html,
    model_words,
    scores_html,
    write_picture_report,
)
from realmnet.reporting.style import in_words

#: Seconds after which pictures in memory and reports in the temporary folder are forgotten.
FORGET = 3600
#: Choice of the second method that shows one map only.
NO_METHOD = ''
_ONE_AT_A_TIME = {'concurrency_limit': 1, 'concurrency_id': 'model', 'api_visibility': 'private'}
_EMPTY = (
    '<p class="empty">Findings and heat maps of the picture appear here. The model says which of '
    'its classes it finds; a heat map shows which places moved the score of a class.</p>'
)
_HINT = (
    'Methods differ. With the model of the quickstart, on synthetic pictures, the hottest place of '
    'Grad-CAM++ lies in the lesion in .58 of the maps of the right class and in .55 of those of '
    'another class: it hardly tells classes apart. HiResCAM: .62 and .37, head attention: .46 and '
    '.17 (tools/benchmarks/localisation.py).'
)
_FORGOTTEN = 'The picture was forgotten, as all are after an hour; upload it again.'
# The page is drawn for a light background; gradio follows the system's setting otherwise.
LIGHT = "() => document.body.classList.remove('dark')"


@dataclass
class Session:
    """What one visitor has open.

    Attributes:
        picture: With findings and heat maps.
        folder: Holds the files to download; it goes with the session.
    """

    picture: Examined
    folder: tempfile.TemporaryDirectory

    def close(self) -> None:
        """Remove the files."""
        self.folder.cleanup()


class Page:
    """What the page answers; :meth:`blocks` lays it out.

    Args:
        examiner: The model.
        model: ``name`` and ``sha256`` of the checkpoint.
        methods: One or two methods of heat maps shown first; None for those of
            :meth:`Examiner.compared_methods`.
        examples: Folder of pictures to choose from.
        notice: Where the pictures stay.

    Raises:
        InputError: If a method is unknown or not for this model, or there are no examples.
    """

    def __init__(
        self,
        examiner: Examiner,
        model: dict[str, str],
        methods: Sequence[str] | None = None,
        examples: Path | None = None,
        notice: str = 'Pictures stay on this machine.',
    ) -> None:
        self.examiner, self.model, self.notice = examiner, model, notice
        self.methods = tuple(methods or examiner.compared_methods())
        unknown = [m for m in self.methods if m not in examiner.methods]
        if unknown or len(self.methods) > 2:
            raise InputError(
                f'methods are {list(self.methods)}, expected one or two of '
                f'{list(examiner.methods)}, which this model allows'
            )
        self.examples = {}
        if examples:
            self.examples = {str(path): examples / path for path in list_pictures(examples)}

    def examine(self, path: Path) -> Session:
        """Read a picture and open a session for it.

        Raises:
            InputError: If it cannot be read.
        """
        picture = self.examiner.examine(path)
        return Session(picture, tempfile.TemporaryDirectory(prefix='report_'))

    def explain(self, session: Session, name: str, methods: Sequence[str]) -> str:
        """Return the heat maps of a class in HTML."""
        picture = session.picture
        heat = {m: self.examiner.heat(picture, name, m) for m in methods}
        return maps_html(picture.shown, name, heat, picture.finding, self.examiner.description)

    def write(self, session: Session) -> tuple[Path, Path]:
        """Write report and JSON with the heat maps so far; give their paths."""
        picture, about = session.picture, self.examiner.description
        stem = re.sub(r'[^A-Za-z0-9.-]+', '_', Path(picture.name).stem)[:80].strip('_.')
        report = Path(session.folder.name, f'{stem or "picture"}_findings.html')
        write_picture_report(
            report, picture.name, picture.shown, picture.finding, picture.heat, about, self.model
        )
        data = report.with_suffix('.json')
        write_json(data, {'model': self.model, 'classes': about.classes},
                   [FindingRow(picture.name, picture.finding, None)])  # fmt: skip
        return report, data

    def first_class(self, session: Session) -> str:
        """Choose the class to explain first: the last found, which is the grade of PSMM."""
        finding = session.picture.finding
        return finding.found[-1] if finding.found else max(finding.scores, key=finding.scores.get)

    def summary(self, session: Session) -> str:
        """Return the findings in HTML."""
        picture, about = session.picture, self.examiner.description
        return _piece(
            f'<h2 class="name">{html.escape(picture.name)}</h2>'
            f'{facts_html(picture.finding, about)}{scores_html(picture.finding, about)}'
        )

    def blocks(self) -> gr.Blocks:
        """Lay the page out."""
        about = self.examiner.description
        classes = [(in_words(c, about.label_schema), c) for c in about.classes]
        methods = [(METHOD_WORDS.get(m, m), m) for m in self.examiner.methods]
        second = self.methods[1] if len(self.methods) == 2 else NO_METHOD
        with gr.Blocks(
            title='RealMNet', analytics_enabled=False, delete_cache=(300, FORGET)
        ) as blocks:
            session = gr.State(None, time_to_live=FORGET, delete_callback=_close)
            _html(
                '<h1>RealMNet: findings in one picture</h1><p class="small name">'
                f'{html.escape(model_words(self.model["name"], about))}</p>'
                f'<p class="notice">{html.escape(f"{NOTICE} {self.notice}")}</p>'
            )
            with gr.Row():
                with gr.Column(scale=5, min_width=320):
                    upload = gr.File(
                        label='Picture: JPEG, PNG, TIFF, BMP or DICOM', height=150,
                        elem_id='upload',
                    )  # fmt: skip
                    example = gr.Dropdown(
                        list(self.examples), value=None, label='or an example', filterable=False,
                        visible=bool(self.examples), elem_id='example',
                    )  # fmt: skip
                    problem = _html(visible=False, elem_id='problem')
                    summary = _html(visible=False, elem_id='summary')
                with gr.Column(scale=8, min_width=320):
                    empty = _html(_EMPTY, elem_id='empty')
                    with gr.Column(visible=False) as result:
                        with gr.Row():
                            of, first, other = (
                                gr.Dropdown(
                                    choices, value=value, label=label, elem_id=key, scale=scale,
                                    filterable=False, min_width=200,
                                )
                                for choices, value, label, key, scale in (
                                    (classes, None, 'Heat maps of the class', 'class', 4),
                                    (methods, self.methods[0], 'by the method', 'first', 3),
                                    ([*methods, ('none', NO_METHOD)], second,
                                     'compared with', 'second', 3),
                                )
                            )  # fmt: skip
                        maps = _html(elem_id='maps', min_height=120)
                        _html(f'{legend_html()}<p class="small">{_HINT}</p>')
                        with gr.Row():
                            report, data = (
                                gr.DownloadButton(
                                    label, elem_id=key, size='md', variant=variant, min_width=200
                                )
                                for label, key, variant in (
                                    ('Download the report (HTML)', 'report', 'primary'),
                                    ('Download the findings (JSON)', 'json', 'secondary'),
                                )
                            )

            opened = [session, upload, example, problem, summary, empty, result, of, maps]
            choices, shown = [session, of, first, other], [maps, report, data]
            for begin, source, handler in (
                (upload.upload, upload, self._uploaded),
                (example.input, example, self._chosen),
            ):
                begin(
                    handler, [source, session], opened, show_progress_on=[source], **_ONE_AT_A_TIME
                ).success(self._show, choices, shown, show_progress_on=[maps], **_ONE_AT_A_TIME)
            gr.on(
                [of.input, first.input, other.input], self._show, choices, shown,
                # a choice made while maps are computed counts when they are done
                trigger_mode='always_last', show_progress_on=[maps], **_ONE_AT_A_TIME,
            )  # fmt: skip
        return blocks

    def _uploaded(self, path: str, before: Session | None) -> list[Any]:
        try:
            return self._open(Path(path), before)
        finally:
            Path(path).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # the folder is not empty, or gone
                Path(path).parent.rmdir()

    def _chosen(self, name: str, before: Session | None) -> list[Any]:
        return self._open(self.examples[name], before)

    def _open(self, path: Path, before: Session | None) -> list[Any]:
        if before:
            before.close()
        try:
            session = self.examine(path)
        except InputError as error:
            text = _piece(f'<p class="problem" role="alert">{html.escape(str(error))}</p>')
            shown = gr.update(value=text, visible=True)
            return [None, None, None, shown, *_visible(False, True, False), None, '']
        summary, empty, result = _visible(True, False, True)
        summary['value'] = self.summary(session)
        return [session, None, None, gr.update(visible=False), summary, empty, result,
                self.first_class(session), '']  # fmt: skip

    def _show(self, session: Session | None, name: str, *methods: str) -> list[Any]:
        if session is None:
            return [_piece(f'<p class="problem" role="alert">{_FORGOTTEN}</p>'), None, None]
        wanted = [m for m in dict.fromkeys(methods) if m != NO_METHOD]
        maps = self.explain(session, name, wanted)
        return [_piece(maps), *map(str, self.write(session))]


def _piece(content: str) -> str:
    return f'<div class="rm">{content}</div>'


def _html(content: str = '', **options: Any) -> gr.HTML:
    return gr.HTML(_piece(content), apply_default_css=False, **options)


def _visible(*values: bool) -> list[dict[str, Any]]:
    return [gr.update(visible=value) for value in values]


def _close(session: Session | None) -> None:
    if session:
        session.close()
