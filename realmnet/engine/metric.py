"""The one metric of training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpretrain.registry import METRICS

from realmnet.errors import InputError
from realmnet.evaluation.metrics import all_metrics, metrics_table
from realmnet.evaluation.predictions import Predictions, write_predictions


@METRICS.register_module()
class MultiLabelReport(BaseMetric):
    """Gather all predictions once, report every metric, write the predictions file if asked.

    Values are fractions under ``multi-label/``: every metric of
    :data:`realmnet.evaluation.metric_records.METRICS` over all classes (``multi-label/mAP``), and
    those of class level of each class (``multi-label/AUROC_A4``). Any of them can be ``save_best``
    or be watched for early stopping. Padding that a distributed sampler adds is dropped; a picture
    that still occurs twice is an error.

    Attributes:
        predictions: What was gathered last, on the main process; None before.

    Args:
        threshold: Score from which a class counts as predicted.
        predictions_file: ``.csv`` or ``.json`` to write, see
            :mod:`realmnet.evaluation.predictions`.
        info: What the JSON form says of its origin (config, checkpoint, seed).
        collect_device: ``'gpu'`` gathers through the process group, on CPUs too; ``'cpu'``
            through files of a folder that all processes share.
        prefix: Prefix of the reported names.

    Example:
        >>> val_evaluator = dict(type='MultiLabelReport')
    """

    default_prefix = 'multi-label'

    def __init__(
        self,
        threshold: float = 0.5,
        predictions_file: str | None = None,
        info: Mapping | None = None,
        collect_device: str = 'gpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.threshold = threshold
        self.predictions_file = predictions_file
        self.info = dict(info or {})
        self.predictions: Predictions | None = None

    def process(self, data_batch: Mapping, data_samples: Sequence[Mapping]) -> None:
        """Keep file name, patient, scores and truth of a batch."""
        for sample in data_samples:
            score = sample['pred_score'].float().cpu().numpy()
            truth = sample['gt_score'].cpu().numpy()
            if score.shape != truth.shape:
                raise InputError(
                    f'the head gives {len(score)} scores, the labels have {len(truth)} classes; '
                    'set model.head.num_classes to the number of classes of the label schema'
                )
            self.results.append((sample['filename'], sample['patient'], score, truth))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Compute all metrics from the gathered results, on the main process."""
        predictions = self.predictions = self._predictions(results)
        if self.predictions_file:
            write_predictions(predictions, self.predictions_file)
            print_log(f'predictions written to {self.predictions_file}', logger='current')
        values = all_metrics(
            predictions.truth, predictions.scores, predictions.schema, self.threshold
        )
        names = self.dataset_meta.get('class_names', predictions.classes)
        table = metrics_table(values, predictions.classes, names)
        print_log(f'{len(predictions)} pictures, threshold {self.threshold}\n{table}', 'current')
        return values

    def _predictions(self, results: list[tuple]) -> Predictions:
        filenames, patients, scores, truth = zip(*results, strict=True)
        if len(set(filenames)) != len(filenames):
            raise InputError(
                f'{len(filenames) - len(set(filenames))} picture(s) were evaluated twice; '
                'evaluate with DefaultSampler(shuffle=False)'
            )
        return Predictions(
            filenames=np.array(filenames, dtype=object),
            patients=np.array(patients, dtype=object),
            scores=np.stack(scores).astype(np.float64),
            truth=np.stack(truth).astype(np.int8),
            classes=tuple(self.dataset_meta['classes']),
            info=self.info | self.dataset_meta.get('meaning', {}),
        )
