"""A model card, filled from what the model says of itself and from its evaluation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from string import Template
from typing import Any

from realmnet.curation.label_schema import LabelSchema
from realmnet.deployment.description import ModelDescription
from realmnet.errors import InputError
from realmnet.evaluation.metric_records import METRICS
from realmnet.evaluation.tables import lay_out
from realmnet.reporting.findings_table import NOTICE

_TEMPLATE = Path(__file__).with_name('model_card.md')
_COLUMNS = ('F1', 'AP', 'AUROC', 'sensitivity', 'specificity')
_COLUMN_OF = {name: m.clinical for m in METRICS for name in (m.name, m.mean)}


def model_card(
    description: ModelDescription,
    name: str,
    digest: str,
    parameters: int,
    evaluation: str | Path | None = None,
) -> str:
    """Fill the template.

    Args:
        description: The model's.
        name: Its file name.
        digest: SHA-256 of the file.
        parameters: Number of its parameters.
        evaluation: JSON table of ``tools/analysis_tools/evaluate.py --out``; without it the card
            says that nothing was measured.

    Returns:
        Markdown.

    Raises:
        InputError: If the evaluation is no such file, or for other classes.
    """
    training = description.training
    limitations = [] if description.thresholds else [
        '- No threshold was chosen on a development split: .5 is a convention, not a choice.'
    ]  # fmt: skip
    if training.synthetic:
        limitations.append('- It was trained on SYNTHETIC pictures and knows nothing of patients.')
    return Template(_TEMPLATE.read_text(encoding='utf-8')).substitute(
        name=name,
        notice=NOTICE,
        digest=digest,
        version=description.realmnet_version,
        network=' with '.join(description.network[part]['type'] for part in ('backbone', 'head')),
        parameters=f'{parameters:,}',
        preprocessing=_preprocessing(description),
        classes=', '.join(_readable(description)),
        meaning=_meaning(description.label_schema),
        use=_use(description.label_schema),
        calibration=_calibration(description),
        training=_training(description),
        thresholds=f'{_recalibration(description)}{_thresholds(description)}',
        metrics=_performance(evaluation, description),
        input_check=_input_check(description),
        limitations='\n'.join([*limitations, '']),
    )


def _readable(description: ModelDescription) -> list[str]:
    pairs = zip(description.classes, description.class_names, strict=True)
    return [c if c == n else f'{c} ({n})' for c, n in pairs]


def _meaning(schema: LabelSchema) -> str:
    """Rows on what the classes mean."""
    rows = []
    for group in schema.groups:
        kind = 'exactly one' if group.exclusive else 'any'
        order = ', in rising severity' if group.ordered and not group.tells_presence else ''
        rows.append(
            f'| {group.label} | {kind} of {", ".join(group.classes)}{order}; {group.activation} |'
        )
    if schema.diagnosis:
        rows.append(f'| diagnosis | {schema.disease}, meant by {", ".join(schema.diagnosis)} |')
    return ''.join(f'\n{row}' for row in rows)


def _use(schema: LabelSchema) -> str:
    if not schema.intended_use:
        return f'Research on {schema.modality}' if schema.modality else 'Research'
    return schema.intended_use + (f' in {schema.modality}' if schema.modality else '')


def _preprocessing(description: ModelDescription) -> str:
    used = description.preprocessing
    parts = ['8-bit RGB']
    parts += ['black outer border cropped'] if used.crop_border else []
    parts += ['padded to a square'] if used.keep_aspect and used.steps else []
    parts += map(str, used.steps)
    way = 'padded' if used.keep_aspect else 'stretched'
    if not used.steps:
        parts.append(f'{way} to {used.size} x {used.size} px ({used.interpolation})')
    parts.append(f'minus {_three(description.mean)}, divided by {_three(description.std)}')
    parts += ['blue channel first'] if description.channel_order == 'BGR' else []
    return ', '.join(parts)


def _training(description: ModelDescription) -> str:
    training = description.training
    origin = {
        True: '**synthetic pictures** drawn by `tools/dataset_tools/make_synthetic.py`',
        False: 'pictures that were not drawn by this project',
        None: 'not recorded whether pictures were synthetic',
    }[training.synthetic]
    rows = [
        ['recipe', training.experiment or 'not recorded'],
        ['data', f'{training.data or "not recorded"}; {origin}'],
        ['pictures', _known(training.images)],
        ['epochs', _known(training.epochs)],
        ['seed', _known(training.seed)],
    ]
    return lay_out(['', 'value'], rows, 'markdown')


def _calibration(description: ModelDescription) -> str:
    if description.recalibration is None:
        return 'Scores are not calibrated probabilities of disease.'
    return 'Scores were recalibrated, see below; elsewhere they may be off again.'


def _recalibration(description: ModelDescription) -> str:
    fitted = description.recalibration
    return f'{fitted.note} Thresholds are for these scores.\n\n' if fitted else ''


def _thresholds(description: ModelDescription) -> str:
    chosen = description.thresholds
    if chosen is None:
        return 'None were chosen; every class counts as found from .5 on.'
    rule = chosen.rule
    if chosen.required is not None:
        rule = f'{rule} of at least {chosen.required:g}'
    disease = description.label_schema.disease
    rows = [[name, value] for name, value in chosen.values.items()]
    rows += [[f'{disease}, by {unit} ({chosen.diagnosis_rule})', value]
             for unit, value in chosen.diagnosis.items()]  # fmt: skip
    table = lay_out(['decision', 'threshold'], rows, 'markdown')
    undefined = ', '.join(chosen.undefined)
    note = f'\n\nLeft at .5 for want of positives or negatives: {undefined}.' if undefined else ''
    if description.label_schema.exclusive:
        note += (
            '\n\nFindings take the highest score of a group of which exactly one holds, whatever '
            'its threshold.'
        )
    return (
        f'Chosen by the rule {rule} on {chosen.images:,} pictures of the development split.\n\n'
        f'{table}{note}'
    )


def _input_check(description: ModelDescription) -> str:
    check = description.input_check
    if check is None:
        return 'It has NO input check: it grades every picture, also one that shows no retina.'
    return (
        f'Pictures beyond limits found on {check.pictures:,} training pictures are ungradable and '
        'get no grade; what lies within them can still be a picture that no expert would grade.'
    )


def _performance(evaluation: str | Path | None, description: ModelDescription) -> str:
    if evaluation is None:
        return 'Not measured for this card.'
    content = _read(Path(evaluation))
    table: dict[str, dict[str, str]] = {}
    grouped = {name for group in description.label_schema.exclusive for name in group}
    for row in content['rows']:
        metric = _COLUMN_OF.get(row['metric'], row['metric'])
        decided = row['part'] == 'consistent'
        left_out = row['convention'] == 'published' or (decided and row['of'] not in grouped)
        if row['group'] == 'all' and metric in _COLUMNS and not left_out:
            subject = row['of'] or 'mean of the classes' if row['part'] == 'labels' else row['part']
            if decided:
                subject = f'{row["of"]}, highest of its group'
            cells = table.setdefault(subject, {'positives': _positives(row)})
            cells[metric] = _interval(row)
    missing = [name for name in description.classes if name not in table]
    if missing:
        raise InputError(
            f'{evaluation}: says nothing about {missing}, the model has the classes '
            f'{list(description.classes)}; name the evaluation of this model'
        )
    header = ['of', 'positives', *_COLUMNS]
    rows = [[subject, *(cells.get(name, '') for name in header[1:])]
            for subject, cells in table.items()]  # fmt: skip
    notes = '\n'.join(f'- {note}' for note in content['notes'])
    settings = content['settings']
    measured = f'{settings["images"]:,} pictures of {settings["patients"]:,} patients'
    if description.training.synthetic:
        measured += ' (a model of synthetic pictures; unless said otherwise these were, too)'
    laid_out = lay_out(header, rows, 'markdown')
    return f'On {measured}; in brackets 95 % intervals.\n\n{laid_out}\n\n{notes}'


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        for row in content['rows']:
            _interval(row), _positives(row), row['group'], row['part'], row['metric'], row['of']
            row['convention']
        f'{content["settings"]["images"]:,} {content["settings"]["patients"]:,}'
        list(content['notes'])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f'{path}: not a JSON table of tools/analysis_tools/evaluate.py '
            f'({type(error).__name__}); name <predictions>.evaluation.json'
        ) from None
    return content


def _interval(row: dict[str, Any]) -> str:
    value, low, high = (row[key] for key in ('value', 'low', 'high'))
    if value is None or math.isnan(value):
        return 'undefined'
    if low is None or math.isnan(low):
        return f'{value:.4f}'
    return f'{value:.4f} [{low:.4f}, {high:.4f}]'


def _positives(row: dict[str, Any]) -> str:
    return '' if row['positives'] < 0 else f'{row["positives"]:,}'


def _three(values: tuple[float, float, float]) -> str:
    return ' '.join(f'{value:g}' for value in values)


def _known(value: int | None) -> str:
    return 'not recorded' if value is None else f'{value}'
