"""Time inference by mmpretrain, by torch and by onnxruntime, on the same weights, in one run.

All programs take turns. `network`: pictures in memory to scores. `files`: photographs to
findings, reading included. The weights are random: speed does not depend on them.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer
from torch import nn

from realmnet.apis import Inferencer
from realmnet.cli import run
from realmnet.curation.label_schema import PSMM
from realmnet.curation.pictures import list_pictures
from realmnet.deployment.description import KEY, ModelDescription, Preprocessing
from realmnet.deployment.export import export_model
from realmnet.deployment.network import build_network
from realmnet.deployment.quantization import write_int8
from realmnet.deployment.runtime import OnnxModel, onnxruntime, open_session
from realmnet.deployment.speed import images_per_second

EXAMPLE = """example:
  python tools/benchmarks/inference_speed.py $DATA/odir5k_256/images --size 384 --batch 4
"""
WIDTHS = {'5m': 320, '11m': 448, '21m': 576}


def networks(arch: str, size: int) -> tuple[dict, dict]:
    """The configuration of RealMNet, and the same of mmpretrain's own classes."""
    windows = [size // 32, size // 32, size // 16, size // 32]
    backbone = dict(arch=arch, img_size=[size, size], window_size=windows, drop_path_rate=0.0,
                    gap_before_final_norm=False)  # fmt: skip
    head = dict(num_classes=PSMM.num_classes, in_channels=WIDTHS[arch], lam=1.2)
    return tuple(
        dict(type='ImageClassifier', backbone=backbone | dict(type=kind), head=head | settings)
        for kind, settings in (
            ('RealMTinyViT', dict(type='ResidualAttentionHead', num_heads=2)),
            ('TinyViT', dict(type='CSRAClsHead', num_heads=2)),
        )
    )  # fmt: skip


@torch.no_grad()
def make_lively(network: nn.Module, size: int) -> None:
    """Give parameters values by which scores depend on the picture, so that equality means much."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.momentum = 1.0  # takes on the statistics of the next batch
    for name, parameter in network.named_parameters():
        if name.endswith('attention_biases'):
            nn.init.normal_(parameter)
    network.train()(torch.rand(4, 3, size, size))
    network.eval()


def stock_session(stock: nn.Module, size: int, folder: Path) -> onnxruntime.InferenceSession:
    """The network of mmpretrain exported as it is, all threads on one picture after the other."""
    file = folder / 'stock.onnx'
    torch.onnx.export(stock, (torch.zeros(1, 3, size, size),), file, dynamo=False,
                      input_names=['x'], dynamic_axes={'x': {0: 'N'}})  # fmt: skip
    return open_session(file, torch.get_num_threads())


def main() -> None:
    """Build, export, check that all say the same, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, help='photographs')
    parser.add_argument('--arch', choices=WIDTHS, default='21m')
    parser.add_argument('--size', type=int, default=384, help='side in pixels')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--photographs', type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ours, stock = networks(args.arch, args.size)
    description = ModelDescription(PSMM.classes, Preprocessing(args.size), ours)
    network = build_network(description)
    make_lively(network, args.size)
    with tempfile.TemporaryDirectory() as folder:
        compare_all(args, Path(folder), network, description, stock)


def compare_all(
    args: argparse.Namespace,
    place: Path,
    network: nn.Module,
    description: ModelDescription,
    stock: dict,
) -> None:
    """Make every program of the same weights, and time them."""
    weights = {k: v for k, v in network.state_dict().items() if v is not None}
    torch.save({'meta': {KEY: description.to_json()}, 'state_dict': weights}, place / 'model.pth')
    batch = np.random.default_rng(0).integers(
        0, 256, (args.batch, args.size, args.size, 3), np.uint8
    )
    export_model(network, description, place / 'model.onnx', batch[:0])
    write_int8(place / 'model.onnx', place / 'int8.onnx')
    preprocess = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(args.size, args.size)),
                  dict(type='PackInputs')]  # fmt: skip
    config = Config(dict(
        model=stock | dict(data_preprocessor=dict(
            type='ClsDataPreprocessor', mean=[0] * 3, std=[255] * 3, to_rgb=True)),
        test_dataloader=dict(dataset=dict(type='CustomDataset', pipeline=preprocess)),
        default_scope='mmpretrain',
    ))  # fmt: skip
    theirs = ImageClassificationInferencer(config, classes=list(PSMM.classes), device='cpu')
    theirs.model.load_state_dict(weights, strict=False)
    theirs.model.train()
    theirs.model.eval()  # only this renews the biases that TinyViT keeps for evaluation
    eager = Inferencer(place / 'model.pth', 'cpu', args.batch)
    exported, small = (
        OnnxModel(place / f'{name}.onnx', args.threads) for name in ('model', 'int8')
    )
    session = stock_session(theirs.model, args.size, place)

    def normalised() -> torch.Tensor:
        return torch.from_numpy(batch).permute(0, 3, 1, 2).contiguous().float() / 255

    def as_probability(logits: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-logits))

    @torch.inference_mode()
    def stock_scores() -> np.ndarray:
        return as_probability(theirs.model(normalised(), mode='tensor').numpy())

    programs: dict[str, Callable[[], np.ndarray]] = {
        'mmpretrain, eager': stock_scores,
        'mmpretrain, exported as it is': lambda: as_probability(
            session.run(None, {'x': normalised().numpy()})[0]
        ),
        'RealMNet, torch': lambda: eager.scores(batch),
        'RealMNet, ONNX': lambda: exported.scores(batch),
        'RealMNet, ONNX, int8': lambda: small.scores(batch),
    }
    reference = stock_scores()
    differences = {name: float(np.abs(f() - reference).max()) for name, f in programs.items()}
    print(f'network: TinyViT-{args.arch}, {args.size} px, batch {args.batch}, '
          f'{args.threads} threads, median of {args.rounds}')  # fmt: skip
    show(images_per_second(programs, args.batch, args.rounds), differences)

    names = list_pictures(args.folder)[: args.photographs]
    paths = [str(args.folder / name) for name in names]
    programs = {
        'mmpretrain, its inferencer': lambda: theirs(paths, batch_size=args.batch),
        'RealMNet, torch': lambda: list(eager.stream(paths)),
        'RealMNet, ONNX': lambda: list(exported.stream(paths)),
        'RealMNet, ONNX, int8': lambda: list(small.stream(paths)),
    }
    print(f'files: {len(paths)} photographs to findings')
    show(images_per_second(programs, len(paths), args.rounds))


def show(speeds: dict[str, float], differences: dict[str, float] | None = None) -> None:
    """Print speeds, their ratio to the first, and differences of the probability from it."""
    first = next(iter(speeds.values()))
    for name, speed in speeds.items():
        text = f'  {name:<32}{speed:8.2f} images/s {speed / first:7.2f} x'
        print(text + (f'   difference {differences[name]:.1e}' if differences else ''))


if __name__ == '__main__':
    run(main)
