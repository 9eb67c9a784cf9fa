"""Test a model: metrics overall and per class, and the predictions file."""

import argparse
import json
import math
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

from realmnet.cli import run
from realmnet.curation.name_table import say_names
from realmnet.curation.outputs import write_whole
from realmnet.curation.picture_names import AUTOMATIC, OWN_EYE
from realmnet.curation.synthetic import is_synthetic
from realmnet.curation.synthetic_marks import MARK
from realmnet.datasets.preflight import check_data
from realmnet.engine.config import datasets, load_config
from realmnet.engine.launch import (
    build_runner,
    check_mixed_precision,
    finish_launch,
    local_processes,
    prepare_launch,
    rank_of,
)
from realmnet.engine.options import KeyValues
from realmnet.engine.preflight import check_curves, check_shared_memory
from realmnet.errors import InputError
from realmnet.evaluation.diagnosis import has_diagnosis
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.recalibration import find_recalibration
from realmnet.evaluation.thresholds import find_thresholds
from realmnet.progress import Progress

EXAMPLE = """example:
  tools/dist_test.sh work_dirs/quickstart/<time>/vis_data/config.py \\
      work_dirs/quickstart/<time>/epoch_7.pth 1 --out work_dirs/quickstart/test.csv

With --bootstrap 1000 it ends with the row of a paper's table: every metric with its interval.

--out FILE.csv or FILE.json writes the predictions (one row a picture: filename, ID, a score a
class, the truth); FILE.pkl writes mmengine's dumped results. With --out-item metrics, FILE.json
holds the metrics.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for logs')
    parser.add_argument('--out', help='file for predictions or metrics')
    parser.add_argument('--out-item', choices=['metrics', 'pred'], default='pred',
                        help='what --out holds; by default the predictions')  # fmt: skip
    parser.add_argument('--bootstrap', type=int, default=0, metavar='B', help='end with the table '
                        'of all metrics with 95 %% intervals from B replicates')  # fmt: skip
    parser.add_argument('--by', choices=('patient', 'image'), default='patient',
                        help='what the bootstrap draws (patient)')  # fmt: skip
    parser.add_argument('--amp', action='store_true', help='mixed precision (GPU)')
    parser.add_argument('--tta', action='store_true', help="test-time augmentation: the config's "
                        'tta_pipeline, by default the picture and its mirror image')  # fmt: skip
    parser.add_argument('--skip-data-check', action='store_true',
                        help='do not check labels and pictures before the run')  # fmt: skip
    parser.add_argument('--cfg-options', nargs='+', action=KeyValues, help='settings that '
                        'override the config, key=value; lists as key="[a,b]"')  # fmt: skip
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='who started the processes; dist_test.sh sets it')  # fmt: skip
    args = parser.parse_args()
    suffixes = ('.json',) if args.out_item == 'metrics' else ('.csv', '.json', '.pkl')
    if args.out and Path(args.out).suffix not in suffixes:
        raise InputError(
            f'--out {args.out}: with --out-item {args.out_item} the file ends in '
            f'{" or ".join(suffixes)}'
        )
    return args


def apply_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Put the arguments into the configuration."""
    for key in ('load_from', 'resume'):
        if key in (args.cfg_options or {}):
            raise InputError(f'--cfg-options {key}: a test takes the checkpoint after the config')
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(args.config).stem))
    if args.amp:
        cfg.test_cfg.fp16 = True
    check_mixed_precision(cfg)
    if args.tta:
        use_tta(cfg)
    cfg.test_evaluator.info = dict(
        config=args.config,
        checkpoint=args.checkpoint,
        seed=cfg.randomness.get('seed'),
        split=split_of(cfg),
    )
    roots = [d.get('data_root') or cfg.get('data_root', '') for d in datasets(cfg, ['test'])]
    if any(map(is_synthetic, roots)):
        cfg.test_evaluator.info['notice'] = MARK
    if args.out and args.out_item == 'pred' and not args.out.endswith('.pkl'):
        cfg.test_evaluator.predictions_file = args.out


def split_of(cfg: Config) -> str:
    """Name the split that is tested: ``'val'`` or ``'train'`` if its label files are theirs."""

    def files(loader: str) -> set[tuple[str, str]]:
        root = cfg.get('data_root', '')
        return {(d.get('data_root') or root, d.get('ann_file')) for d in datasets(cfg, [loader])}

    return next((name for name in ('val', 'train') if files('test') == files(name)), 'test')


def use_tta(cfg: Config) -> None:
    """Wrap the model so that it averages the scores of several views of each picture."""
    pipeline = cfg.test_dataloader.dataset.pipeline
    flips = [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)]
    views = dict(type='TestTimeAug', transforms=[flips, [pipeline[-1]]])
    cfg.test_dataloader.dataset.pipeline = cfg.get('tta_pipeline') or [*pipeline[:-1], views]
    tta_model = cfg.get('tta_model') or dict(type='AverageMultiLabelTTA')
    cfg.model = ConfigDict(**deepcopy(tta_model), module=cfg.model)


def write_metrics(metrics: dict[str, float | str], path: str) -> None:
    """Write metrics as JSON, undefined ones as null, with the notice of synthetic pictures."""
    values = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in metrics.items()
    }
    write_whole(path, json.dumps(values, indent=1) + '\n')


def print_intervals(predictions: Predictions, replicates: int, by: str) -> None:
    """Print all metrics with intervals, from what was just predicted."""
    predictions = find_recalibration(predictions)
    if has_diagnosis(predictions.schema):
        say_names(predictions.filenames, AUTOMATIC, OWN_EYE)
    evaluation = evaluate(
        predictions,
        bootstrap=replicates,
        by=by,
        thresholds=find_thresholds(predictions),
        progress=Progress('bootstrap replicates'),
    )
    print(evaluation.table())


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    apply_arguments(cfg, args)
    check_curves(cfg)
    check_shared_memory(cfg, ['test'], local_processes(args.launcher))
    if not args.skip_data_check and rank_of(args.launcher) == 0:
        check_data(list(datasets(cfg, ['test'])), list(datasets(cfg, ['train', 'val'])))
    prepare_launch(cfg, args.launcher)
    runner = build_runner(cfg)
    if args.out and args.out.endswith('.pkl'):
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    metrics = runner.test()
    if is_main_process() and args.out and args.out_item == 'metrics':
        notice = cfg.test_evaluator.info.get('notice')
        write_metrics(metrics | ({'notice': notice} if notice else {}), args.out)
    if is_main_process() and args.bootstrap:
        print_intervals(runner.test_evaluator.metrics[0].predictions, args.bootstrap, args.by)
    finish_launch()


if __name__ == '__main__':
    run(main)
