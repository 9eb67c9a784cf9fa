"""timm's pretrained weights, for ``pretrained = 'timm://<name>.<tag>'``."""

from typing import Any

from .checkpoint_io import CheckpointError

SCHEME = 'timm://'


def read_timm(source: str) -> dict[str, Any]:
    """Fetch the weights of a model of timm, or take them from timm's cache.

    timm reads files of weights only (safetensors, or ``weights_only=True``).

    Args:
        source: ``timm://<name>.<tag>``, the tag that timm lists for the model.

    Returns:
        ``state_dict`` as that of a ``TimmFeatures`` backbone.

    Raises:
        CheckpointError: If timm has no such weights, or they cannot be fetched.

    Example:
        >>> weights = read_timm('timm://convnext_tiny.fb_in22k_ft_in1k_384')   # doctest: +SKIP
    """
    import timm  # takes a second, and few configs need it

    name = source.removeprefix(SCHEME)
    if '.' not in name or not timm.is_model_pretrained(name):
        model = name.split('.')[0]
        known = timm.list_pretrained(f'{model}.*') or timm.list_pretrained(f'*{model}*')[:5]
        listed = ', '.join(known) or 'none of a similar name'
        raise CheckpointError(
            f'pretrained={source!r}: expected timm://<name>.<tag>, and timm {timm.__version__} '
            f'has no weights {name!r}, only {listed}.'
        )
    try:
        model = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # the hub's client and timm raise whatever their libraries do
        reason = str(error).strip().split('\n')[0]
        raise CheckpointError(
            f'pretrained={source!r} cannot be fetched ({type(error).__name__}: {reason}): fetch '
            'it once on a connected machine and copy the Hugging Face cache (HF_HOME), take the '
            "config of this model with OpenMMLab's weights, or set pretrained=None."
        ) from error
    return {'state_dict': {f'timm_model.{key}': value for key, value in model.state_dict().items()}}
