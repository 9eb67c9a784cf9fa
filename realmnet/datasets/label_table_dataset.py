"""Multi-label pictures described by a label table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmpretrain.datasets import MultiLabelDataset
from mmpretrain.registry import DATASETS

from realmnet.curation.identifiers import picture_path
from realmnet.curation.label_schema import LabelSchema, get_schema
from realmnet.curation.label_table import LabelTable, examples, read_label_table
from realmnet.curation.listed_pictures import missing_pictures, near_picture
from realmnet.errors import InputError


@DATASETS.register_module()
class LabelTableDataset(MultiLabelDataset):
    """Pictures with zero or more labels each, listed in a CSV label table.

    The schema fixes the classes and their order; columns that it does not name are ignored and
    reported once. Missing pictures are reported when the dataset is built, with their names and
    number, and not in the middle of an epoch.

    Args:
        ann_file: Label file, relative to ``data_root`` or absolute.
        schema: A schema name or ``dict(name=..., classes=[...], allow_empty=...)``, see
            :class:`realmnet.curation.label_schema.LabelSchema`.
        data_root: Root of ``ann_file`` and ``data_prefix``.
        data_prefix: Picture folder.
        pipeline: Transforms. Each item carries ``img_path``, ``gt_score`` (0/1, shape (C,)),
            ``filename``, ``patient`` and ``line`` (the line of the label file).
        **kwargs: Passed on to mmpretrain's ``MultiLabelDataset``.

    Raises:
        InputError: If the table breaks its schema or pictures are missing.

    Example:
        >>> train = dict(
        ...     type='LabelTableDataset',
        ...     schema=dict(name='PALM', classes=['N', 'H', 'P']),
        ...     data_root='data/palm', ann_file='train.csv', data_prefix='images')
    """

    def __init__(
        self,
        ann_file: str,
        schema: str | Mapping | LabelSchema,
        data_root: str = '',
        data_prefix: str | dict = '',
        pipeline: Sequence = (),
        **kwargs,
    ) -> None:
        self.schema = get_schema(schema)
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=pipeline,
            metainfo=dict(
                classes=self.schema.classes,
                class_names=self.schema.class_names,
                # Not as text of its own: mmengine opens the file, or address, that a text names.
                meaning=self.schema.to_info(),
            ),
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Read the label table; one dict a row."""
        table = self.read_table()
        if table.ignored:
            print_log(
                f'{table.source}: columns that schema {self.schema.name!r} does not name are '
                f'ignored: {list(table.ignored)}',
                logger='current',
            )
        folder = Path(self.img_prefix)
        missing = missing_pictures(table, folder)
        if missing:
            raise InputError(
                f'{len(missing)} of {len(table)} pictures listed in {table.source} are not in '
                f'{folder}: {examples(missing)}{near_picture(missing[0], folder)}; put them there '
                '(data/README.md says where to get PSMM) or set data_root'
            )
        # Scores, not class indices: a picture without any label then needs no special case.
        labels = table.labels.astype(np.float32)
        return [
            dict(
                img_path=str(picture_path(folder, name)),
                gt_score=row,
                filename=name,
                patient=patient,
                line=int(line),
            )
            for row, name, patient, line in zip(
                labels, table.filenames, table.patients, table.lines, strict=True
            )
        ]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Indices of the classes of picture ``idx``, which class-balanced wrappers ask for."""
        return np.flatnonzero(self.get_data_info(idx)['gt_score']).tolist()

    def read_table(self) -> LabelTable:
        """Read and check this dataset's label table."""
        return read_label_table(self.ann_file, self.schema)


@DATASETS.register_module()
class PSMMDataset(LabelTableDataset):
    """The published PSMM layout: ``JPEGImages`` and ``ImageSets/Main``, seven classes.

    Args:
        data_root: Root of the data set.
        ann_file: Label file under ``data_root``.
        data_prefix: Picture folder under ``data_root``.
        schema: PSMM's classes in the published order.
        **kwargs: Passed on to :class:`LabelTableDataset`.

    Example:
        >>> test = dict(type='PSMMDataset', data_root='data/PSMM',
        ...             ann_file='ImageSets/Main/test.csv')
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = 'data/PSMM',
        data_prefix: str | dict = 'JPEGImages',
        schema: str | Mapping | LabelSchema = 'PSMM',
        **kwargs,
    ) -> None:
        super().__init__(
            ann_file=ann_file,
            schema=schema,
            data_root=data_root,
            data_prefix=data_prefix,
            **kwargs,
        )
