"""Names of TinyViT's parameters in other implementations, and their names here.

=========================================  ==================================  ==============================
TinyViT's own repository                   timm                                here and in mmpretrain
=========================================  ==================================  ==============================
``patch_embed.seq.{0,2}``                  ``patch_embed.conv{1,2}``           ``patch_embed.seq.{0,2}``
``layers.<i>.blocks.<j>``                  ``stages.<i>.blocks.<j>``           ``stages.<i>.blocks.<j>``
``layers.<i>.downsample``                  ``stages.<i+1>.downsample``         ``stages.<i>.downsample``
``....c.weight``                           ``....conv.weight``                 ``....conv2d.weight``
``....bn.*``                               ``....bn.*``                        ``....bn2d.*``
``norm_head``                              ``head.norm``                       ``norm3``
``head.{weight,bias}``                     ``head.fc.{weight,bias}``           ``head.fc.{weight,bias}``
``....attention_bias_idxs``                (dropped)                           (dropped)
=========================================  ==================================  ==============================
"""  # noqa: E501

import re
from collections.abc import Mapping

from torch import Tensor

from realmnet.errors import InputError

_CONV_BN = r'(conv2d\.weight|bn2d\.(weight|bias|running_mean|running_var|num_batches_tracked))'
_KNOWN = re.compile(
    rf'patch_embed\.seq\.[02]\.{_CONV_BN}'
    rf'|stages\.\d+\.(blocks\.\d+\.(conv[123]|local_conv)|downsample\.conv[123])\.{_CONV_BN}'
    r'|stages\.\d+\.blocks\.\d+\.attn\.(attention_biases|(norm|qkv|proj)\.(weight|bias))'
    r'|stages\.\d+\.blocks\.\d+\.mlp\.(norm|fc1|fc2)\.(weight|bias)'
    r'|norm3\.(weight|bias)'
    r'|head\.fc\.(weight|bias)'
)


def rename_key(name: str) -> str | None:
    """Translate the name of one parameter or buffer.

    Args:
        name: Name in TinyViT's own repository or in timm.

    Returns:
        Name in mmpretrain's ``TinyViT`` (``head.fc.*`` for the classifier), or None for what
        has no counterpart because it is computed (``attention_bias_idxs``).

    Raises:
        InputError: The name is not one of TinyViT's.

    Example:
        >>> rename_key('layers.0.downsample.conv1.c.weight')
        'stages.0.downsample.conv1.conv2d.weight'
        >>> rename_key('stages.1.downsample.conv1.conv.weight')
        'stages.0.downsample.conv1.conv2d.weight'
    """
    if name.endswith('.attention_bias_idxs'):
        return None
    if '.conv2d.' in name or '.bn2d.' in name:
        raise InputError(f'{name!r} is a name of mmpretrain already: nothing to convert')
    new = re.sub(r'\.(c|conv)\.weight$', '.conv2d.weight', name)
    new = re.sub(r'\.bn\.(\w+)$', r'.bn2d.\1', new)
    new = re.sub(r'^patch_embed\.conv1\.', 'patch_embed.seq.0.', new)
    new = re.sub(r'^patch_embed\.conv2\.', 'patch_embed.seq.2.', new)
    new = re.sub(
        r'^stages\.(\d+)\.downsample\.', lambda m: f'stages.{int(m[1]) - 1}.downsample.', new
    )
    new = re.sub(r'^layers\.', 'stages.', new)
    new = re.sub(r'^(norm_head|head\.norm)\.', 'norm3.', new)
    new = re.sub(r'^head\.(weight|bias)$', r'head.fc.\1', new)
    if not _KNOWN.fullmatch(new):
        raise InputError(f'{name!r} is not a parameter of TinyViT')
    return new


def convert_state_dict(
    state_dict: Mapping[str, Tensor], prefix: str = 'backbone.', keep_head: bool = False
) -> dict[str, Tensor]:
    """Translate the state dict of TinyViT's own repository or of timm.

    Args:
        state_dict: What to translate.
        prefix: Put before the names of the backbone.
        keep_head: Keep the classifier's layer, as ``head.fc.*`` (mmpretrain's
            ``LinearClsHead``), instead of dropping it.

    Returns:
        The state dict of an mmpretrain classifier, sharing its tensors with the input.

    Raises:
        InputError: There are names that TinyViT does not have (all are listed), or two names
            mean the same parameter, or there is nothing in it.
    """
    renamed, unknown = {}, []
    for name, value in state_dict.items():
        try:
            new = rename_key(name)
        except InputError:
            unknown.append(name)
            continue
        if new is None or (new.startswith('head.') and not keep_head):
            continue
        new = new if new.startswith('head.') else prefix + new
        if new in renamed:
            raise InputError(f'two entries mean {new!r}, one of them is {name!r}')
        renamed[new] = value
    if unknown:
        raise InputError(
            f'{len(unknown)} of {len(state_dict)} names are not those of TinyViT in its own '
            f'repository or in timm: {", ".join(map(repr, unknown))}'
        )
    if not renamed:
        raise InputError('the state dict holds no parameter of TinyViT')
    return renamed
