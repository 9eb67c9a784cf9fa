"""Eight-bit weights for an exported model: smaller and faster, with scores that move a little."""

from __future__ import annotations

import logging
from pathlib import Path

from realmnet.deployment.export import write_sealed
from realmnet.errors import InputError


def write_int8(source: str | Path, path: str | Path) -> None:
    """Write an ONNX file whose matrix products work on 8-bit integers.

    Weights are rounded once, with a scale for each output; inputs of a product are rounded when
    it runs, with the range that they have then, so no calibration pictures are needed.
    Convolutions stay in 32 bits. Calibrated ranges, of convolutions too, were tried on the
    quickstart's model: no more accurate, and with convolutions ten times as far off.

    The range is that of the batch: one picture at a time, as
    :class:`realmnet.deployment.runtime.OnnxModel` runs them, keeps scores independent of the
    neighbours.

    Args:
        source: File of :func:`realmnet.deployment.export.export_model`, ``.onnx``.
        path: File to write.

    Raises:
        InputError: If onnx is not installed.
    """
    try:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise InputError(f'8 bits need {error.name}; run pip install onnx onnxruntime') from None
    advice = (
        logging.getLogger()
    )  # onnxruntime advises there to optimise first, which changes nothing
    level = advice.level
    advice.setLevel(logging.ERROR)
    try:
        quantize_dynamic(
            source,
            path,
            op_types_to_quantize=['MatMul', 'Gemm'],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    finally:
        advice.setLevel(level)
    write_sealed(onnx.load(path), path)
