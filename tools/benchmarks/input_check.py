"""What a model's input check refuses: good pictures, worse and worse ones, and no fundus at all.

Good pictures are those of a label table that the model was not trained on. Each patient's first one
is also made worse: black, white, grey, defocused by a disc of so many pixels of the file, exposed
by so many stops (in linear light, gamma 2.2). Pictures of no fundus come from Python packages:
scikit-image, and apart those on which the rule was chosen (scikit-learn, matplotlib, gradio).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from realmnet.apis import Inferencer
from realmnet.cli import run
from realmnet.curation.content import content_of
from realmnet.curation.label_schema import LabelSchema
from realmnet.curation.label_table import read_label_table
from realmnet.curation.pictures import list_pictures, read_any_picture
from realmnet.errors import InputError
from realmnet.reporting.contact_sheet import draw_sheet, write_thumbnail
from realmnet.reporting.findings_table import FindingRow

EXAMPLE = """example, after the ODIR-5K training of README.md:
  python tools/deployment/pack.py work_dirs/tinyvit-5m-128_odir-5k/TIME/epoch_5.pth --out odir.pth
  python tools/benchmarks/input_check.py odir.pth data/odir-5k/test.csv $DATA/odir5k_256/images \\
      --camera $DATA/palm_224/images --show $DATA/uwf_slo_7 --sheet uwf.jpg
"""
RADII, STOPS = (1, 2, 4, 8, 16), (-4, -3, -2, -1, 1, 2, 3, 4)
MEASURED, CHOSEN_ON = ('skimage',), ('sklearn', 'matplotlib', 'gradio')
# Pictures of scikit-image that are fundus photographs.
_FUNDUS = ('retina.jpg', 'microaneurysms.png')
_BATCH = 32


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', type=Path, help='file of pack.py with an input check')
    parser.add_argument('labels', type=Path, help='label table of good pictures')
    parser.add_argument('folder', type=Path, help='its pictures')
    parser.add_argument('--camera', type=Path, nargs='*', default=[], help='other good pictures')
    parser.add_argument('--show', type=Path, help='pictures to show on --sheet and not to count')
    parser.add_argument('--sheet', type=Path, default=Path('sheet.jpg'), help='(%(default)s)')
    return parser.parse_args()


def defocus(picture: np.ndarray, radius: float) -> np.ndarray:
    """Blur by a disc, as a lens out of focus does; the edge of the disc is anti-aliased."""
    side = int(np.ceil(radius))
    y, x = np.mgrid[-side : side + 1, -side : side + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return cv2.filter2D(picture, -1, disc / disc.sum())


def expose(picture: np.ndarray, stops: float) -> np.ndarray:
    """Multiply the light by two to the power of ``stops``."""
    light = (picture / 255.0) ** 2.2 * 2.0**stops
    return (np.clip(light, 0, 1) ** (1 / 2.2) * 255).round().astype(np.uint8)


def grey(picture: np.ndarray) -> np.ndarray:
    """Take the colour away."""
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def degradations() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Name each way to make a picture worse."""
    ways = {'black': np.zeros_like, 'white': lambda p: np.full_like(p, 255), 'grey': grey}
    ways |= {f'defocus {r} px': lambda p, r=r: defocus(p, r) for r in RADII}
    return ways | {f'exposure {s:+d} stops': lambda p, s=s: expose(p, s) for s in STOPS}


def package_pictures(packages: tuple[str, ...]) -> list[Path]:
    """List photographs and drawings that installed packages bring, without fundus pictures."""
    found: dict[str, Path] = {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        for place in spec.submodule_search_locations if spec else ():
            for kind in ('data', 'datasets/images', 'mpl-data/sample_data', 'media_assets/images'):
                for path in sorted(Path(place, kind).glob('*.*')):
                    if path.suffix in ('.jpg', '.jpeg', '.png') and path.name not in _FUNDUS:
                        found.setdefault(content_of(path).digest, path)
    return list(found.values())


def readable(paths: list[Path]) -> tuple[list[Path], list[np.ndarray]]:
    """Read pictures, without those that are none, or another format than their names say."""
    found = {}
    for path in paths:
        with contextlib.suppress(InputError):
            found[path] = read_any_picture(path)
    return list(found), list(found.values())


def refused(model: Inferencer, pictures: Iterator[np.ndarray]) -> list[tuple[str, ...]]:
    """Reasons of each picture, in order."""
    reasons, batch = [], []
    ready = map(model.description.preprocessing.apply, pictures)
    while batch := [picture for _, picture in zip(range(_BATCH), ready, strict=False)]:
        reasons += [finding.ungradable for finding in model.findings(np.stack(batch))]
    return reasons


def wilson(number: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z, p = 1.959964, number / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return middle - half, middle + half


def by_patient(hits: np.ndarray, patients: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of a share over 2,000 samples of patients."""
    _, owner = np.unique(patients, return_inverse=True)
    rng = np.random.default_rng(0)
    sums, sizes = np.bincount(owner, hits), np.bincount(owner)
    drawn = rng.integers(0, len(sizes), (2000, len(sizes)))
    low, high = np.quantile(sums[drawn].sum(1) / sizes[drawn].sum(1), (0.025, 0.975))
    return float(low), float(high)


def row(name: str, reasons: list[tuple[str, ...]], interval: tuple[float, float] | None = None):
    """Print a row of the table."""
    number, of = sum(map(bool, reasons)), len(reasons)
    low, high = interval or wilson(number, of)
    words = Counter(word for found in reasons for word in found).most_common(4)
    told = ', '.join(f'{word} {n}' for word, n in words)
    print(f'| {name} | {number} of {of} | {number / of:.3f} [{low:.3f}, {high:.3f}] | {told} |')


def main() -> None:
    args = parse_args()
    model = Inferencer(args.model, 'cpu')
    about = model.description
    schema = LabelSchema(about.schema, about.classes, allow_empty=True)
    table = read_label_table(args.labels, schema)
    print('| pictures | refused | share [95 % interval] | reasons |\n| --- | --- | --- | --- |')
    read = [read_any_picture(args.folder / name) for name in table.filenames]
    good = refused(model, iter(read))
    hits = np.array([bool(reasons) for reasons in good], float)
    patients = np.asarray(table.patients)
    row('good, not trained on', good, by_patient(hits, patients))
    _, firsts = np.unique(patients, return_index=True)
    for name, worse in degradations().items():
        row(name, refused(model, (worse(read[i]) for i in sorted(firsts))))
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (256, 256, 3), np.uint8) for _ in range(100)]
    row('noise', refused(model, iter(noise)))
    for name, packages in (('no fundus', MEASURED), ('no fundus, chosen on', CHOSEN_ON)):
        paths, pictures = readable(package_pictures(packages))
        if paths:
            reasons = refused(model, iter(pictures))
            row(f'{name} ({", ".join(packages)})', reasons)
            missed = [p.name for p, r in zip(paths, reasons, strict=True) if not r]
            print(f'missed: {missed}')
    for folder in args.camera:
        row(
            folder.name,
            refused(model, (read_any_picture(folder / p) for p in list_pictures(folder))),
        )
    cost(model, [args.folder / name for name in table.filenames[:256]])
    if args.show:
        show(model, args.show, args.sheet)


def cost(model: Inferencer, paths: list[Path]) -> None:
    """Print what digest and check take beside reading and network, in one run."""
    check, taken = model.description.input_check, Counter()
    for first in range(0, len(paths), 8):
        batch = paths[first : first + 8]
        start = time.perf_counter()
        pictures = [model.read(path) for path in batch]
        taken['reading'] += time.perf_counter() - start
        start = time.perf_counter()
        for path in batch:
            content_of(path)
        taken['digest'] += time.perf_counter() - start
        start = time.perf_counter()
        _, features = model._outputs(np.stack(pictures))
        taken['network'] += time.perf_counter() - start
        start = time.perf_counter()
        for picture, features_of_one in zip(pictures, features, strict=True):
            check.reasons(picture, features_of_one)
        taken['check'] += time.perf_counter() - start
    work = taken['reading'] + taken['network']
    print(
        ', '.join(f'{name} {1000 * t / len(paths):.2f} ms' for name, t in taken.items()),
        f'a picture: digest {taken["digest"] / work:.1%}, check {taken["check"] / work:.1%} of '
        'reading and network',
    )


def show(model: Inferencer, folder: Path, sheet: Path) -> None:
    """Draw a sheet of pictures with what becomes of them."""
    rows, images = [], []
    place = sheet.with_suffix('')
    place.mkdir(parents=True, exist_ok=True)
    for path in list_pictures(folder):
        picture = model.read(folder / path)
        rows.append(FindingRow(path.as_posix(), model.findings(picture[None])[0], None))
        images.append(place / f'{len(rows)}.jpg')
        write_thumbnail(images[-1], picture)
        print(path, rows[-1].finding.ungradable)
    draw_sheet(images, rows, f'{model.name}: shown, not counted').save(sheet, quality=90)


if __name__ == '__main__':
    run(main)
