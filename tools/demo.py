"""A page in the browser: drop a picture, see findings and heat maps; no medical device."""

import argparse
import os
import sys
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.pictures import MAX_PIXELS
from realmnet.errors import InputError
from realmnet.reporting.findings_table import NOTICE

EXAMPLE = """example:
  pip install -e .[demo]
  python tools/deployment/pack.py work_dirs/run/epoch_50.pth --out model.pth
  python tools/demo.py model.pth --examples pictures

Then open http://127.0.0.1:7860. Only this computer reaches the page, and nothing leaves it.
Ctrl-C ends it and removes what it kept in a temporary folder.

Grad-CAM++ hardly tells classes apart; hirescam and attention do (measured with the quickstart's
model on synthetic lesions, tools/benchmarks/localisation.py). That is why two methods stand side
by side.
"""


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise ValueError
    return value


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='file of pack.py, or of a training')
    parser.add_argument('--host', default='127.0.0.1',
                        help='address to listen on (%(default)s, this computer alone)')  # fmt: skip
    parser.add_argument('--port', type=int, default=7860, help='(%(default)s)')
    parser.add_argument('--methods', nargs='+', metavar='METHOD',
                        help='one or two methods of heat maps to show first (gradcam++ and '
                        'attention, or hirescam where the head has none)')  # fmt: skip
    parser.add_argument('--examples', type=Path, help='folder of pictures to choose from')
    parser.add_argument('--max-megapixels', type=positive, default=MAX_PIXELS / 1e6, metavar='N',
                        help='refuse larger pictures (%(default)g million pixels)')  # fmt: skip
    parser.add_argument('--max-mbytes', type=positive, default=200, metavar='N',
                        help='refuse larger files (%(default)g MB)')  # fmt: skip
    parser.add_argument(
        '--device', default='auto', help='cpu, cuda, cuda:1 (a GPU if there is one)'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Here, so that --help and typing mistakes need not wait for torch.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    try:
        from realmnet.apis.page import Page
        from realmnet.apis.page_server import is_loopback, launch, private_folder
    except ModuleNotFoundError as error:
        if error.name != 'gradio':
            raise
        raise InputError('the page needs gradio; run pip install -e .[demo]') from None
    from realmnet.apis import Inferencer
    from realmnet.apis.one_picture import Examiner

    inferencer = Inferencer(args.checkpoint, args.device, max_pixels=int(args.max_megapixels * 1e6))
    notice = 'Pictures stay on this machine.'
    if not is_loopback(args.host):
        notice = 'Pictures go to the computer that runs this page, unencrypted.'
        print(
            f'WARNING: on {args.host}, anyone who reaches this computer can use the page, without '
            'password, and pictures travel unencrypted. Use 127.0.0.1 for this computer alone.',
            file=sys.stderr,
        )
    page = Page(
        Examiner(inferencer), inferencer.trained.about(), args.methods, args.examples, notice
    )
    with private_folder():
        blocks = page.blocks()
        launch(blocks, args.host, args.port, int(args.max_mbytes * 1e6))
        print(f'The page: http://{args.host}:{args.port} (Ctrl-C ends it). {NOTICE}', flush=True)
        blocks.block_thread()


if __name__ == '__main__':
    run(main)
