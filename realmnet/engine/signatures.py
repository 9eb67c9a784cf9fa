"""What the parts of a config take: arguments of registered classes, and of what has no ``type``."""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from mmengine import registry as root_registries
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    LogProcessor,
    Runner,
    TestLoop,
    ValLoop,
)
from mmengine.runner.utils import set_random_seed
from mmengine.utils.dl_utils import set_multi_processing
from mmpretrain import registry as registries
from mmpretrain.models import ClsDataPreprocessor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from realmnet.curation.label_schema import LabelSchema

NOTHING = object()  # "no default"


class Takes(dict):
    """Names of the arguments that something takes, each with its ``inspect.Parameter``.

    Attributes:
        open: Whether there may be others, because a class hands ``**kwargs`` on to something whose
            arguments nobody declares.
    """

    open: bool = False

    def add(self, other: Takes) -> Takes:
        """Join what another takes."""
        for name, parameter in other.items():
            self.setdefault(name, parameter)
        self.open = self.open or other.open
        return self


def _names(*names: str) -> Takes:
    kind = inspect.Parameter.KEYWORD_ONLY
    return Takes({name: inspect.Parameter(name, kind, default=None) for name in names})


def default(parameter: inspect.Parameter) -> Any:
    """Return the default of an argument, :data:`NOTHING` if it has none."""
    return NOTHING if parameter.default is parameter.empty else parameter.default


def registered(name: str) -> tuple[Any, ...]:
    """Look a name up in all registries; ``Registry.get`` would import what it is told.

    Args:
        name: A ``type`` of a config, with or without the scope ``mmpretrain.`` or ``mmengine.``.
    """
    for scope in ('mmpretrain.', 'mmengine.'):
        name = name.removeprefix(scope)
    found: list[Any] = []
    for registry in _registries():
        if name in registry.module_dict and registry.module_dict[name] not in found:
            found.append(registry.module_dict[name])
    return tuple(found)


def registered_names() -> tuple[str, ...]:
    """All names that a ``type`` can have."""
    return tuple(sorted({name for registry in _registries() for name in registry.module_dict}))


def _registries() -> list[Registry]:
    """Return the registries of mmpretrain and of mmengine, filled."""
    found = [*vars(registries).values(), *vars(root_registries).values()]
    found = [registry for registry in found if isinstance(registry, Registry)]
    for registry in found:
        registry.import_from_location()
    return found


def takes(kind: Any) -> Takes:
    """Return the arguments of a class, a function or a registered name.

    A class that hands its ``**kwargs`` to the class that it is derived from takes the arguments of
    that one, too. One that uses them otherwise is open.

    Example:
        >>> from realmnet.models.heads import ResidualAttentionHead
        >>> 'lam' in takes(ResidualAttentionHead), takes(ResidualAttentionHead).open
        (True, False)
    """
    if isinstance(kind, str):
        result = Takes()
        for found in registered(kind):
            result.add(takes(found))
        return result
    if not inspect.isclass(kind):
        return Takes().add(_signature(kind)) if callable(kind) else Takes()
    result = Takes()
    for cls in kind.__mro__:
        if '__init__' not in vars(cls) or cls is object:
            continue
        own = _signature(cls.__init__)
        result.add(own)
        result.open = own.open
        if not own.open or not _hands_on(cls.__init__):
            break
    result.pop('self', None)
    return result


@cache
def _signature(function: Any) -> Takes:
    result = Takes()
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except Exception:
        # an annotation may name what is imported for type checkers alone, and then says nothing
        parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            result[parameter.name] = parameter
        result.open = result.open or parameter.kind is parameter.VAR_KEYWORD
    return result


@cache
def _hands_on(init: Any) -> bool:
    """Whether a constructor calls the one of its base class with its own ``**kwargs``."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError, SyntaxError):
        return False
    calls = [
        call
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, 'attr', None) == '__init__'
    ]
    return any(keyword.arg is None for call in calls for keyword in call.keywords)


#: Top-level keys that ``mmengine.Runner`` or this project reads beside the runner's arguments.
_READ = (
    'runner_type', 'custom_imports', 'pretrained', 'find_unused_parameters', 'model_wrapper_cfg',
    'sync_bn', 'compile', 'activation_checkpointing', 'efficient_conv_bn_eval', 'tta_pipeline',
    'tta_model', 'quick', 'explain',
)  # fmt: skip
_DATALOADER = _names('worker_init_fn', 'collate_fn', 'num_batch_per_epoch', 'sampler', 'dataset')


def top_level() -> Takes:
    """Keys that something reads at the top of a config."""
    result = Takes(takes(Runner))
    for name in ('cfg', 'self'):
        result.pop(name, None)
    kind = inspect.Parameter.KEYWORD_ONLY
    result['pretrained'] = inspect.Parameter(
        'pretrained', kind, default=None, annotation=str | None
    )
    return result.add(_names(*_READ))


def implied(path: Sequence[str], node: Mapping) -> Takes | None:
    """Return what a dictionary takes that stands without ``type`` at a place; None if unknown.

    Args:
        path: Keys that lead to it.
        node: Its content.
    """
    path = tuple(path)
    if not path:
        return top_level()
    if path == ('train_cfg',):
        by_epoch = node.get('by_epoch', 'max_iters' not in node)
        loop = EpochBasedTrainLoop if by_epoch else IterBasedTrainLoop
        return Takes(takes(loop)).add(_names('by_epoch'))
    if path[0].endswith('_dataloader') and len(path) == 1:
        return Takes(takes(DataLoader)).add(_DATALOADER)
    if path[-1] == 'schema':
        return Takes(takes(LabelSchema)).add(_names('exclusive'))  # see get_schema
    known = {
        ('val_cfg',): ValLoop, ('test_cfg',): TestLoop, ('log_processor',): LogProcessor,
        ('model', 'data_preprocessor'): ClsDataPreprocessor, ('optim_wrapper',): OptimWrapper,
        ('env_cfg', 'mp_cfg'): set_multi_processing, ('randomness',): set_random_seed,
    }  # fmt: skip
    if path in known:
        return Takes(takes(known[path])).add(_names(*_EXTRA.get(path, ())))
    if path == ('optim_wrapper', 'clip_grad'):
        return Takes(takes(clip_grad_norm_)).add(_names(*_EXTRA[path]))
    return _names(*_EXTRA[path]) if path in _EXTRA else None


_EXTRA = {
    ('optim_wrapper',): ('constructor', 'paramwise_cfg'),
    ('optim_wrapper', 'clip_grad'): ('type', 'clip_value'),
    ('optim_wrapper', 'paramwise_cfg'): (
        'custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult',
        'dwconv_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate', 'layer_decay_rate',
    ),
    ('env_cfg',): ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    ('env_cfg', 'dist_cfg'): ('backend', 'timeout', 'init_backend', 'init_method'),
    ('explain',): ('layers',),
    ('auto_scale_lr',): ('enable', 'base_batch_size'),
    ('default_hooks',): (
        'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint',
    ),
    ('model', 'train_cfg'): ('augments', 'probs'),
}  # fmt: skip


def added(path: Sequence[str]) -> tuple[str, ...]:
    """Keys that mmengine takes out of a dictionary with ``type`` before it builds the class."""
    always = ('type', '_scope_', '_delete_')
    if path[0] in ('default_hooks', 'custom_hooks'):
        return (*always, 'priority')
    if path[0] == 'param_scheduler':
        return (*always, 'convert_to_iter_based')
    return (*always, *_EXTRA.get(tuple(path), ()))


def is_free(name: str) -> bool:
    """Whether a dictionary of this name is handed on as it is, so that its keys are not known."""
    return (
        name.endswith(('kwargs', '_cfgs', 'custom_keys', 'metainfo'))
        or name in ('info', 'options', 'custom_imports')
        or (name.endswith('_cfg') and name not in ('train_cfg', 'val_cfg', 'test_cfg', 'env_cfg',
                                                   'mp_cfg', 'dist_cfg', 'paramwise_cfg'))
    )  # fmt: skip


def same_type(old: Any, new: Any) -> bool:
    """Whether a value may stand where another stood: whole and decimal numbers are of one type."""
    if old is None or new is None or old is NOTHING:
        return True
    for kind in (bool, (int, float), str, (list, tuple), Mapping):
        if isinstance(old, kind) or isinstance(new, kind):
            return isinstance(old, kind) and isinstance(new, kind)
    return True


_PLAIN = {
    int: (int,), float: (int, float), bool: (bool,), str: (str,), list: (list, tuple),
    tuple: (list, tuple), dict: (Mapping,), Mapping: (Mapping,), Sequence: (list, tuple),
    type(None): (type(None),),
}  # fmt: skip


# Annotations that stay text, because others beside them cannot be looked up.
_WRITTEN = {
    'int': int, 'float': float, 'bool': bool, 'str': str, 'int | None': int | None,
    'Optional[int]': int | None, 'Optional[str]': str | None, 'Optional[float]': float | None,
}  # fmt: skip


def admits(annotation: Any, value: Any) -> bool | None:
    """Whether an argument's annotation allows a value; None if it does not say.

    Example:
        >>> admits(int | None, 2.5), admits(float, 3), admits('later', 3), admits(int, True)
        (False, True, None, False)
    """
    annotation = _WRITTEN.get(annotation, annotation) if isinstance(annotation, str) else annotation
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        answers = [admits(choice, value) for choice in typing.get_args(annotation)]
        return True if True in answers else None if None in answers else False
    if origin is typing.Literal:
        return value in typing.get_args(annotation)
    kinds = _PLAIN.get(origin or annotation)
    if kinds is None:
        return None
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, float) and int in kinds and float not in kinds:
        return False
    return isinstance(value, kinds)


def is_nan(value: Any) -> bool:
    """Whether a value is or holds NaN."""
    if isinstance(value, list | tuple):
        return any(map(is_nan, value))
    return isinstance(value, float) and math.isnan(value)


def is_type_name(value: Any) -> bool:
    """Whether a ``type`` is a name to look up, and not a class, nor a dotted path of Python's."""
    if not isinstance(value, str):
        return False
    scope, _, rest = value.rpartition('.')
    return scope in ('', 'mmpretrain', 'mmengine') and '/' not in rest
