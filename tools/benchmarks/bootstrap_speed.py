"""Time the vectorised bootstrap and a loop over scikit-learn in one run, and large point metrics.

Both compute, for each replicate, class-wise precision, recall, F1, AP and AUROC and their means,
micro-averages, Hamming loss, coverage, ranking loss, Brier score, subset accuracy and kappa; ours
also specificity, NPV, calibration, MCC and balanced accuracy. Values of the replicates that both
computed are compared. CPU seconds are printed beside elapsed ones, for machines that others use
too.
"""

import argparse
import resource
import time
import warnings

import numpy as np
from sklearn import metrics as sk

from realmnet.cli import run
from realmnet.curation.label_schema import PSMM
from realmnet.evaluation.bootstrap import draw_weights, replicate, unit_of
from realmnet.evaluation.metric_records import metric_of
from realmnet.evaluation.metrics import all_metrics, make_plan

EXAMPLE = """example:
  OMP_NUM_THREADS=2 python tools/benchmarks/bootstrap_speed.py --loop 1000
"""
GRADES = list(PSMM.graded)


def example(images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic truth and scores of the test split's size and class shares."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((images, 7), np.int8)
    truth[np.arange(images), (rng.random(images) < 0.312).astype(int)] = 1
    share = np.array([294, 4887, 885, 412, 96]) / 6574
    truth[np.arange(images), 2 + rng.choice(5, images, p=share)] = 1
    noise = rng.normal(size=truth.shape)
    return truth, 1 / (1 + np.exp(-(2.8 * truth - 1.4 + noise)))


def loop(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """One replicate by scikit-learn."""
    predicted, values = scores >= 0.5, {}
    options = dict(average=None, zero_division=np.nan)
    columns = {
        'precision': sk.precision_score(truth, predicted, **options),
        'recall': sk.recall_score(truth, predicted, **options),
        'F1': sk.f1_score(truth, predicted, **options),
        'AP': sk.average_precision_score(truth, scores, average=None),
        'AUROC': sk.roc_auc_score(truth, scores, average=None),
        'brier': [sk.brier_score_loss(truth[:, c], scores[:, c]) for c in range(7)],
    }
    for name, column in columns.items():
        values[metric_of(name).mean] = np.mean(column)
        values |= {f'{name}_{c}': v for c, v in zip(PSMM.classes, column, strict=True)}
    for name, function in (('precision', sk.precision_score), ('recall', sk.recall_score),
                           ('F1', sk.f1_score)):  # fmt: skip
        values[f'{name}_micro'] = function(truth, predicted, average='micro')
    values['mAP_micro'] = sk.average_precision_score(truth, scores, average='micro')
    values['AUROC_micro'] = sk.roc_auc_score(truth, scores, average='micro')
    values['hamming'] = sk.hamming_loss(truth, predicted)
    values['coverage'] = sk.coverage_error(truth, scores)
    values['ranking'] = sk.label_ranking_loss(truth, scores)
    values['subset_accuracy'] = sk.accuracy_score(truth, predicted)
    values['kappa'] = sk.cohen_kappa_score(
        truth[:, GRADES].argmax(1), scores[:, GRADES].argmax(1), weights='quadratic'
    )
    return values


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--loop', type=int, default=100, help='replicates of the loop; its time '
                        'for 1,000 is in proportion')  # fmt: skip
    parser.add_argument('--images', type=int, default=6574)
    parser.add_argument('--many', type=int, default=1_000_000, help='images of the point metrics')
    args = parser.parse_args()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    truth, scores = example(args.images)
    start, cpu = time.perf_counter(), time.process_time()
    drawn = replicate(make_plan(truth, scores, PSMM.classes), 1000, seed=42)
    ours, ours_cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f'vectorised: 1000 replicates of {args.images} x 7, {len(drawn.names)} values each')
    print(f'  {ours:.2f} s ({ours_cpu:.2f} s of CPU), peak {peak:.0f} MB, imports {memory:.0f} MB')

    unit, number = unit_of(None, args.images)
    pieces = draw_weights(unit, number, args.loop, number, np.random.default_rng(42))
    weights = np.concatenate([part for _, part in pieces])
    start, cpu, worst = time.perf_counter(), time.process_time(), 0.0
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for counts, row in zip(weights, drawn.values, strict=False):
            rows = np.repeat(np.arange(args.images), counts)
            values = loop(truth[rows], scores[rows])
            vectorised = dict(zip(drawn.names, row, strict=True))
            worst = max(worst, *(abs(values[name] - vectorised[name]) for name in values))
    each = (time.perf_counter() - start) / args.loop
    each_cpu = (time.process_time() - cpu) / args.loop
    print(f'scikit-learn: {args.loop} replicates, {1000 * each:.1f} s '
          f'({1000 * each_cpu:.1f} s of CPU) for 1000; '
          f'largest difference {worst:.1e}')  # fmt: skip
    print(f'ratio {1000 * each / ours:.0f} ({1000 * each_cpu / ours_cpu:.0f} of CPU)')

    truth, scores = example(args.many)
    start, cpu = time.perf_counter(), time.process_time()
    all_metrics(truth, scores, PSMM.classes)
    print(f'point metrics of {args.many:,} x 7: {time.perf_counter() - start:.2f} s '
          f'({time.process_time() - cpu:.2f} s of CPU)')  # fmt: skip


if __name__ == '__main__':
    run(main)
