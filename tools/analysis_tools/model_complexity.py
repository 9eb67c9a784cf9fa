"""Count parameters and multiply-adds: Table 4 of the paper, or the model of each config."""

import argparse
from dataclasses import asdict

from realmnet.cli import run
from realmnet.engine.config import load_config
from realmnet.models.complexity import complexity
from realmnet.reporting.model_table import TABLE_4_CONFIGS, model_table

EXAMPLE = """example:
  python tools/analysis_tools/model_complexity.py
  python tools/analysis_tools/model_complexity.py configs/myopia_models/*.py

The first prints Table 4, ours beside the published one, as Markdown. One multiply-add is counted
once (half of torch's FLOPs); matrix products and convolutions count, norms and activations do not.
No weights are loaded and no memory is taken for them.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='*', help='config files; without any, Table 4')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if not args.configs:
        counted = {
            model: asdict(complexity(load_config(path))) for model, path in TABLE_4_CONFIGS.items()
        }
        print(model_table(counted).to_markdown(), end='')
        return
    print(f'{"config":<60}{"input":>6}{"parameters":>13}{"multiply-adds":>16}')
    for path in args.configs:
        one = complexity(load_config(path))
        print(f'{path:<60}{one.side:>6}{one.parameters:>13,}{one.multiply_adds / 1e9:>14.2f} G')


if __name__ == '__main__':
    run(main)
