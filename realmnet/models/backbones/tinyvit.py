"""The TinyViT backbone of RealMNet."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from mmcv.cnn.bricks import build_norm_layer
from mmengine.logging import print_log
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from realmnet.errors import InputError

from .tinyvit_layers import (
    MBConvBlock,
    PatchEmbed,
    PatchMerging,
    Stage,
    TinyViTBlock,
    resize_bias_table,
)


def default_windows(img_size: int | Sequence[int]) -> list[int]:
    """Windows that divide the maps of a square picture exactly.

    TinyViT's published windows are ``side / 32`` tokens in every stage but the third, which has
    twice that: 7-7-14-7 at 224 px, 12-12-24-12 at 384 px, 16-16-32-16 at 512 px.

    Args:
        img_size: Side of the picture, or (height, width), in pixels.

    Returns:
        One window side a stage, in tokens.

    Raises:
        ValueError: The picture is not square or its side is not a multiple of 32.

    Example:
        >>> default_windows(384)
        [12, 12, 24, 12]
    """
    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
    if height != width or height <= 0 or height % 32:
        raise ValueError(
            'windows follow from img_size only if it is square and a multiple of 32 pixels, '
            f'got {img_size}: pass window_size, e.g. window_size=[12, 12, 24, 12]'
        )
    side = height // 32
    return [side, side, 2 * side, side]


@MODELS.register_module()
class RealMTinyViT(BaseBackbone):
    """TinyViT, a drop-in for mmpretrain's ``TinyViT`` with the same state dict.

    What differs from mmpretrain's: attention runs through PyTorch's fused kernel; any picture
    size is accepted; position biases are never cached, and are resized when a checkpoint comes
    from another window; the freezing takes effect when the model is built; there is
    ``freeze_stem`` and ``get_layer_depth``.

    Source: TinyViT (Wu et al., ECCV 2022, https://arxiv.org/abs/2207.10666).

    Args:
        arch: '5m', '11m' or '21m', or a dict with ``channels``, ``num_heads`` and ``depths``.
        img_size: The picture for which the windows are chosen; no limit on what goes in.
        window_size: Side of the attention window in each stage, in tokens (the first stage has
            no attention). None takes :func:`default_windows` of ``img_size``.
        in_channels: Channels of the picture.
        mlp_ratio: Width of the MLP's hidden layer over its input's.
        drop_rate: Dropout in the MLPs.
        drop_path_rate: Stochastic depth of the last block; rises linearly from 0.
        use_checkpoint: Recompute the blocks in the backward pass to save memory.
        mbconv_expand_ratio: Expansion in the convolutional blocks.
        local_conv_size: Kernel of the convolution between attention and MLP, odd.
        out_indices: The stages to return; negative counts from the last.
        frozen_stages: Freeze the first k stages, as the published ablation counts them: their
            down-sampling layers too, the stem and the output norms not. 0 freezes none.
        freeze_stem: Freeze ``patch_embed`` too.
        gap_before_final_norm: Return normalised averages ``(N, D)`` for a linear head, instead
            of normalised maps ``(N, D, H, W)``.
        act_cfg: Activation.
        norm_cfg: Output norm.
        init_cfg: Initialisation.

    Raises:
        ValueError: An argument is out of range, or two do not fit together.

    Example:
        >>> import torch
        >>> model = RealMTinyViT(arch='5m', img_size=64, gap_before_final_norm=False).eval()
        >>> model(torch.rand(1, 3, 64, 64))[-1].shape
        torch.Size([1, 320, 2, 2])
    """

    describable = True  # see realmnet/deployment/network_classes.py
    arch_settings: ClassVar[dict] = {
        '5m': dict(channels=[64, 128, 160, 320], num_heads=[2, 4, 5, 10], depths=[2, 2, 6, 2]),
        '11m': dict(channels=[64, 128, 256, 448], num_heads=[2, 4, 8, 14], depths=[2, 2, 6, 2]),
        '21m': dict(channels=[96, 192, 384, 576], num_heads=[3, 6, 12, 18], depths=[2, 2, 6, 2]),
    }

    def __init__(
        self,
        arch: str | Mapping[str, Sequence[int]] = '5m',
        img_size: int | Sequence[int] = (224, 224),
        window_size: Sequence[int] | None = None,
        in_channels: int = 3,
        mlp_ratio: float = 4.0,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_checkpoint: bool = False,
        mbconv_expand_ratio: float = 4.0,
        local_conv_size: int = 3,
        out_indices: int | Sequence[int] = -1,
        frozen_stages: int = 0,
        freeze_stem: bool = False,
        gap_before_final_norm: bool = True,
        act_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        channels, num_heads, self.depths = self._read_arch(arch)
        num_stages = len(channels)
        window_size = list(default_windows(img_size) if window_size is None else window_size)
        if len(window_size) != num_stages or min(window_size) < 1:
            raise InputError(
                f'window_size needs {num_stages} positive numbers, one a stage, got {window_size}'
            )
        if local_conv_size < 1 or local_conv_size % 2 == 0:
            raise ValueError(f'local_conv_size must be odd, got {local_conv_size}')
        for name, rate in (('drop_rate', drop_rate), ('drop_path_rate', drop_path_rate)):
            if not 0 <= rate < 1:
                raise ValueError(f'{name} must be in [0, 1), got {rate}')
        if not 0 <= frozen_stages <= num_stages:
            raise ValueError(f'frozen_stages must be in 0..{num_stages}, got {frozen_stages}')
        self.out_indices = self._read_out_indices(out_indices, num_stages)
        self.frozen_stages = frozen_stages
        self.freeze_stem = freeze_stem
        self.gap_before_final_norm = gap_before_final_norm
        act_cfg = act_cfg or dict(type='GELU')
        norm_cfg = norm_cfg or dict(type='LN')

        self.patch_embed = PatchEmbed(in_channels, channels[0], act_cfg)
        last = max(sum(self.depths) - 1, 1)
        rates = iter([drop_path_rate * i / last for i in range(sum(self.depths))])
        self.stages = nn.ModuleList()
        for i, depth in enumerate(self.depths):
            if i == 0:
                blocks = [
                    MBConvBlock(channels[0], mbconv_expand_ratio, next(rates), act_cfg)
                    for _ in range(depth)
                ]
            else:
                blocks = [
                    TinyViTBlock(
                        channels[i],
                        num_heads[i],
                        window_size[i],
                        mlp_ratio,
                        drop_rate,
                        next(rates),
                        local_conv_size,
                        act_cfg,
                    )
                    for _ in range(depth)
                ]
            is_last = i == num_stages - 1
            downsample = None if is_last else PatchMerging(channels[i], channels[i + 1], act_cfg)
            self.stages.append(Stage(blocks, downsample, use_checkpoint))
            if i in self.out_indices:
                out_channels = channels[i if is_last else i + 1]
                self.add_module(f'norm{i}', build_norm_layer(norm_cfg, out_channels)[1])
        self._freeze()

    @classmethod
    def _read_arch(
        cls, arch: str | Mapping[str, Sequence[int]]
    ) -> tuple[list[int], list[int], list[int]]:
        """Channels, heads and depths of an architecture, checked."""
        if isinstance(arch, str):
            if arch not in cls.arch_settings:
                raise ValueError(f'arch must be one of {list(cls.arch_settings)}, got {arch!r}')
            arch = cls.arch_settings[arch]
        keys = ('channels', 'num_heads', 'depths')
        missing = [key for key in keys if key not in arch]
        if missing:
            raise ValueError(f'arch needs {list(keys)}, {missing} missing in {dict(arch)}')
        channels, num_heads, depths = (list(arch[key]) for key in keys)
        if not len(channels) == len(num_heads) == len(depths) > 0:
            raise ValueError(f'arch needs one value a stage in each list, got {dict(arch)}')
        # The first stage is convolutional: its number of heads is there for symmetry only.
        uneven = [(c, h) for c, h in zip(channels[1:], num_heads[1:], strict=True) if c % h]
        if uneven:
            raise ValueError(f'channels must be divisible by num_heads, got {uneven}')
        return channels, num_heads, depths

    @staticmethod
    def _read_out_indices(out_indices: int | Sequence[int], num_stages: int) -> list[int]:
        """Stages to return, counted from the first."""
        wanted = [out_indices] if isinstance(out_indices, int) else list(out_indices)
        if not wanted or any(not -num_stages <= i < num_stages for i in wanted):
            raise ValueError(
                f'out_indices must name stages in {-num_stages}..{num_stages - 1}, '
                f'got {out_indices}'
            )
        return [i % num_stages for i in wanted]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Extract features.

        Args:
            x: Pictures ``(N, in_channels, H, W)``; H and W are free.

        Returns:
            One tensor a stage of ``out_indices``, in the order of the stages: ``(N, D)`` with
            ``gap_before_final_norm``, otherwise ``(N, D, H', W')``.
        """
        x = self.patch_embed(x)
        outs = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.out_indices:
                norm = getattr(self, f'norm{i}')
                if self.gap_before_final_norm:
                    outs.append(norm(x.mean(dim=(2, 3))))
                else:
                    outs.append(norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return tuple(outs)

    def _frozen_modules(self) -> list[nn.Module]:
        stem = [self.patch_embed] if self.freeze_stem else []
        return [*stem, *self.stages[: self.frozen_stages]]

    def _freeze(self) -> None:
        for module in self._frozen_modules():
            module.eval()
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> 'RealMTinyViT':
        """Set the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of a parameter, for a learning rate that decays towards the stem.

        The stem is layer 0 and each block is one layer; a down-sampling layer belongs to the
        block that it feeds; output norms and everything outside the backbone come last.

        Args:
            param_name: Name of the parameter.
            prefix: What the backbone's parameters start with, e.g. ``'backbone.'``.

        Returns:
            The layer, from 0, and the number of layers.

        Example:
            >>> RealMTinyViT(img_size=64).get_layer_depth('stages.1.blocks.0.attn.proj.bias')
            (3, 14)
        """
        num_layers = sum(self.depths) + 2
        parts = param_name.removeprefix(prefix).split('.')
        if not param_name.startswith(prefix):
            return num_layers - 1, num_layers
        if parts[0] == 'patch_embed':
            return 0, num_layers
        if parts[0] == 'stages':
            stage = int(parts[1])
            block = int(parts[3]) if parts[2] == 'blocks' else self.depths[stage]
            return 1 + sum(self.depths[:stage]) + block, num_layers
        return num_layers - 1, num_layers

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Fit a checkpoint of other windows, and drop index buffers that some of them carry."""
        own = {
            f'{prefix}{name}': param
            for name, param in self.named_parameters()
            if name.endswith('attention_biases')
        }
        changes = set()
        for key, param in own.items():
            state_dict.pop(f'{key.removesuffix("biases")}bias_idxs', None)
            table = state_dict.get(key)
            if table is None or table.shape == param.shape or table.dim() != 2:
                continue
            old, new = (round(t.shape[1] ** 0.5) for t in (table, param))
            # What is not a table of the same heads over a square is left for the loader to refuse.
            if table.shape[0] == param.shape[0] and old**2 == table.shape[1]:
                state_dict[key] = resize_bias_table(table, new)
                changes.add((old, new))
        if changes:
            windows = ', '.join(f'{old} -> {new}' for old, new in sorted(changes))
            print_log(
                f'{type(self).__name__}: position biases of the checkpoint resized to this '
                f"model's windows ({windows})",
                logger='current',
            )
        super()._load_from_state_dict(state_dict, prefix, *args)
