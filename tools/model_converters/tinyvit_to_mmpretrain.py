"""Convert TinyViT weights of its own repository or of timm to mmpretrain's names."""

import argparse
import pickle
import zipfile
from pathlib import Path

import torch

from realmnet.cli import run
from realmnet.engine.checkpoint_io import check_archive
from realmnet.errors import InputError
from realmnet.models.backbones.tinyvit_keys import convert_state_dict

EXAMPLE = """\
example:
  python tools/model_converters/tinyvit_to_mmpretrain.py \\
      tiny_vit_21m_22kto1k_384_distill.pth work_dirs/tinyvit-21m-384.pth

  Then train with --cfg-options pretrained=work_dirs/tinyvit-21m-384.pth
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('src', type=Path, help='.pth or .safetensors file to convert')
    parser.add_argument('dst', type=Path, help='.pth file to write')
    parser.add_argument(
        '--keep-head', action='store_true', help='keep the classifier layer as head.fc.*'
    )
    return parser.parse_args()


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint, without running anything in it."""
    if not path.is_file():
        raise InputError(f'{path} is not a file')
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file

        return load_file(path)
    if zipfile.is_zipfile(path):
        check_archive(path)
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f'{path} is not a checkpoint of tensors alone, which is all that is read'
        ) from error
    for key in ('model', 'state_dict'):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(v, torch.Tensor) for v in content.values()
    ):
        raise InputError(f'{path} holds no state dict, neither at its top nor under "model"')
    return content


def main() -> None:
    args = parse_args()
    state_dict = convert_state_dict(read_state_dict(args.src), keep_head=args.keep_head)
    args.dst.parent.mkdir(parents=True, exist_ok=True)
    torch.save({'state_dict': state_dict}, args.dst)
    print(f'{args.dst}: {len(state_dict)} tensors')


if __name__ == '__main__':
    run(main)
