"""Time the tools on a whole data set's labels, and picture preparation beside a bare loop.

    python tools/benchmarks/curation.py --data-root data/PSMM
    python tools/benchmarks/curation.py --pictures raw/ --images 40

With --data-root, each tool runs in a process of its own: processor seconds and peak memory beyond
those of its imports (numpy, pandas, OpenCV, matplotlib, scikit-learn where it uses them). With
--pictures, the same pictures go through prepare_picture and through OpenCV's imread, resize
(INTER_AREA) and imwrite, in turn and on one core: images per second and core.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import resource
import runpy
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TOOLS = Path(__file__).resolve().parents[1] / 'dataset_tools'


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data-root', type=Path)
    parser.add_argument('--pictures', type=Path)
    parser.add_argument('--images', type=int, default=40)
    parser.add_argument('--size', type=int, default=384)
    args = parser.parse_args()
    if args.data_root:
        time_tools(args.data_root)
    if args.pictures:
        time_pictures(args.pictures, args.images, args.size)


def time_tools(root: Path) -> None:
    """Print processor seconds and memory of each tool and resampler."""
    sets = root / 'ImageSets' / 'Main'
    train = str(sets / 'MYOPIA' / 'MYOPIA.csv')
    every = [train, str(sets / 'val.csv'), str(sets / 'test.csv')]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        runs = [
            ('partition.py', [*every, f'{out}/a']),
            ('partition.py', [*every, f'{out}/b', '--method', 'group-k-fold']),
            ('imbalance.py', [train]),
            *[('resample.py', [train, f'{out}/{m}.csv', '--method', m])
              for m in ('lp-ros', 'lp-rus', 'ml-ros', 'ml-rus', 'remedial', 'remedial-hwr')],
            ('make_protocols.py', [str(root), '--out', f'{out}/c']),
            ('subset.py', [train, f'{out}/d']),
            ('verify.py', [str(root), '--labels-only']),
            ('statistics.py', [str(root), '--out', f'{out}/e']),
        ]  # fmt: skip
        for tool, arguments in runs:
            seconds, memory = _in_process(tool, arguments)
            print(f'{tool} {" ".join(arguments[-2:])}: {seconds:.2f} s, {memory:.0f} MB')
    _time_resamplers(train)


def time_pictures(folder: Path, images: int, size: int) -> None:
    """Print images per second and core of our preparation and of a bare OpenCV loop."""
    import cv2

    from realmnet.curation.pictures import list_pictures
    from realmnet.curation.prepare import PrepareSettings, prepare_picture

    cv2.setNumThreads(1)
    paths = [folder / path for path in list_pictures(folder)[:images]]
    settings = PrepareSettings(size)
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as out:
        target = Path(out, 'x.jpg')
        prepare_picture(paths[0], target, settings)  # loads the decoders
        for path in paths:  # in turn, so that a busy machine slows both alike
            start = time.process_time()
            prepare_picture(path, target, settings)
            middle = time.process_time()
            picture = cv2.imread(str(path))
            picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(target), picture, [cv2.IMWRITE_JPEG_QUALITY, settings.quality])
            ours.append(middle - start)
            bare.append(time.process_time() - middle)
    height, width = cv2.imread(str(paths[0])).shape[:2]
    print(f'{len(paths)} pictures of about {width} x {height} to {size} x {size}, one core')
    print(f'prepare_picture: {1 / np.mean(ours):.1f} images/s')
    print(f'bare OpenCV decode-resize-encode: {1 / np.mean(bare):.1f} images/s')


def _time_resamplers(train: str) -> None:
    from realmnet.curation.label_table import read_label_table
    from realmnet.curation.resampling import RESAMPLERS

    labels = read_label_table(train).labels
    for name, kind in RESAMPLERS.items():
        start = time.process_time()
        kind(0.2, 42).fit_resample(labels)
        print(f'{name} on {len(labels):,} rows: {time.process_time() - start:.3f} s')


def _in_process(tool: str, arguments: list[str]) -> tuple[float, float]:
    context = multiprocessing.get_context('spawn')
    with context.Pool(1) as pool:
        return pool.apply(_measure, (tool, arguments))


def _measure(tool: str, arguments: list[str]) -> tuple[float, float]:
    """Run a tool after its imports; give processor seconds and megabytes that it added."""
    import cv2
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_pdf  # noqa: F401
    import pandas as pd

    import realmnet.curation.verification
    import realmnet.reporting.dataset_report  # noqa: F401

    if 'group-k-fold' in arguments:
        import sklearn.model_selection  # noqa: F401
    _ = cv2.__version__, pd.__version__
    before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.argv = [tool, *arguments]
    with contextlib.redirect_stdout(io.StringIO()):
        runpy.run_path(str(TOOLS / tool), run_name='__main__')
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return time.process_time() - before, (peak - memory) / 1024


if __name__ == '__main__':
    main()
