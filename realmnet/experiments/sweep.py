"""A sweep is data: a base config, the keys that vary, and a cell for each experiment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from realmnet.curation.outputs import write_whole
from realmnet.engine.config import load_config
from realmnet.engine.options import nested, set_options
from realmnet.errors import InputError

_SPLITS = ('val', 'test')
_SWEEP_KEYS = {
    'id': str, 'title': str, 'base': str, 'split': str, 'grid': str, 'keys': dict, 'common': dict,
    'cells': list, 'chosen': list, 'says': str, 'seeds': list, 'prepare': list,
}  # fmt: skip
_CELL_KEYS = {'name': str, 'base': str, 'settings': dict, 'tests': dict}


@dataclass(frozen=True)
class Cell:
    """One experiment of a sweep.

    Attributes:
        name: As a table prints it.
        folder: The name as part of a path.
        base: The config that it changes.
        settings: Short name to value, what distinguishes it in a table.
        options: Dotted keys and values that it changes.
        tests: Name of each test list to the label file, relative to the data root; empty for
            the split of the sweep.
        chosen: Whether the paper settled on it.
    """

    name: str
    folder: str
    base: Path
    settings: Mapping[str, Any]
    options: Mapping[str, Any]
    tests: Mapping[str, str]
    chosen: bool = False


@dataclass(frozen=True)
class Sweep:
    """A table or figure as a list of experiments.

    Attributes:
        path: The file; its stem names the folder of the results.
        id: The table or figure, as ``tools/report.py`` takes it.
        title: What varies.
        split: On which list the cells are compared, ``val`` or ``test``.
        grid: ``'paper'`` where the paper prints the grid, ``'ours'`` where it does not.
        cells: The experiments.
        says: What the paper says of it where it prints no value.
        seeds: One run of each cell for each of them.
        prepare: Commands (``command``, an argument list in which ``{data_root}`` stands for the
            data root) with the label files that they make (``makes``, relative to it).
    """

    path: Path
    id: str
    title: str
    split: str
    grid: str
    cells: tuple[Cell, ...]
    says: str = ''
    seeds: tuple[int, ...] = (42,)
    prepare: tuple[Mapping[str, Sequence[str]], ...] = field(default=())

    @property
    def name(self) -> str:
        """Name of the folder of the results."""
        return self.path.stem

    def only(self, wanted: Sequence[str]) -> Sweep:
        """Keep the cells of these names, as printed or as in a path.

        Raises:
            InputError: If a name is unknown.
        """
        known = {name: cell for cell in self.cells for name in (cell.name, cell.folder)}
        unknown = [name for name in wanted if name not in known]
        if unknown:
            cells = ', '.join(cell.folder for cell in self.cells)
            raise InputError(f'{self.path}: no cell {unknown[0]!r}; there are {cells}')
        kept = tuple(c for c in self.cells if any(known[name] is c for name in wanted))
        return replace(self, cells=kept)


def is_sweep(path: str | os.PathLike) -> bool:
    """Whether a Python file defines ``sweep`` at its top level."""
    return re.search(r'^sweep\s*=', Path(path).read_text(encoding='utf-8'), re.M) is not None


def read_sweep(path: str | os.PathLike) -> Sweep:
    """Read a sweep file and check that it is complete and consistent.

    The file defines one dictionary ``sweep``:

    * ``id``, ``title``, ``split`` (``val`` or ``test``), ``grid`` (``paper`` or ``ours``), and
      ``says``, the paper's sentence where it prints no values;
    * ``base``: a config, relative to the file;
    * ``keys``: short name to a dotted key of the config, or to several that get one value;
    * ``common``: dotted keys and values of all cells;
    * ``cells``: a dictionary each, of short names (which the table shows) and dotted keys (which
      it does not); also ``name``, ``base``, ``settings`` (shown, without effect on the config)
      and ``tests`` (test list to label file) where a cell has its own;
    * ``chosen``: names of the cells that the paper settled on; ``seeds``; ``prepare``: a
      dictionary for each command that makes label files, ``command`` and ``makes``.

    Args:
        path: The sweep file.

    Returns:
        The sweep. The cells' configs are not read yet, see :func:`cell_config`.

    Raises:
        InputError: If something is missing, unknown, of a wrong type or named twice.

    Example:
        >>> len(read_sweep('configs/ablations/a7_two_way.py').cells)      # doctest: +SKIP
        16
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f'{path}: no such sweep; they are in configs/ablations, configs/protocols')
    if not is_sweep(path):
        raise InputError(f'{path}: defines no `sweep`; train a config with tools/dist_train.sh')
    try:
        data = Config.fromfile(path)
    except Exception as error:
        # Whatever the file does wrong. mmengine refuses imports without a word.
        reason = str(error) or 'a sweep is plain Python without imports'
        raise InputError(f'{path}: cannot be read as a sweep ({reason})') from error
    data = data.to_dict()['sweep']
    if not isinstance(data, dict):
        raise InputError(f'{path}: `sweep` must be a dictionary, got {type(data).__name__}')
    _check_keys(str(path), data, _SWEEP_KEYS)
    for key in ('id', 'title', 'base', 'split', 'grid', 'cells'):
        if key not in data:
            raise InputError(f'{path}: `{key}` is missing in the sweep')
    for key, allowed in (('split', _SPLITS), ('grid', ('paper', 'ours'))):
        if data[key] not in allowed:
            raise InputError(f'{path}: {key} is one of {allowed}, got {data[key]!r}')
    for key, targets in data.get('keys', {}).items():
        several = isinstance(targets, list | tuple) and all(isinstance(t, str) for t in targets)
        if not several and not isinstance(targets, str):
            raise InputError(
                f'{path}: keys[{key!r}] must be a dotted key or a list of them, got {targets!r}'
            )
    for name in ('common', 'keys'):
        if any(not isinstance(key, str) for key in data.get(name, {})):
            raise InputError(f'{path}: the keys of `{name}` are words, got {data[name]!r}')
    if any(not isinstance(name, str) for name in data.get('chosen', [])):
        raise InputError(f'{path}: `chosen` holds names of cells, got {data["chosen"]!r}')
    cells = tuple(_cell(path, data, cell) for cell in data['cells'])
    _check_names(path, cells, data.get('chosen', []))
    if not cells:
        raise InputError(f'{path}: needs a cell or more')
    seeds = check_seeds(data.get('seeds', (42,)), str(path))
    prepare = tuple(data.get('prepare', ()))
    for step in prepare:
        if not isinstance(step, dict) or set(step) != {'command', 'makes'}:
            raise InputError(f'{path}: a step of `prepare` has `command` and `makes`, got {step!r}')
    return Sweep(path, data['id'], data['title'], data['split'], data['grid'], cells,
                 data.get('says', ''), seeds, prepare)  # fmt: skip


def check_seeds(seeds: Sequence[int], place: str) -> tuple[int, ...]:
    """Return seeds as a tuple.

    Raises:
        InputError: If there is none, one is no whole number from 0 on, or one comes twice.
    """
    if not seeds or any(type(seed) is not int or seed < 0 for seed in seeds):
        raise InputError(f'{place}: seeds are whole numbers from 0 on, got {list(seeds)}')
    if len(set(seeds)) < len(seeds):
        raise InputError(f'{place}: seeds {list(seeds)}, name each once')
    return tuple(seeds)


def cell_config(cell: Cell) -> Config:
    """Return the complete config of a cell.

    Raises:
        InputError: If a key is unknown in the base config or a value has another type.
    """
    cfg = load_config(str(cell.base))
    set_options(cfg, cell.options, f'cell {cell.name!r}')
    return cfg


def write_cell(sweep: Sweep, cell: Cell, seed: int, path: Path) -> None:
    """Write a cell as an ordinary config: its base, and what it changes.

    Args:
        sweep: Named in the header.
        cell: What to write.
        seed: Of this run.
        path: The file; its folder is made.
    """
    options = {**cell.options, 'randomness.seed': seed}
    base = Path(os.path.relpath(cell.base.resolve(), path.parent.resolve())).as_posix()
    title = ' '.join(f'{sweep.id}, {sweep.title}: {cell.folder}'.split())
    text = (
        f'# {title.replace("{{", "")}. Written by tools/sweep.py {sweep.path.name}\n'
        f'_base_ = {base!r}\n{Config(nested(options)).pretty_text}'
    )
    write_whole(path, text)


def _cell(path: Path, data: Mapping, cell: object) -> Cell:
    if not isinstance(cell, Mapping):
        raise InputError(f'{path}: a cell is a dictionary, got {cell!r}')
    keys = data.get('keys', {})
    place = f'{path}, cell {cell.get("name") or dict(cell)}'
    own = {key: value for key, value in cell.items() if key in _CELL_KEYS}
    _check_keys(place, own, _CELL_KEYS)
    settings = {key: value for key, value in cell.items() if key in keys}
    options = dict(data.get('common', {}))
    for key, value in settings.items():
        targets = keys[key]
        for target in [targets] if isinstance(targets, str) else targets:
            options[target] = value
    options |= {k: v for k, v in cell.items() if k not in keys and k not in _CELL_KEYS}
    settings |= own.get('settings', {})
    name = own.get('name') or ', '.join(f'{k} {_text(v)}' for k, v in settings.items())
    if not name:
        unknown = [key for key in options if key not in data.get('common', {}) and '.' not in key]
        hint = f'; {unknown[0]!r} is no short name of `keys` ({", ".join(keys)})' if unknown else ''
        raise InputError(f'{place}: needs a `name`, since it has no settings{hint}')
    if 'randomness.seed' in options:
        raise InputError(f'{place}: randomness.seed cannot be a key; use `seeds`')
    base = (path.parent / own.get('base', data['base'])).resolve()
    base = Path(os.path.relpath(base))
    if not base.is_file():
        raise InputError(f'{place}: its base {base} does not exist; bases are relative to {path}')
    chosen = name in data.get('chosen', [])
    return Cell(name, _folder(name), base, settings, options, own.get('tests', {}), chosen)


def _text(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)


def _folder(name: str) -> str:
    words = re.sub(r'[^A-Za-z0-9._+]+', '-', name.replace(', ', '_'))
    return re.sub(r'-*_-*', '_', words).strip('-._')[:100]


def _check_keys(place: str, data: Mapping, known: Mapping[str, type]) -> None:
    for key, value in data.items():
        if key not in known:
            raise InputError(f'{place}: unknown key {key!r}; a sweep has {", ".join(known)}')
        wanted = (list, tuple) if known[key] is list else known[key]
        if not isinstance(value, wanted):
            raise InputError(
                f'{place}: `{key}` must be a {known[key].__name__}, got {value!r} '
                f'({type(value).__name__})'
            )


def _check_names(path: Path, cells: Sequence[Cell], chosen: Sequence[str]) -> None:
    seen: dict[str, Cell] = {}
    for cell in cells:
        for test, labels in cell.tests.items():
            if not isinstance(labels, str) or not re.fullmatch(r'[\w-]+', test):
                raise InputError(
                    f'{path}, cell {cell.name!r}: `tests` gives a label file to each name of '
                    f'letters, digits and _, got {test!r}: {labels!r}'
                )
        if not cell.folder:
            raise InputError(f'{path}: the name {cell.name!r} has no letter or digit')
        if cell.folder in seen:
            raise InputError(
                f'{path}: two cells are named {cell.name!r} (folder {cell.folder}); give one '
                'another `name`'
            )
        seen[cell.folder] = cell
    names = {cell.name for cell in cells}
    for name in chosen:
        if name not in names:
            raise InputError(f'{path}: chosen cell {name!r} does not exist; there are '
                             f'{sorted(names)}')  # fmt: skip
