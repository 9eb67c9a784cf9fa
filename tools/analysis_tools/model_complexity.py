"""Count parameters and multiply-adds of the model of each config."""

import argparse

import torch
from mmengine.registry import MODELS, init_default_scope
from torch.utils.flop_counter import FlopCounterMode

from realmnet.cli import run
from realmnet.engine.config import load_config
from realmnet.errors import InputError

EXAMPLE = """example:
  python tools/analysis_tools/model_complexity.py configs/myopia_models/*.py

One multiply-add is counted once (half of torch's FLOPs); matrix products and convolutions count,
norms and activations do not. No weights are loaded and no memory is taken for them.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', help='config files')
    return parser.parse_args()


def complexity(path: str) -> tuple[int, int, float]:
    """Input side in pixels, parameters and multiply-adds of one picture."""
    cfg = load_config(path)
    try:
        scope, side = cfg.default_scope, cfg.model.backbone.img_size
    except AttributeError as error:
        raise InputError(
            f'{path}: needs default_scope and model.backbone.img_size, as the configs of '
            f'configs/ have them ({error})'
        ) from None
    init_default_scope(scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
        picture = torch.empty(1, 3, side, side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(picture, mode='tensor')
    return side, sum(p.numel() for p in model.parameters()), counter.get_total_flops() / 2


def main() -> None:
    args = parse_args()
    print(f'{"config":<60}{"input":>6}{"parameters":>13}{"multiply-adds":>16}')
    for path in args.configs:
        side, parameters, operations = complexity(path)
        print(f'{path:<60}{side:>6}{parameters:>13,}{operations / 1e9:>14.2f} G')


if __name__ == '__main__':
    run(main)
