"""Backbones of timm."""

from typing import Any

from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.registry import MODELS
from torch import Tensor

from realmnet.errors import InputError


@MODELS.register_module()
class TimmFeatures(BaseBackbone):
    """A model of timm without its classifier: the pooled features that the classifier would read.

    mmpretrain's ``TIMMBackbone`` takes timm's pooling off instead, which leaves tokens for a DeiT,
    channels last for a Swin, and for a ConvNeXt the norm on the wrong side of the average.

    No weights are loaded when it is built; ``pretrained = 'timm://<name>.<tag>'`` in a config
    loads timm's when training starts.

    Args:
        model_name: Name in timm's registry, without a tag.
        init_cfg: Initialisation; None keeps timm's own.
        **options: For ``timm.create_model``, such as ``drop_path_rate`` or ``img_size``.

    Raises:
        InputError: If timm does not know the model or an option.

    Example:
        >>> import torch
        >>> backbone = TimmFeatures('convnext_atto', drop_path_rate=0.5)
        >>> backbone(torch.rand(2, 3, 64, 64))[0].shape
        torch.Size([2, 320])
    """

    describable = True  # see realmnet/deployment/network_classes.py
    #: Of timm's many options those that open nothing: sizes and rates.
    described_options = (
        'img_size',
        'patch_size',
        'window_size',
        'embed_dim',
        'depth',
        'depths',
        'dims',
        'num_heads',
        'mlp_ratio',
        'drop_rate',
        'proj_drop_rate',
        'attn_drop_rate',
        'drop_path_rate',
    )

    def __init__(self, model_name: str, init_cfg: dict | None = None, **options: Any) -> None:
        import timm  # takes a second, and few configs need it

        super().__init__(init_cfg)
        try:
            self.timm_model = timm.create_model(model_name, num_classes=0, **options)
        except (TypeError, RuntimeError) as error:  # an unknown argument, an unknown model
            raise InputError(
                f'model.backbone: timm {timm.__version__} cannot make {model_name!r} with '
                f'{options} ({error}); see timm.list_models()'
            ) from None

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Return the features ``(N, D)`` of pictures ``(N, 3, H, W)``."""
        return (self.timm_model(x),)
