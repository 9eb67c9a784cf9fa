"""Export a model to ONNX or torch.export, and check that it says the same."""

import argparse
from pathlib import Path

from realmnet.cli import run

EXAMPLE = """example:
  python tools/deployment/pack.py work_dirs/run/epoch_50.pth --out model.pth
  python tools/deployment/export.py model.pth --out model.onnx --int8 --pictures photographs

Each file holds everything: weights, classes, preprocessing, thresholds. It is written only if its
scores differ from the network's by 1e-4 at most, on the pictures given and on noise; findings that
change are counted. --int8 writes model_int8.onnx beside model.onnx; how far its scores move is
printed, and with --labels what that costs in mAP.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='file of pack.py, or of a training')
    parser.add_argument('--out', type=Path, nargs='+', required=True, metavar='FILE',
                        help='.onnx, .pt2 (torch.export), or both')  # fmt: skip
    parser.add_argument('--int8', action='store_true', help='also with 8-bit matrix products')
    parser.add_argument('--pictures', type=Path, metavar='FOLDER',
                        help='compare on these too (the first 200)')  # fmt: skip
    parser.add_argument('--labels', type=Path, metavar='CSV',
                        help='label table of --pictures: take its rows, print mAP')  # fmt: skip
    parser.add_argument('--benchmark', action='store_true', help='print images per second')
    args = parser.parse_args()
    if args.labels and not args.pictures:
        parser.error('--labels needs --pictures, the folder of its pictures')
    if args.int8 and not any(path.suffix == '.onnx' for path in args.out):
        parser.error('--int8 needs an .onnx file in --out')
    return args


def main() -> None:
    args = parse_args()
    # Here, so that --help and typing mistakes need not wait for torch.
    from realmnet.deployment.export_report import export_all, report
    from realmnet.deployment.trained_model import TrainedModel
    from realmnet.progress import Progress
    from realmnet.reporting.findings_table import NOTICE

    trained = TrainedModel(args.checkpoint)
    exported = export_all(
        trained.model, trained.description, args.out, args.int8, args.pictures, args.labels,
        args.benchmark, Progress('files'),
    )  # fmt: skip
    print(report(exported))
    if trained.description.training.synthetic:
        print('The model was trained on SYNTHETIC pictures: this says nothing about patients.')
    print(NOTICE)


if __name__ == '__main__':
    run(main)
