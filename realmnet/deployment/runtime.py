"""Running an exported model with onnxruntime alone: no torch, no OpenMMLab."""

from __future__ import annotations

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from realmnet.curation.pictures import MAX_PIXELS
from realmnet.deployment.description import KEY, ModelDescription
from realmnet.deployment.picture_model import PictureModel
from realmnet.errors import InputError
from realmnet.evaluation.findings import MARGIN

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

#: Names of the input and the outputs of the graph; files of earlier versions give no features.
PICTURES, SCORES, FEATURES = 'pictures', 'scores', 'features'
#: Name of the metadata that holds the digest of the file.
DIGEST = 'realmnet.sha256'
# How ONNX files (protocol buffers) write it: the name, then field 2 of 64 characters.
_MARK = DIGEST.encode() + b'\x12\x40'
_ZEROS = b'0' * 64


class OnnxModel(PictureModel):
    """Find what the classes of an exported model say about pictures.

    Preprocessing, thresholds and classes come from the file. Every thread takes one picture at a
    time through the network: that is faster than sharing the work on a picture, and makes scores
    independent of their neighbours. Research software, not a medical device.

    Args:
        path: File of ``tools/deployment/export.py``, ending in ``.onnx``.
        threads: Pictures at the same time; as many as there are cores where left out.
        flip: Average the scores of each picture and its mirror image.
        max_pixels: Larger pictures are refused.
        margin: See :func:`realmnet.evaluation.findings.findings_of`.

    Attributes:
        description: What the file says of itself.
        session: The file, opened by onnxruntime.

    Raises:
        InputError: If onnxruntime is not installed, the number of threads is below 1, or the
            file is missing, damaged, no ONNX file, refers to other files, or was not written by
            ``tools/deployment/export.py``.

    Example:
        >>> model = OnnxModel('model.onnx')                      # doctest: +SKIP
        >>> model.predict('a.jpg').grade                         # doctest: +SKIP
        'A2'
    """

    def __init__(
        self,
        path: str | Path,
        threads: int | None = None,
        flip: bool = False,
        max_pixels: int = MAX_PIXELS,
        margin: float = MARGIN,
    ) -> None:
        threads = (os.cpu_count() or 1) if threads is None else threads
        if threads < 1:
            raise InputError(f'the number of threads is {threads}, expected 1 or more')
        self.session = open_session(path)
        description = _description_of(self.session, path)
        super().__init__(str(path), description, threads, flip, max_pixels, margin)
        self._wanted = [node.name for node in self.session.get_outputs()]
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix='picture')

    def _outputs(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        rows = list(self._pool.map(self._row, pictures))
        scores = np.array([row[0] for row in rows], np.float64)
        scores = scores.reshape(-1, len(self.description.classes))
        if FEATURES not in self._wanted:
            return scores, None
        return scores, np.array([row[1] for row in rows], np.float64)

    def _row(self, picture: np.ndarray) -> list[np.ndarray]:
        return [output[0] for output in self.session.run(self._wanted, {PICTURES: picture[None]})]


def open_session(path: str | Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open an ONNX file with onnxruntime, on the CPU.

    The file is read into memory, and what it names outside itself is looked for in an empty
    folder: a file from a stranger can make this program read no other file.

    Args:
        path: The file.
        threads: Threads that share the work on one call.

    Raises:
        InputError: If onnxruntime is not installed, or it cannot use the file.
    """
    if onnxruntime is None:
        raise InputError(f'{path}: needs onnxruntime; run pip install onnxruntime')
    path = Path(path)
    if not path.is_file():
        raise InputError(f'{path}: no such file; make it with tools/deployment/export.py')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what is wrong is raised, once
    with tempfile.TemporaryDirectory() as empty:
        options.add_session_config_entry(
            'session.model_external_initializers_file_folder_path', empty
        )
        content = path.read_bytes()
        _verify(content, path)
        try:
            return onnxruntime.InferenceSession(
                content, options, providers=['CPUExecutionProvider']
            )
        except OSError:
            raise
        except Exception as error:  # onnxruntime's exceptions share no class of their own
            reason = ' '.join(str(error).split())
    if 'External data' in reason:
        raise InputError(
            f'{path}: refers to other files, which are not read; export the model as one file'
        )
    if 'INVALID_PROTOBUF' in reason or 'No graph was found' in reason:
        raise InputError(f'{path}: is cut short, or no ONNX file; copy or export it again')
    raise InputError(
        f'{path}: onnxruntime {onnxruntime.__version__} cannot use it ({reason[:160]}); install '
        'a newer onnxruntime or export the model again'
    )


def seal(content: bytes) -> bytes:
    """Put the digest of an ONNX file into it.

    The digest is the SHA-256 of the whole file with 64 zeros in its place, so that weights, graph
    and description are covered and no parser is needed to verify it.

    Args:
        content: The file, whose metadata :data:`DIGEST` is 64 zeros.
    """
    digest = hashlib.sha256(content).hexdigest().encode()
    return content.replace(_MARK + _ZEROS, _MARK + digest)


def _verify(content: bytes, path: Path) -> None:
    """Compare a file with its digest; files from before there was one have none."""
    place = content.rfind(_MARK)
    if place < 0:
        return
    place += len(_MARK)
    stored = content[place : place + len(_ZEROS)]
    digest = hashlib.sha256(content[:place])
    digest.update(_ZEROS)
    digest.update(content[place + len(_ZEROS) :])
    if digest.hexdigest().encode() != stored:
        raise InputError(
            f'{path}: is damaged, its content does not match the digest inside; copy or export it '
            'again'
        )


def _description_of(session: onnxruntime.InferenceSession, path: str | Path) -> ModelDescription:
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise InputError(
            f'{path}: does not say how it is to be used (classes, size, thresholds); make it with '
            'tools/deployment/export.py'
        )
    description = ModelDescription.from_json(text, str(path))
    size, classes = description.preprocessing.size, len(description.classes)
    expected = [
        (PICTURES, 'tensor(uint8)', [size, size, 3]), (SCORES, 'tensor(float)', [classes])
    ]  # fmt: skip
    outputs = session.get_outputs()
    if outputs[-1].name == FEATURES and outputs[-1].type == 'tensor(float)':
        _check_features(description, outputs.pop().shape, path)
    found = [
        (node.name, node.type, list(node.shape[1:])) for node in [*session.get_inputs(), *outputs]
    ]
    if found != expected:
        raise InputError(
            f'{path}: takes and gives {found}, its description expects {expected}; make it again '
            'with tools/deployment/export.py'
        )
    return description


def _check_features(
    description: ModelDescription, shape: list[int | str], path: str | Path
) -> None:
    """Refuse a file whose features are others than those that its input check knows."""
    check = description.input_check
    space = check.spaces.get(FEATURES) if check else None
    if len(shape) != 2 or (space and shape[1] != len(space.mean)):
        raise InputError(
            f'{path}: gives features of shape {shape}, its input check expects '
            f'{len(space.mean) if space else "one row a picture"}; make it again with '
            'tools/deployment/export.py'
        )
