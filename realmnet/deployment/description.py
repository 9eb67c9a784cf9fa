"""What a model says of itself, as JSON data that is checked and never executed.

The description travels with the weights: in a checkpoint as text under ``meta['realmnet']``, in
an ONNX file as metadata. It holds all that is needed to go from a picture to findings.
"""

from __future__ import annotations

import json
import reprlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

import realmnet
from realmnet.curation.class_names import SCORE
from realmnet.curation.label_schema import EARLIER_DISEASE, LabelSchema, get_schema, schema_of
from realmnet.deployment.input_check import InputCheck
from realmnet.deployment.network_rules import check_network
from realmnet.deployment.preprocessing import Preprocessing
from realmnet.errors import InputError
from realmnet.evaluation.recalibration import Recalibration, parse_recalibration
from realmnet.evaluation.thresholds import Thresholds, check_same_scores, parse_thresholds

FORMAT_VERSION = 1
#: Where a checkpoint (in ``meta``) and an ONNX file (in its metadata) hold the description.
KEY = 'realmnet'
#: Orders in which a network may take the channels of a picture.
CHANNEL_ORDERS = ('RGB', 'BGR')
_LARGEST_TEXT = 1_000_000
_MOST_DIGITS = 18
_LARGEST_MEAN = 65_536
_TRAINING_KINDS = {
    'experiment': str, 'seed': int | None, 'data': str, 'synthetic': bool | None,
    'images': int | None, 'epochs': int | None,
}  # fmt: skip
# Fields of the schema that stand in a description by themselves.
_OF_SCHEMA = ('name', 'classes', 'class_names', 'diagnosis')
_THRESHOLDS_KINDS = {
    'rule': str, 'source': str, 'images': int, 'required': float | int | None, 'undefined': list,
    'recalibration': str,
}  # fmt: skip


class ClassNameError(InputError):
    """Names of classes that findings could not tell apart."""


@dataclass(frozen=True)
class Training:
    """Where the weights come from.

    Attributes:
        experiment: Name of the configuration with the time of the run.
        seed: Its seed.
        data: Label file and picture layout, without a local path.
        synthetic: Whether the pictures were drawn by this project's generator; None if unknown.
        images: Pictures trained on.
        epochs: Epochs that the weights have seen.
    """

    experiment: str = ''
    seed: int | None = None
    data: str = ''
    synthetic: bool | None = None
    images: int | None = None
    epochs: int | None = None


@dataclass(frozen=True)
class ModelDescription:
    """All that is needed to go from a picture to findings, except the weights.

    Attributes:
        classes: Class names in the order of the outputs, see
            :func:`realmnet.curation.class_names.check_class_names`.
        preprocessing: From a picture to the network's size.
        network: The model's configuration as plain data, within what
            :func:`realmnet.deployment.network_rules.check_network` allows.
        schema: Name of the label schema.
        class_names: Readable names; those of ``classes`` where not given.
        diagnosis: Classes of which each means the disease. Where not given, as in files made
            before there was this field, PSMM's for the schema of that name, otherwise none.
        meaning: What else the schema says of the classes: its fields but for the four above, as
            :meth:`realmnet.curation.label_schema.LabelSchema.to_fields` writes them. Where not
            given, as in files made before there was this field, PSMM's for exactly PSMM's classes,
            otherwise nothing but that the disease was called pathologic myopia.
        mean: Subtracted from red, green, blue (0 to 255).
        std: Then divides.
        channel_order: ``'RGB'``, or ``'BGR'`` for a network that takes blue first.
        thresholds: Chosen on the development split, or None.
        training: Where the weights come from.
        input_check: Which pictures can be graded, or None: then every picture is.
        explain_layers: Names of the layers that heat maps are taken from; none where they are
            found by themselves.
        recalibration: Fitted on development data and applied to the scores before the thresholds,
            or None.
        realmnet_version: Version that wrote the description.

    Raises:
        InputError: If a field has a wrong type, is out of range or contradicts another.

    Example:
        >>> network = {'type': 'ImageClassifier', 'backbone': {'type': 'RealMTinyViT'},
        ...            'head': {'type': 'ResidualAttentionHead', 'num_classes': 1}}
        >>> description = ModelDescription(('M',), Preprocessing(64), network)
        >>> ModelDescription.from_json(description.to_json()) == description
        True
    """

    classes: tuple[str, ...]
    preprocessing: Preprocessing
    network: dict[str, Any]
    schema: str = 'custom'
    class_names: tuple[str, ...] = ()
    diagnosis: tuple[str, ...] | None = None
    meaning: dict[str, Any] | None = None
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    channel_order: str = 'RGB'
    thresholds: Thresholds | None = None
    training: Training = Training()
    input_check: InputCheck | None = None
    explain_layers: tuple[str, ...] = ()
    recalibration: Recalibration | None = None
    realmnet_version: str = realmnet.__version__

    def __post_init__(self) -> None:
        for name in ('classes', 'class_names', 'diagnosis', 'explain_layers'):
            value = getattr(self, name)
            if value is None and name == 'diagnosis':
                continue
            if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
                raise InputError(f'{name} must be a list of names, got {reprlib.repr(value)}')
            object.__setattr__(self, name, tuple(value))
        for name in ('schema', 'realmnet_version'):
            if not isinstance(getattr(self, name), str):
                raise InputError(f'{name} must be text, got {getattr(self, name)!r}')
        schema = self._read_schema()
        object.__setattr__(self, 'class_names', schema.class_names)
        object.__setattr__(self, 'diagnosis', schema.diagnosis)
        object.__setattr__(self, 'meaning', _meaning(schema))
        _check_columns(schema)
        object.__setattr__(self, 'mean', _three_numbers('mean', self.mean))
        object.__setattr__(self, 'std', _three_numbers('std', self.std))
        if self.channel_order not in CHANNEL_ORDERS:
            raise InputError(
                f'channel_order is {reprlib.repr(self.channel_order)}, expected one of '
                f'{list(CHANNEL_ORDERS)}'
            )
        if min(self.std) <= 0:
            raise InputError(f'std must be positive, got {list(self.std)}')
        if self.thresholds is not None and set(self.thresholds.values) != set(self.classes):
            raise InputError(
                f'thresholds are for {list(self.thresholds.values)}, the classes are '
                f'{list(self.classes)}'
            )
        if not isinstance(self.input_check, InputCheck | None):
            raise InputError(f'input_check must be a check, got {type(self.input_check)}')
        _check_kinds('training', self.training, _TRAINING_KINDS)
        _check_kinds('thresholds', self.thresholds, _THRESHOLDS_KINDS)
        self._check_recalibration()
        check_network(self.network)
        _check_size(self.network['backbone'].get('img_size'), self.preprocessing.size)
        outputs = self.network['head'].get('num_classes', len(self.classes))
        if outputs != len(self.classes):
            raise InputError(
                f'network.head.num_classes is {outputs}, but there are {len(self.classes)} '
                f'classes {list(self.classes)}: the weights belong to another label schema; use '
                'the configuration that they were trained with'
            )
        _check_texts(asdict(self))

    def _check_recalibration(self) -> None:
        digest = ''
        if self.recalibration is not None:
            parse_recalibration(asdict(self.recalibration), 'recalibration', self.classes)
            digest = self.recalibration.digest
        if self.thresholds is not None:
            check_same_scores(self.thresholds, digest, 'thresholds')

    def recalibrated(self, scores: np.ndarray) -> np.ndarray:
        """Turn the network's probabilities (N, C) into those that thresholds and findings take."""
        if self.recalibration is None:
            return scores
        return self.recalibration.apply(scores, self.classes)

    @cached_property
    def label_schema(self) -> LabelSchema:
        """What the classes mean."""
        return self._read_schema()

    def _read_schema(self) -> LabelSchema:
        """Put the fields of the schema together, and check them against each other."""
        if self.meaning is None:
            known = schema_of(self.classes, self.schema, self.diagnosis, EARLIER_DISEASE)
            names = LabelSchema(self.schema, self.classes, self.class_names).class_names
            theirs = zip(known.classes, known.class_names, known.words, names, strict=True)
            # a name of its own is also the class in words
            words = tuple(w if name in (c, read) else name for c, read, w, name in theirs)
            return replace(known, class_names=names, words=words)
        if not isinstance(self.meaning, Mapping):
            raise InputError(f'meaning must be an object, got {reprlib.repr(self.meaning)}')
        if twice := [name for name in _OF_SCHEMA if name in self.meaning]:
            raise InputError(f'meaning holds {twice}, which stand beside it; take them out')
        return get_schema(
            {
                **self.meaning,
                'name': self.schema,
                'classes': self.classes,
                'class_names': self.class_names,
                'diagnosis': self.diagnosis or (),
            }
        )

    def to_json(self) -> str:
        """Write as JSON text."""
        content = {'format_version': FORMAT_VERSION, **asdict(self)}
        return json.dumps(content, indent=1, allow_nan=False)

    @staticmethod
    def of_schema(schema: LabelSchema) -> dict[str, Any]:
        """Return the fields of a description that say what the classes mean."""
        return {
            'classes': schema.classes,
            'class_names': schema.class_names,
            'schema': schema.name,
            'diagnosis': schema.diagnosis,
            'meaning': _meaning(schema),
        }

    @classmethod
    def from_json(cls, text: str, place: str = 'the model') -> ModelDescription:
        """Read what :meth:`to_json` wrote.

        Args:
            text: JSON.
            place: How messages name the model.

        Raises:
            InputError: One sentence naming the field, if the text is no JSON object, of a later
                format, lacks a field or has one too many, or a value is of a wrong type or size.
        """
        try:
            return cls(**_read_fields(text))
        except (InputError, RecursionError) as error:
            raise InputError(
                f'{place}: its description cannot be used: {error}; make the file again with '
                'tools/deployment/pack.py'
            ) from None


def _read_fields(text: str) -> dict[str, Any]:
    """Turn JSON text into the arguments of :class:`ModelDescription`."""
    if not isinstance(text, str) or len(text) > _LARGEST_TEXT:
        raise InputError(f'it must be text of at most {_LARGEST_TEXT:,} characters')
    try:
        content = json.loads(text, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise InputError(f'it is not JSON ({error})') from None
    if not isinstance(content, dict):
        raise InputError('it must be a JSON object')
    version = content.pop('format_version', None)
    if type(version) is not int or version != FORMAT_VERSION:
        raise InputError(
            f'format_version is {version!r}, this is realmnet {realmnet.__version__}, which reads '
            f'{FORMAT_VERSION}'
        )
    if isinstance(content.get('preprocessing'), dict):
        content['preprocessing'].setdefault('steps', [])  # not in earlier files, nor the next four
    content.setdefault('channel_order', 'RGB')
    content.setdefault('explain_layers', [])
    for name, kind in (('preprocessing', Preprocessing), ('training', Training)):
        content[name] = kind(**_known(content.get(name), kind, name))
    if content.get('thresholds') is not None:
        if isinstance(content['thresholds'], dict):
            content['thresholds'].setdefault('recalibration', '')  # not in earlier files
        thresholds = _known(content['thresholds'], Thresholds, 'thresholds')
        content['thresholds'] = parse_thresholds(thresholds, 'thresholds')
    for name in ('diagnosis', 'meaning', 'input_check', 'recalibration'):
        content.setdefault(name, None)  # not in earlier files
    if content['recalibration'] is not None:
        content['recalibration'] = parse_recalibration(content['recalibration'], 'recalibration')
    if content['input_check'] is not None:
        content['input_check'] = InputCheck.from_fields(content['input_check'])
    content = _known(content, ModelDescription, '')
    head = content['network'].get('head') if isinstance(content['network'], dict) else None
    if isinstance(head, dict):
        head.pop('loss', None)  # in earlier files; only training needs it
    return content


def _whole_number(digits: str) -> int:
    """Read a whole number that every computation here can hold."""
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f'a number has {len(digits)} digits, {_MOST_DIGITS} are allowed')
    return int(digits)


def _meaning(schema: LabelSchema) -> dict[str, Any]:
    """Return the fields of a schema that have no field of their own in a description."""
    return {name: value for name, value in schema.to_fields().items() if name not in _OF_SCHEMA}


def _check_columns(schema: LabelSchema) -> None:
    own = [group.column for group in schema.decisions]
    own += [schema.disease_column] if schema.diagnosis else []
    columns = Counter([*schema.classes, *own, *(name + SCORE for name in (*schema.classes, *own))])
    if repeated := [name for name, number in columns.items() if number > 1]:
        raise ClassNameError(
            f'the class names {list(schema.classes)} make two columns {repeated[0]!r}; rename the '
            'class'
        )


def _check_size(img_size: Any, size: int) -> None:
    sides = set(img_size) if isinstance(img_size, list) else {img_size or size}
    if sides != {size}:
        raise InputError(
            f'network.backbone.img_size is {img_size}, but preprocessing.size is {size}; make both '
            'the size that the weights were trained with'
        )


def _check_texts(value: Any) -> None:
    """Refuse characters that would steer a terminal or break a line."""
    if isinstance(value, dict):
        for item in value.items():
            _check_texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_texts(item)
    elif isinstance(value, str) and not value.isprintable():
        raise InputError(f'the text {reprlib.repr(value)} has characters that cannot be shown')


def _known(content: Any, kind: type, place: str) -> dict[str, Any]:
    """Check that an object holds the fields of a dataclass and no others."""
    names = {field.name for field in fields(kind)}
    if not isinstance(content, Mapping) or set(content) != names:
        found = sorted(map(str, content)) if isinstance(content, Mapping) else type(content)
        raise InputError(f'{place or "it"} must hold {sorted(names)}, found {reprlib.repr(found)}')
    return dict(content)


def _three_numbers(name: str, value: Any) -> tuple[float, float, float]:
    if (
        not isinstance(value, list | tuple)
        or len(value) != 3
        or not all(type(v) in (int, float) and abs(v) <= _LARGEST_MEAN for v in value)  # no NaN
    ):
        raise InputError(
            f'{name} must be three numbers for red, green, blue, at most {_LARGEST_MEAN}, got '
            f'{reprlib.repr(value)}'
        )
    return tuple(map(float, value))


def _check_kinds(place: str, content: Training | Thresholds | None, kinds: dict[str, Any]) -> None:
    for name, kind in kinds.items():
        if content is not None and not isinstance(value := getattr(content, name), kind):
            raise InputError(f'{place}.{name} has a wrong type: {reprlib.repr(value)}')
