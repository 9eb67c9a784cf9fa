"""Make a file for inference from a training's checkpoint: weights, description, model card."""

import argparse
import sys
from pathlib import Path

from realmnet.cli import run
from realmnet.reporting.findings_table import NOTICE
from realmnet.reporting.model_card import model_card

EXAMPLE = """examples:
  python tools/deployment/pack.py work_dirs/run/epoch_50.pth --out model.pth \\
      --thresholds work_dirs/run/epoch_50.thresholds.json --crop-border \\
      --evaluation work_dirs/run/test.evaluation.json
  python tools/deployment/pack.py old.pth --config configs/myopia_models/\\
tinyvit-21m-distill-384_MYOPIA.py --out model.pth

The file has no optimizer, no log and no local path, and keeps the weights' names; model.md beside
it is the model card. --config is for checkpoints that do not describe themselves; a config is a
program, so name only one that you trust. --crop-border is for raw pictures when those of the
training were cropped by other means than prepare_images.py, whose record is read.

The file also gets an input check: limits, found on the training pictures, beyond which a picture is
ungradable. Run this where they still lie as the training's configuration says.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='checkpoint of a training')
    parser.add_argument('--out', type=Path, required=True, help='file to write, .pth')
    parser.add_argument('--config', type=Path, help='config of the training')
    parser.add_argument('--thresholds', type=Path, help='file of choose_thresholds.py')
    parser.add_argument('--recalibration', type=Path, help='file of recalibrate.py')
    parser.add_argument('--crop-border', action=argparse.BooleanOptionalAction,
                        help='cut the black outer border away first, or not')  # fmt: skip
    parser.add_argument('--input-check', action=argparse.BooleanOptionalAction, default=True,
                        help='refuse pictures unlike the training pictures, or not')  # fmt: skip
    parser.add_argument('--evaluation', type=Path,
                        help='JSON table of evaluate.py --out, for the card')  # fmt: skip
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Here, so that --help need not wait for torch.
    from realmnet.deployment.model_file import pack

    packed = pack(
        args.checkpoint,
        args.out,
        args.config,
        args.thresholds,
        args.crop_border,
        args.input_check,
        args.recalibration,
    )
    card = args.out.with_suffix('.md')
    text = model_card(packed.description, args.out.name, packed.sha256, packed.parameters,
                      args.evaluation)  # fmt: skip
    card.write_text(text, encoding='utf-8')
    description = packed.description
    print(f'classes: {" ".join(description.classes)} (schema {description.schema})')
    print(f'preprocessing: {description.preprocessing}')
    print(f'thresholds: {description.thresholds.rule if description.thresholds else "none, .5"}')
    if description.recalibration:
        print(f'recalibration: {description.recalibration.note}')
    if description.input_check:
        print(f'input check: found on {description.input_check.pictures:,} training pictures')
    else:
        print('input check: NONE, the model will grade any picture, a fundus or not')
    if packed.unchecked:
        print(
            f'warning: the training pictures are not at hand ({packed.unchecked}); pack where '
            'they are, or say --no-input-check',
            file=sys.stderr,
        )
    print(f'{args.out} written ({args.out.stat().st_size / 1e6:.1f} MB), model card {card}')
    print(NOTICE)


if __name__ == '__main__':
    run(main)
