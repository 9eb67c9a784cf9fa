"""Train a model."""

import argparse
from pathlib import Path

from mmengine.config import Config

from realmnet.cli import run
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
from realmnet.experiments.quick import run_config
from realmnet.experiments.quick_data import ensure_quick_data, uses_quick_data

EXAMPLE = """example:
  tools/dist_train.sh configs/quickstart/tinyvit-5m-128_synthetic.py 1
  python tools/train.py configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py \\
      --cfg-options pretrained=None data_root=/data/PSMM
  python tools/train.py configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py --quick
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints; by default '
                        'work_dirs/<name of the config>, with --quick '
                        'work_dirs/quick/<name of the config>')  # fmt: skip
    parser.add_argument('--quick', action='store_true', help='try the config in a minute on a '
                        'laptop: the small network that it declares, two epochs, 64 px; '
                        'synthetic pictures, or a few of your own')  # fmt: skip
    parser.add_argument('--resume', nargs='?', const='auto', help='go on from a checkpoint, '
                        'without a value from the newest one of the work folder')  # fmt: skip
    parser.add_argument('--amp', action='store_true', help='mixed precision (GPU)')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate between epochs')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate by '
                        'the total batch size over the 64 of the recipe')  # fmt: skip
    parser.add_argument('--with', nargs='+', default=[], dest='fragments', metavar='OPTION',
                        help='fragments of configs/_base_/options to add: best_checkpoint, '
                        'early_stopping, ema, tensorboard, wandb')  # fmt: skip
    parser.add_argument('--skip-data-check', action='store_true',
                        help='do not check labels and pictures before the run')  # fmt: skip
    parser.add_argument('--cfg-options', nargs='+', action=KeyValues, help='settings that '
                        'override the config, key=value; lists as key="[a,b]"')  # fmt: skip
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='who started the processes; dist_train.sh sets it')  # fmt: skip
    return parser.parse_args()


def read_config(args: argparse.Namespace) -> Config:
    """Read the config, with --quick shrink it; --cfg-options have the last word."""
    cfg = load_config(args.config, fragments=args.fragments)
    cfg, said = run_config(cfg, args.cfg_options or {}, args.quick)
    if rank_of(args.launcher) == 0:
        for line in said:
            print(f'quick: {line}')
    return cfg


def apply_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Put the arguments into the configuration."""
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        folder = Path('work_dirs', 'quick') if args.quick else Path('work_dirs')
        cfg.work_dir = str(folder / Path(args.config).stem)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        cfg.auto_scale_lr.enable = True
        # mmengine counts the pictures of one step, and accumulated steps are one update.
        steps = cfg.optim_wrapper.get('accumulative_counts', 1)
        cfg.auto_scale_lr.base_batch_size /= steps
    check_mixed_precision(cfg)


def check_schedule(cfg: Config) -> None:
    """Refuse a run that ends before one of its schedulers begins, as a short trial would."""
    epochs = cfg.train_cfg.get('max_epochs')
    begin = max(
        (s.get('begin', 0) for s in cfg.get('param_scheduler') or [] if s.get('by_epoch', True)),
        default=0,
    )
    if epochs is not None and begin >= epochs:
        raise InputError(
            f'train_cfg.max_epochs={epochs}, but a scheduler begins at epoch {begin}: train for '
            f'more epochs, or drop the schedule with --cfg-options param_scheduler=None'
        )


def main() -> None:
    args = parse_args()
    cfg = read_config(args)
    apply_arguments(cfg, args)
    check_schedule(cfg)
    used = ['train'] if args.no_validate else ['train', 'val']
    check_curves(cfg)
    check_shared_memory(cfg, used, local_processes(args.launcher))
    if args.quick and uses_quick_data(cfg) and rank_of(args.launcher) == 0:
        ensure_quick_data()
    if not args.skip_data_check and rank_of(args.launcher) == 0:
        others = [name for name in ('val', 'test') if name not in used]
        check_data(list(datasets(cfg, used)), list(datasets(cfg, others)))
    prepare_launch(cfg, args.launcher)
    build_runner(cfg).train()
    finish_launch()


if __name__ == '__main__':
    run(main)
