"""What the classes of a label table mean: order, names, groups, disease, pictures.

The order of the classes is defined here and nowhere else (:data:`PSMM`). Data sets, heads,
decoding, metrics, findings and figures take the classes and their meaning from the schema.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from realmnet.curation.class_groups import (
    ClassGroup,
    as_table_error,
    check_names,
    check_text,
    read_group,
)
from realmnet.curation.class_names import check_class_names, check_columns, name_problem
from realmnet.errors import LabelTableError

FILENAME = 'filename'
PATIENT = 'ID'
#: How the classes that mean the disease become one score, see
#: :func:`realmnet.evaluation.diagnosis.diagnosis_score`.
DIAGNOSIS_RULES = ('max', 'noisy-or')
#: What a disease is called whose name is not given.
UNNAMED_DISEASE = 'disease'

_NAMINGS = {'class_names': 'readable names', 'words': 'descriptions in words'}


@dataclass(frozen=True)
class LabelSchema:
    """Which classes a label table has, in which order, what they mean, and what is allowed.

    Attributes:
        name: What the schema is called in messages.
        classes: Column names, in the order that every model output and score follows.
        class_names: Readable names in the same order; the column names where not given.
        groups: Classes that belong together, as :class:`ClassGroup` or mappings of its fields. A
            class is in one group at most.
        allow_empty: Whether an image may have no label at all.
        allow_repeats: Whether a file name may stand on several rows, as in an over-sampled
            training list.
        diagnosis: Classes of which each means the disease; none where left out.
        disease: What the disease is called.
        diagnosis_rule: How those classes become one score, one of :data:`DIAGNOSIS_RULES`.
        words: Each class in a few words, for reports; the readable names where not given.
        modality: What the pictures are, for the model card.
        intended_use: What a model of these classes is for, for the model card.

    Raises:
        LabelTableError: If a class has a name that cannot be used
            (:func:`realmnet.curation.class_names.check_class_names`) or is named twice, a group
            or the diagnosis holds an unknown class, a class is in two groups, a disease is named
            that no class means, or there are not as many readable names as classes.

    Example:
        >>> odir = LabelSchema('ODIR-5K', ('N', 'D', 'G'), allow_empty=True)
        >>> odir.num_classes
        3
        >>> palm = LabelSchema('PALM', ('N', 'H', 'P'), diagnosis=('P',),
        ...                    disease='pathologic myopia',
        ...                    groups=(ClassGroup('stage', ('N', 'H', 'P'), ordered=True),))
        >>> palm.exclusive, palm.graded, palm.disease_code
        ((('N', 'H', 'P'),), (0, 1, 2), 'PM')
    """

    name: str
    classes: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    groups: tuple[ClassGroup, ...] = ()
    allow_empty: bool = False
    allow_repeats: bool = False
    diagnosis: tuple[str, ...] = ()
    disease: str = ''
    diagnosis_rule: str = 'max'
    words: tuple[str, ...] = ()
    modality: str = ''
    intended_use: str = ''

    def __post_init__(self) -> None:
        place = f'schema {self.name!r}'
        for name in ('classes', 'class_names', 'words'):
            object.__setattr__(self, name, check_names(getattr(self, name), f'{place}: {name}'))
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise LabelTableError(f'{place}: classes {list(self.classes)} must be named, each once')
        for name in ('class_names', 'words'):
            found = getattr(self, name)
            if found and len(found) != len(self.classes):
                raise LabelTableError(
                    f'{place}: {len(found)} {_NAMINGS[name]} for {len(self.classes)} classes; '
                    'give one each or none'
                )
        object.__setattr__(self, 'class_names', self.class_names or self.classes)
        object.__setattr__(self, 'words', self.words or self.class_names)
        with as_table_error():
            check_class_names(self.classes, self.class_names, place)
        for text in (self.name, *self.words, self.disease, self.modality, self.intended_use):
            check_text(text, f'{place}: {reprlib.repr(text)}')
        for name in ('allow_empty', 'allow_repeats'):
            if type(getattr(self, name)) is not bool:
                raise LabelTableError(
                    f'{place}: {name} must be true or false, got {getattr(self, name)!r}'
                )
        self._check_groups(place)
        self._check_diagnosis(place)
        columns = [group.column for group in self.groups if group.name]
        with as_table_error():
            check_columns([group.name for group in self.groups if group.name], 'the group', place)
            check_columns([self.disease] if self.disease else [], 'the disease', place)
        if self.disease_column in columns or len(set(columns)) < len(columns):
            raise LabelTableError(
                f'{place}: two of the groups {columns} and the disease {self.disease!r} would have '
                'one column in a table of findings; rename one'
            )

    def _check_groups(self, place: str) -> None:
        if not isinstance(self.groups, Sequence) or isinstance(self.groups, str):
            raise LabelTableError(
                f'{place}: groups is {self.groups!r}, expected a list of groups; write [...]'
            )
        groups = tuple(read_group(group, place) for group in self.groups)
        object.__setattr__(self, 'groups', groups)
        seen: dict[str, ClassGroup] = {}
        names: set[str] = set()
        for group in groups:
            if unknown := [name for name in group.classes if name not in self.classes]:
                raise LabelTableError(
                    f'{place}: group {group.label!r} names unknown classes {unknown}; the classes '
                    f'are {list(self.classes)}'
                )
            for name in group.classes:
                if name in seen:
                    raise LabelTableError(
                        f'{place}: class {name!r} is in two groups, {seen[name].label!r} and '
                        f'{group.label!r}; leave it in one'
                    )
                seen[name] = group
            if group.label in names or group.name in self.classes:
                raise LabelTableError(
                    f'{place}: the group name {group.label!r} is taken by another group or a '
                    'class; rename the group'
                )
            names.add(group.label)

    def _check_diagnosis(self, place: str) -> None:
        if isinstance(self.diagnosis, str):
            raise LabelTableError(
                f'{place}: diagnosis is {self.diagnosis!r}, expected a list of classes; write '
                f'[{self.diagnosis!r}]'
            )
        object.__setattr__(self, 'diagnosis', check_names(self.diagnosis, f'{place}: diagnosis'))
        unknown = [name for name in self.diagnosis if name not in self.classes]
        if unknown or len(set(self.diagnosis)) < len(self.diagnosis):
            raise LabelTableError(
                f'{place}: the diagnosis names {unknown or list(self.diagnosis)}; '
                f'name each once, of the classes {list(self.classes)}'
            )
        if self.disease and not self.diagnosis:
            raise LabelTableError(
                f'{place}: the disease {self.disease!r} names no class; name those that mean it, '
                'diagnosis=[...]'
            )
        if self.diagnosis and not self.disease:
            object.__setattr__(self, 'disease', UNNAMED_DISEASE)
        if self.diagnosis_rule not in DIAGNOSIS_RULES:
            raise LabelTableError(
                f'{place}: diagnosis_rule {self.diagnosis_rule!r} is unknown; use one of '
                f'{DIAGNOSIS_RULES}'
            )

    @property
    def num_classes(self) -> int:
        """Number of classes, which a head's ``num_classes`` must equal."""
        return len(self.classes)

    @property
    def columns(self) -> list[str]:
        """All columns of a table of this schema, as they are written."""
        return [*self.classes, FILENAME, PATIENT]

    @property
    def exclusive(self) -> tuple[tuple[str, ...], ...]:
        """Classes of the groups of which every image has exactly one."""
        return tuple(group.classes for group in self.groups if group.exclusive)

    @property
    def graded(self) -> tuple[int, ...] | None:
        """Positions of the first exclusive scale of three classes or more; None without one."""
        for group in self.groups:
            if group.exclusive and group.ordered and len(group.classes) > 2:
                return self.positions(group)
        return None

    @property
    def decisions(self) -> tuple[ClassGroup, ...]:
        """The exclusive groups that have a name: scales and choices, then absent or present."""
        named = [group for group in self.groups if group.exclusive and group.name]
        return tuple(sorted(named, key=lambda group: group.tells_presence))

    @property
    def disease_column(self) -> str:
        """The disease's column in tables of findings; empty without a diagnosis."""
        return self.disease.replace(' ', '_')

    @property
    def softmax_groups(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the classes of each group whose scores add up to 1."""
        return tuple(self.positions(g) for g in self.groups if g.activation == 'softmax')

    @property
    def disease_code(self) -> str:
        """The disease as a class: ``PM`` for pathologic myopia, initials of several words."""
        initials = ''.join(part[0] for part in self.disease.split() if part[0].isalnum()).upper()
        return self.disease if len(initials) < 2 or name_problem(initials) else initials

    def positions(self, group: ClassGroup) -> tuple[int, ...]:
        """Return where the classes of a group stand."""
        return tuple(map(self.classes.index, group.classes))

    def group_of(self, name: str) -> ClassGroup | None:
        """Return the group of a class, None for a class that stands alone."""
        return next((group for group in self.groups if name in group.classes), None)

    def subset(self, classes: Sequence[str]) -> LabelSchema:
        """Return what is left of the meaning when only some classes are, in the order given.

        Groups that lost a class are no groups any more; a disease that lost all is none.

        Example:
            >>> PSMM.subset(['S1', 'S0', 'A0']).exclusive
            (('S0', 'S1'),)
        """
        classes = tuple(classes)
        if classes == self.classes:
            return self
        kept = [self.classes.index(name) for name in classes]
        diagnosis = tuple(name for name in self.diagnosis if name in classes)
        return replace(
            self,
            classes=classes,
            class_names=tuple(self.class_names[i] for i in kept),
            words=tuple(self.words[i] for i in kept),
            groups=tuple(g for g in self.groups if set(g.classes) <= set(classes)),
            diagnosis=diagnosis,
            disease=self.disease if diagnosis else '',
        )

    def resampled(self) -> LabelSchema:
        """Return the schema of a training list that a resampler made from this one.

        Over-sampling repeats file names, and decoupling (REMEDIAL) takes labels away, so
        repeats, empty rows and incomplete groups are allowed.
        """
        return replace(
            self, name=f'{self.name}-resampled', groups=(), allow_empty=True, allow_repeats=True
        )

    def to_info(self) -> dict[str, Any]:
        """Return what predictions and data sets say of their classes, as JSON values.

        ``schema`` and ``diagnosis`` are the name and the classes that mean the disease, as files
        have always said them; ``label_schema`` is all of it.
        """
        return {
            'schema': self.name,
            'diagnosis': list(self.diagnosis),
            'label_schema': self.to_fields(),
        }

    def to_fields(self) -> dict[str, Any]:
        """Return what :func:`get_schema` reads, as JSON values; what is as by default is left out.

        Example:
            >>> LabelSchema('x', ('a', 'b'), diagnosis=('b',), disease='glaucoma').to_fields()
            {'name': 'x', 'classes': ['a', 'b'], 'diagnosis': ['b'], 'disease': 'glaucoma'}
        """
        content = _without_defaults(self)
        for name, other in (('words', 'class_names'), ('class_names', 'classes')):
            if getattr(self, name) == getattr(self, other):
                content.pop(name, None)
        return content


def get_schema(schema: str | Mapping | LabelSchema) -> LabelSchema:
    """Return a schema from its name, from the fields in a config, or unchanged.

    Args:
        schema: ``'PSMM'``, a mapping with the fields of :class:`LabelSchema`, or a schema. In a
            mapping, ``exclusive=[[...]]`` names exclusive groups that have nothing but classes.

    Raises:
        LabelTableError: If the name is unknown or a field does not exist.

    Example:
        >>> get_schema('PSMM').classes[0]
        'S0'
        >>> get_schema(dict(name='PALM', classes=['N', 'H', 'P'])).num_classes
        3
    """
    if isinstance(schema, LabelSchema):
        return schema
    if isinstance(schema, str):
        if schema not in _SCHEMAS:
            raise LabelTableError(
                f'label schema {schema!r} is unknown; use one of {sorted(_SCHEMAS)} or give '
                'dict(name=..., classes=[...])'
            )
        return _SCHEMAS[schema]
    content = dict(schema)
    groups = content.pop('exclusive', None)
    if groups:
        if content.get('groups'):
            raise LabelTableError(
                f'label schema {content.get("name")!r} has both groups and exclusive; leave '
                'exclusive out, and set exclusive=True in its groups'
            )
        content['groups'] = [{'name': '', 'classes': group} for group in groups]
    known = [field.name for field in fields(LabelSchema)]
    if unknown := [name for name in content if name not in known]:
        raise LabelTableError(
            f'label schema {content.get("name")!r} cannot be read: it has no field '
            f'{unknown[0]!r}; it takes {", ".join(known)}'
        )
    if missing := [name for name in ('name', 'classes') if name not in content]:
        raise LabelTableError(
            f'label schema {dict(schema)} cannot be read: {missing[0]} is missing; give '
            'dict(name=..., classes=[...])'
        )
    return LabelSchema(**content)


def schema_of(
    classes: Sequence[str] | LabelSchema,
    name: str | None = None,
    diagnosis: Sequence[str] | None = None,
    disease: str = '',
) -> LabelSchema:
    """Return what classes mean, where only their names and little else are at hand.

    A name such as ``M`` or ``A4`` means nothing by itself. Exactly the seven classes of PSMM, in
    any order, are PSMM's unless they say to be of another schema.

    Args:
        classes: Class names, or a schema, which is returned as it is.
        name: The schema that they are said to be of.
        diagnosis: Classes that are said to mean the disease, PSMM's aside.
        disease: What that is called; :data:`EARLIER_DISEASE` in files that do not say it.

    Raises:
        LabelTableError: If the diagnosis names another class.

    Example:
        >>> schema_of(PSMM.classes).diagnosis, schema_of(['N', 'M']).diagnosis
        (('S1', 'A2', 'A3', 'A4'), ())
    """
    if isinstance(classes, LabelSchema):
        return classes
    classes = tuple(classes)
    # 'custom' is what a description says that was given no name
    unnamed = name == 'custom' and (diagnosis is None or tuple(diagnosis) == PSMM.diagnosis)
    if sorted(classes) == sorted(PSMM.classes) and (unnamed or name in (None, *_SCHEMAS)):
        schema = PSMM.subset(classes)
        if diagnosis is None or tuple(diagnosis) == schema.diagnosis:
            return schema
        disease = schema.disease if diagnosis else ''
        return replace(schema, diagnosis=tuple(diagnosis), disease=disease)
    diagnosis = tuple(diagnosis or ())
    disease = disease if diagnosis else ''
    return LabelSchema(name or 'unnamed', classes, diagnosis=diagnosis, disease=disease)


def _without_defaults(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_without_defaults(item) for item in value]
    if not isinstance(value, LabelSchema | ClassGroup):
        return value
    content = {field.name: getattr(value, field.name) for field in fields(value)}
    return {
        field.name: _without_defaults(content[field.name])
        for field in fields(value)
        if field.default is MISSING or content[field.name] != field.default
    }


#: Published order of PSMM: staphyloma no/yes, then the META-PM grade of myopic maculopathy.
PSMM = LabelSchema(
    name='PSMM',
    classes=('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4'),
    class_names=('NoPS', 'PS', 'NoMRL', 'TFO', 'DCA', 'PCA', 'MA'),
    words=(
        'no posterior staphyloma', 'posterior staphyloma', 'no myopic retinal lesion',
        'tessellated fundus only', 'diffuse chorioretinal atrophy',
        'patchy chorioretinal atrophy', 'macular atrophy',
    ),
    groups=(
        ClassGroup('staphyloma', ('S0', 'S1'), ordered=True, title='Posterior staphyloma'),
        ClassGroup('grade', ('A0', 'A1', 'A2', 'A3', 'A4'), ordered=True,
                   title='Myopic maculopathy'),
    ),
    # META-PM (Ohno-Matsui et al., Am J Ophthalmol 2015): staphyloma, or grade 2 and worse
    diagnosis=('S1', 'A2', 'A3', 'A4'),
    disease='pathologic myopia',
    modality='ultra-widefield fundus pictures',
    intended_use='Research on myopic lesions',
)  # fmt: skip

#: What every disease was called before a schema could name it.
EARLIER_DISEASE = PSMM.disease

#: Training lists made from PSMM by over-sampling or decoupling.
PSMM_RESAMPLED = PSMM.resampled()

_SCHEMAS = {schema.name: schema for schema in (PSMM, PSMM_RESAMPLED)}
