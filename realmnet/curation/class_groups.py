"""Classes that belong together, and what the group says of a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from realmnet.errors import InputError, LabelTableError

#: How scores become probabilities: each class by itself, or together in an exclusive group.
ACTIVATIONS = ('sigmoid', 'softmax')

_LONGEST_TEXT = 500


@dataclass(frozen=True)
class ClassGroup:
    """Classes that belong together.

    Attributes:
        name: What the group decides, such as ``'grade'``; a column of the findings table. A group
            without a name has no column.
        classes: Two or more classes; where ``ordered``, in rising severity.
        exclusive: Whether every picture has exactly one of them.
        ordered: Whether the classes are steps of a scale, from which the worst picture of an eye
            or patient and Cohen's kappa are taken. Of two ordered classes the first means that
            something is absent, the second that it is present.
        activation: ``'softmax'`` where the group is exclusive and was trained with
            cross-entropy, so that its scores add up to 1; otherwise ``'sigmoid'``.
        title: The group in words, for reports; made of the name where left out.

    Raises:
        LabelTableError: If there are fewer than two classes, one is named twice, or a group that
            is not exclusive asks for softmax.

    Example:
        >>> ClassGroup('stage', ('N', 'H', 'P'), ordered=True).words
        'Stage'
    """

    name: str
    classes: tuple[str, ...]
    exclusive: bool = True
    ordered: bool = False
    activation: str = 'sigmoid'
    title: str = ''

    def __post_init__(self) -> None:
        classes = check_names(self.classes, f'group {self.name!r}: classes')
        object.__setattr__(self, 'classes', classes)
        for name in ('name', 'title'):
            check_text(getattr(self, name), f'the {name} of the group {list(classes)}')
        place = f'group {self.name or list(classes)!r}'
        if len(classes) < 2 or len(set(classes)) < len(classes):
            raise LabelTableError(
                f'{place} has the classes {list(classes)}, expected two or more, each once; a '
                'class that stands alone needs no group'
            )
        for name in ('exclusive', 'ordered'):
            if type(getattr(self, name)) is not bool:
                raise LabelTableError(
                    f'{place}: {name} must be true or false, got {getattr(self, name)!r}'
                )
        if self.activation not in ACTIVATIONS:
            raise LabelTableError(
                f'{place}: activation {self.activation!r} is unknown; use one of {ACTIVATIONS}'
            )
        if self.activation == 'softmax' and not self.exclusive:
            raise LabelTableError(
                f'{place}: softmax makes the scores of a group add up to 1, but its classes do not '
                "exclude each other; set exclusive=True, or activation='sigmoid'"
            )

    @property
    def label(self) -> str:
        """What the group is called in lists: its name, or its classes."""
        return self.name or '/'.join(self.classes)

    @property
    def words(self) -> str:
        """What the group is called in reports."""
        return self.title or self.label[:1].upper() + self.label[1:]

    @property
    def column(self) -> str:
        """The group's column in tables of findings; empty without a name."""
        return self.name.replace(' ', '_')

    @property
    def tells_presence(self) -> bool:
        """Whether the group says only that something is absent or present."""
        return self.exclusive and self.ordered and len(self.classes) == 2


def read_group(group: Any, place: str) -> ClassGroup:
    """Return a group from the fields in a config, or unchanged."""
    if isinstance(group, ClassGroup):
        return group
    known = [field.name for field in fields(ClassGroup)]
    if not isinstance(group, Mapping) or not {'name', 'classes'} <= set(group) <= set(known):
        raise LabelTableError(
            f'{place}: the group {group!r} cannot be read; write dict(name=..., classes=[...]), '
            f'with {", ".join(known[2:])} where needed'
        )
    try:
        return ClassGroup(**group)
    except LabelTableError as error:
        raise LabelTableError(f'{place}: {error}') from None


def check_names(value: Any, place: str) -> tuple[str, ...]:
    """Return a list of names as a tuple; text and other values are refused."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise LabelTableError(f'{place} must be a list of names, got {value!r}')
    if wrong := [name for name in value if not isinstance(name, str)]:
        raise LabelTableError(
            f'{place} must be names, got {wrong[0]!r}; write it in quotation marks'
        )
    return tuple(value)


def check_text(text: Any, place: str) -> None:
    """Refuse what is no text, or would not fit on one line."""
    if not isinstance(text, str) or not text.isprintable() or len(text) > _LONGEST_TEXT:
        raise LabelTableError(
            f'{place} must be text on one line, of at most {_LONGEST_TEXT} characters'
        )


@contextmanager
def as_table_error() -> Iterator[None]:
    """Raise what is wrong with names as an error of the schema."""
    try:
        yield
    except InputError as error:
        raise LabelTableError(str(error)) from None
