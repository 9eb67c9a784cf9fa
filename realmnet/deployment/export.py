"""Exporting a model as one file: ONNX, or a program of ``torch.export``.

Both take ``uint8`` RGB pictures ``(N, size, size, 3)``, any N, and give probabilities ``(N, C)``;
normalisation and activation are inside. ONNX files also give the features that the input check
needs.
The description travels in the file as JSON text. A file appears only after it gave the scores of
the network that it was made from.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from realmnet.curation.outputs import staged
from realmnet.deployment.deployed_network import DeployedNetwork
from realmnet.deployment.description import KEY, ModelDescription
from realmnet.deployment.network import scores_and_features
from realmnet.deployment.runtime import DIGEST, FEATURES, PICTURES, SCORES, OnnxModel, seal
from realmnet.deployment.torch_inputs import network_inputs
from realmnet.engine.checkpoint_io import check_archive
from realmnet.errors import InputError
from realmnet.evaluation.findings import findings_of

if TYPE_CHECKING:
    import onnx

#: Largest difference of a probability from the network's.
TOLERANCE = 1e-4
#: The first version of ONNX whose operators include attention.
OPSET = 23


@dataclass(frozen=True)
class Parity:
    """How an exported file compares with the network that it was made from.

    Attributes:
        pictures: Number of pictures compared.
        difference: Largest difference of a probability.
        changed: Pictures with another finding: a class or the diagnosis.
    """

    pictures: int
    difference: float
    changed: int


def export_model(
    network: nn.Module, description: ModelDescription, path: str | Path, pictures: np.ndarray
) -> Parity:
    """Write a model as one file and compare it with the network.

    Args:
        network: mmpretrain's ``ImageClassifier``; it is not changed.
        description: What the file is to say of itself.
        path: ``.onnx``, for onnxruntime (and other runtimes of ONNX opset 23), or ``.pt2``, for
            ``torch.export.load``.
        pictures: Preprocessed pictures to compare on, besides noise: ``uint8`` RGB of shape
            (N, size, size, 3); N may be 0.

    Returns:
        The comparison.

    Raises:
        InputError: If the suffix is another, the model cannot be exported, the scores differ by
            more than :data:`TOLERANCE`, or the file cannot be written.

    Example:
        >>> trained = TrainedModel('model.pth')                  # doctest: +SKIP
        >>> export_model(trained.model, trained.description, 'model.onnx',
        ...              pictures)                               # doctest: +SKIP
        Parity(pictures=206, difference=2.4e-07, changed=0)
    """
    path = Path(path)
    writers = {'.onnx': write_onnx, '.pt2': write_program}
    if path.suffix not in writers:
        raise InputError(f'{path}: the file must end in .onnx or .pt2')
    with staged(path.parent) as place:
        file = place / path.name
        writers[path.suffix](network, description, file)
        with _one_sentence(path):  # a batch size that the trace froze can stop the runtime too
            parity = compare(file, network, description, pictures)
        if not parity.difference <= TOLERANCE:  # NaN too
            raise InputError(
                f"{path}: not written, because its scores differ from the network's by "
                f'{parity.difference:.1e}, expected {TOLERANCE} at most; '
                f'{parity.changed} of {parity.pictures} findings change'
            )
    return parity


def write_onnx(network: nn.Module, description: ModelDescription, path: Path) -> None:
    """Write an ONNX file that holds weights and description, and check it.

    Raises:
        InputError: If the network has something that ONNX cannot express.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 (torch needs it, and says so less clearly)
    except ImportError as error:
        raise InputError(
            f'{path.name}: needs {error.name}; run pip install onnx onnxscript onnxruntime'
        ) from None
    deployed = DeployedNetwork(network, description, features=True)
    with _one_sentence(path):
        program = torch.onnx.export(
            deployed,
            (_example(description),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[PICTURES],
            output_names=[SCORES, FEATURES],
            dynamic_shapes=({0: torch.export.Dim('N')},),
            verbose=False,
        )
    model = program.model_proto
    _forget_source(model)
    model.metadata_props.add(key=KEY, value=description.to_json())
    onnx.checker.check_model(model, full_check=True)
    write_sealed(model, path)


def write_sealed(model: onnx.ModelProto, path: str | Path) -> None:
    """Write an ONNX model with the digest that ``open_session`` verifies; one inside is renewed.

    Args:
        model: The model; its metadata are changed.
        path: File to write.
    """
    kept = [prop for prop in model.metadata_props if prop.key != DIGEST]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=DIGEST, value='0' * 64)
    Path(path).write_bytes(seal(model.SerializeToString()))


def write_program(network: nn.Module, description: ModelDescription, path: Path) -> None:
    """Write a program of ``torch.export``; the description is its extra file ``realmnet``.

    Raises:
        InputError: If the network has something that ``torch.export`` cannot express.
    """
    deployed = DeployedNetwork(network, description)
    with _one_sentence(path):
        program = torch.export.export(
            deployed,
            (_example(description),),
            dynamic_shapes=({0: torch.export.Dim('N')},),
        )
    for node in program.graph.nodes:
        # Places in the source, and with them folders of this machine.
        node.meta.pop('stack_trace', None)
    torch.export.save(program, path, extra_files={KEY: description.to_json()})


def compare(
    file: str | Path, network: nn.Module, description: ModelDescription, pictures: np.ndarray
) -> Parity:
    """Compare an exported file with the network, in batches of several sizes.

    Noise, a black and a white picture are added to those given.

    Args:
        file: ``.onnx`` or ``.pt2``, as written by this module.
        network: The network that it was made from.
        description: Its description.
        pictures: Preprocessed, ``uint8`` RGB of shape (N, size, size, 3).
    """
    size = description.preprocessing.size
    noise = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), np.uint8)
    pictures = np.concatenate([noise, np.zeros_like(noise[:1]), np.full_like(noise[:1], 255),
                               pictures])  # fmt: skip
    score = exported_scores(file)
    expected, found = (
        np.concatenate([function(batch) for batch in _batches(pictures)])
        for function in (lambda batch: reference_scores(network, description, batch), score)
    )
    decided = [
        [
            (f.found, f.disease)
            for f in findings_of(
                description.recalibrated(scores), description.label_schema, description.thresholds
            )
        ]
        for scores in (expected, found)
    ]
    changed = sum(a != b for a, b in zip(*decided, strict=True))
    return Parity(len(pictures), float(np.abs(found - expected).max()), changed)


@torch.inference_mode()
def reference_scores(
    network: nn.Module, description: ModelDescription, pictures: np.ndarray
) -> np.ndarray:
    """Probabilities ``(N, C)`` of the network itself for ``uint8`` pictures (N, size, size, 3)."""
    inputs = network_inputs(pictures, description, torch.device('cpu'))
    groups = description.label_schema.softmax_groups
    return scores_and_features(network, inputs, groups)[0].double().numpy()


def exported_scores(file: str | Path) -> Callable[[np.ndarray], np.ndarray]:
    """Open a file of this module; the function maps pictures to probabilities, as a batch."""
    if Path(file).suffix == '.onnx':
        session = OnnxModel(file).session
        return lambda batch: session.run([SCORES], {PICTURES: batch})[0].astype(np.float64)
    check_archive(file)
    module = torch.export.load(file).module()
    return lambda batch: module(torch.from_numpy(batch)).double().numpy()


def _batches(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """Batches of 1, 2 and 3 pictures, then of 8: a batch size frozen by tracing would show."""
    first = 0
    for number in [1, 2, 3, *[8] * len(pictures)]:
        if first >= len(pictures):
            return
        yield pictures[first : first + number]
        first += number


def _example(description: ModelDescription) -> torch.Tensor:
    size = description.preprocessing.size
    return torch.zeros(2, size, size, 3, dtype=torch.uint8)


@contextlib.contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Silence the exporter, and say in one sentence where it stopped."""
    try:
        with (
            warnings.catch_warnings(action='ignore'),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            yield
    except InputError:
        raise
    except Exception as error:
        reason = ' '.join(str(error).split())[:300]
        raise InputError(
            f'{path.name}: this network cannot be exported ({type(error).__name__}: {reason})'
        ) from error


def _forget_source(model) -> None:
    """Remove what the exporter notes of the source code, folders of this machine among it."""
    graph = model.graph
    for part in [graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input,
                 *graph.output]:  # fmt: skip
        part.doc_string = ''
        del part.metadata_props[:]
