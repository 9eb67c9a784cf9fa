"""Layers of TinyViT, with the parameter names of mmpretrain's implementation.

Shapes: N images, D channels, H and W rows and columns, S = window * window tokens.
Every block takes and returns ``(N, D, H, W)``; inside, the transformer blocks work on
``(N, H, W, D)``, which is the same memory when the map is channels-last.

Source: TinyViT (Wu et al., ECCV 2022, https://arxiv.org/abs/2207.10666).
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from mmcv.cnn.bricks import DropPath, build_activation_layer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def resize_bias_table(table: Tensor, window_size: int) -> Tensor:
    """Resize a table of relative position biases to another window, bicubically.

    The table holds one row a head and one column an offset ``(|dy|, |dx|)``, row by row.

    Args:
        table: ``(heads, old_window ** 2)``.
        window_size: Side of the new window, in tokens.

    Returns:
        ``(heads, window_size ** 2)`` in the type of ``table``.
    """
    old = round(table.shape[1] ** 0.5)
    square = table.float().view(1, table.shape[0], old, old)
    resized = F.interpolate(
        square, size=(window_size, window_size), mode='bicubic', align_corners=False
    )
    return resized.flatten(2).squeeze(0).to(table.dtype)


class ConvBN2d(nn.Sequential):
    """A convolution without bias, padded to keep the size, then batch normalisation.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the kernel, odd.
        stride: Stride.
        groups: Groups of the convolution.
        bn_weight_init: First value of the normalisation's weight.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        bn_weight_init: float = 1.0,
    ) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=False,
        )
        self.bn2d = nn.BatchNorm2d(out_channels)
        nn.init.constant_(self.bn2d.weight, bn_weight_init)


class PatchEmbed(nn.Module):
    """The stem: two 3 x 3 convolutions of stride 2."""

    def __init__(self, in_channels: int, embed_dim: int, act_cfg: dict) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvBN2d(in_channels, embed_dim // 2, kernel_size=3, stride=2),
            build_activation_layer(act_cfg),
            ConvBN2d(embed_dim // 2, embed_dim, kernel_size=3, stride=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, 3, H, W)`` to ``(N, D, ceil(H / 4), ceil(W / 4))``."""
        return self.seq(x)


class PatchMerging(nn.Module):
    """Halve the map and widen it, by a strided depth-wise convolution between two 1 x 1."""

    def __init__(self, in_channels: int, out_channels: int, act_cfg: dict) -> None:
        super().__init__()
        self.act = build_activation_layer(act_cfg)
        self.conv1 = ConvBN2d(in_channels, out_channels)
        self.conv2 = ConvBN2d(
            out_channels, out_channels, kernel_size=3, stride=2, groups=out_channels
        )
        self.conv3 = ConvBN2d(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, D, H, W)`` to ``(N, D', ceil(H / 2), ceil(W / 2))``."""
        return self.conv3(self.act(self.conv2(self.act(self.conv1(x)))))


class MBConvBlock(nn.Module):
    """Inverted bottleneck with a residual connection; starts as the identity."""

    def __init__(self, channels: int, expand_ratio: float, drop_path: float, act_cfg: dict) -> None:
        super().__init__()
        hidden = int(channels * expand_ratio)
        self.conv1 = ConvBN2d(channels, hidden)
        self.act = build_activation_layer(act_cfg)
        self.conv2 = ConvBN2d(hidden, hidden, kernel_size=3, groups=hidden)
        self.conv3 = ConvBN2d(hidden, channels, bn_weight_init=0.0)
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, D, H, W)`` to the same shape."""
        y = self.act(self.conv1(x))
        y = self.act(self.conv2(y))
        return self.act(x + self.drop_path(self.conv3(y)))


class MLP(nn.Module):
    """Layer normalisation and two linear layers."""

    def __init__(self, channels: int, hidden: int, drop_rate: float, act_cfg: dict) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        self.act = build_activation_layer(act_cfg)
        self.drop = nn.Dropout(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., D)`` to the same shape."""
        return self.drop(self.fc2(self.drop(self.act(self.fc1(self.norm(x))))))


class WindowAttention(nn.Module):
    """Self-attention inside a window, with one learned bias a head and offset ``(|dy|, |dx|)``.

    The additive mask is gathered from the parameter in every forward pass, and its indices are
    computed there too: there is no cache or buffer that loading, casting or moving the model
    could leave behind.
    """

    def __init__(self, channels: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size = window_size
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, window_size**2))

    def position_bias(self) -> Tensor:
        """Additive mask ``(1, heads, S, S)`` of a window."""
        w = self.window_size
        steps = torch.arange(w, device=self.attention_biases.device)
        gap = (steps[:, None] - steps).abs()
        offset = gap[:, None, :, None] * w + gap[None, :, None, :]
        bias = self.attention_biases.index_select(1, offset.flatten())
        return bias.view(1, self.num_heads, w * w, w * w)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows ``(B, S, D)`` to the same shape."""
        qkv = self.qkv(self.norm(x)).unflatten(-1, (self.num_heads, 3, -1))
        q, k, v = qkv.permute(3, 0, 2, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=self.position_bias())
        return self.proj(x.transpose(1, 2).flatten(2))


class TinyViTBlock(nn.Module):
    """Window attention, a depth-wise convolution, then an MLP.

    A map that the window does not divide is padded with zeros below and to the right; as in the
    original, the padding takes part in the attention.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        window_size: int,
        mlp_ratio: float,
        drop_rate: float,
        drop_path: float,
        local_conv_size: int,
        act_cfg: dict,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.attn = WindowAttention(channels, num_heads, window_size)
        self.mlp = MLP(channels, int(channels * mlp_ratio), drop_rate, act_cfg)
        self.local_conv = ConvBN2d(channels, channels, kernel_size=local_conv_size, groups=channels)

    def _attend(self, x: Tensor) -> Tensor:
        """Cut ``(N, H, W, D)`` into windows, attend in each, put them back."""
        _, h, w, d = x.shape
        s = self.window_size
        below, right = -h % s, -w % s
        if below or right:
            x = F.pad(x, (0, 0, 0, right, 0, below))
        rows, columns = (h + below) // s, (w + right) // s
        windows = x.view(-1, rows, s, columns, s, d).transpose(2, 3).reshape(-1, s * s, d)
        x = self.attn(windows).view(-1, rows, columns, s, s, d).transpose(2, 3)
        x = x.reshape(-1, rows * s, columns * s, d)
        return x[:, :h, :w] if below or right else x

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, D, H, W)`` to the same shape."""
        x = x.permute(0, 2, 3, 1).contiguous()
        x = x + self.drop_path(self._attend(x))
        x = self.local_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self.drop_path(self.mlp(x))
        return x.permute(0, 3, 1, 2)


@contextmanager
def _running_statistics_kept(block: nn.Module) -> Iterator[None]:
    """Run a block without moving the running statistics of its batch normalisation."""
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


class Stage(nn.Module):
    """Blocks, then an optional down-sampling layer.

    Args:
        blocks: The blocks, in order.
        downsample: What follows the last block; None in the last stage.
        use_checkpoint: Recompute each block in the backward pass to save memory. The second
            pass leaves the running statistics of batch normalisation alone.
    """

    def __init__(
        self, blocks: Iterable[nn.Module], downsample: nn.Module | None, use_checkpoint: bool
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample
        self.use_checkpoint = use_checkpoint

    def _run(self, block: nn.Module, x: Tensor) -> Tensor:
        if not (self.use_checkpoint and self.training):
            return block(x)

        def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
            return nullcontext(), _running_statistics_kept(block)

        return checkpoint(block, x, use_reentrant=False, context_fn=contexts)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, D, H, W)`` to ``(N, D', H', W')``."""
        for block in self.blocks:
            x = self._run(block, x)
        return x if self.downsample is None else self.downsample(x)
