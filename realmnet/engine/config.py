"""From a config file and command-line options to the configuration of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config, ConfigDict

from realmnet.engine.options import check_config, set_options
from realmnet.errors import InputError

_OPTIONS = Path('configs', '_base_', 'options')


def load_config(path: str, options: Mapping | None = None, fragments: Sequence[str] = ()) -> Config:
    """Read a config file, add fragments, then apply ``--cfg-options`` (:func:`apply_options`).

    Args:
        path: The config file.
        options: Dotted keys and values, applied last.
        fragments: Names of files in ``configs/_base_/options`` (``'ema'``), or paths.

    Returns:
        The configuration.

    Raises:
        InputError: If a file does not exist, is not a config or gives a class an argument that it
            does not take, or an option is unknown.

    Example:
        >>> load_config('configs/quickstart/tinyvit-5m-128_synthetic.py',
        ...             {'data_root': 'data/other'})   # doctest: +SKIP
    """
    cfg = _read(Path(path))
    for name in fragments:
        cfg.merge_from_dict(_read(_fragment(name)).to_dict())
    check_config(cfg, path)
    apply_options(cfg, options or {})
    return cfg


def apply_options(cfg: Config, options: Mapping) -> None:
    """Apply ``--cfg-options`` to a configuration, by the rules of :func:`set_options`.

    ``data_root`` also moves every dataset that stood under the config's ``data_root``, so that one
    option is enough to train on another copy of the data.

    Args:
        cfg: The configuration, changed in place.
        options: Dotted keys and values.

    Raises:
        InputError: If a key is unknown, or a value of another type.
    """
    set_options(cfg, options, '--cfg-options')


def datasets(
    cfg: Config, loaders: Sequence[str] = ('train', 'val', 'test')
) -> Iterator[ConfigDict]:
    """Yield the innermost dataset of each dataloader, wrappers such as repetition taken off.

    Args:
        cfg: The configuration.
        loaders: Which of ``train``, ``val``, ``test``; those that the config lacks are passed by.
    """
    for loader in loaders:
        node = (cfg.get(f'{loader}_dataloader') or {}).get('dataset')
        if node is None:
            continue
        while 'dataset' in node:
            node = node['dataset']
        yield from node.get('datasets', [node])


def _fragment(name: str) -> Path:
    if name.endswith('.py'):
        return Path(name)
    return Path(__file__).parents[2] / _OPTIONS / f'{name}.py'


def _read(path: Path) -> Config:
    if not path.is_file():
        ready = ', '.join(sorted(p.stem for p in (Path(__file__).parents[2] / _OPTIONS).glob('*')))
        hint = f'; ready fragments are {ready}' if path.parent.name == 'options' else ''
        raise InputError(f'{path}: no such config file{hint}')
    try:
        return Config.fromfile(path)
    except (SyntaxError, KeyError, OSError, ImportError, AttributeError) as error:
        raise InputError(f'{path}: cannot be read as a config ({error})') from error
