"""The network as it is exported: from 8-bit pictures to probabilities, attention made lean."""

from __future__ import annotations

import copy

from mmpretrain.models.utils import ShiftWindowMSA
from torch import Tensor, nn
from torch.nn import functional as F

from realmnet.deployment.description import ModelDescription
from realmnet.deployment.network import scores_and_features
from realmnet.deployment.torch_inputs import mean_and_std, normalised
from realmnet.models.backbones.tinyvit_layers import WindowAttention


class FoldedAttention(WindowAttention):
    """Window attention for inference: the same function with less work.

    Query, key and value are separate products, so that nothing is split, and the scale is part
    of the query's weights. The key's bias adds the same number to all logits of a query, which
    softmax ignores, so it is left out. The weights of a query add up to 1, so the value's bias
    passes unchanged and joins that of the projection.

    Args:
        attention: The layer to copy; it is not changed.

    Example:
        >>> attention = WindowAttention(channels=8, num_heads=2, window_size=2).eval()
        >>> windows = torch.rand(3, 4, 8)
        >>> torch.allclose(FoldedAttention(attention)(windows), attention(windows), atol=1e-6)
        True
    """

    def __init__(self, attention: WindowAttention) -> None:
        channels, heads = attention.qkv.in_features, attention.num_heads
        super().__init__(channels, heads, attention.window_size)
        del self.qkv
        self.load_state_dict(attention.state_dict(), strict=False)
        weight = attention.qkv.weight.detach().view(heads, 3, -1, channels)
        bias = attention.qkv.bias.detach().view(heads, 3, -1)
        query, key, value = (weight[:, i].reshape(channels, channels) for i in range(3))
        query_bias, _, value_bias = (bias[:, i].reshape(channels) for i in range(3))
        scale = (channels // heads) ** -0.5
        self.query = _linear(query * scale, query_bias * scale)
        self.key = _linear(key)
        self.value = _linear(value)
        self.proj.bias.data += self.proj.weight.data @ value_bias

    def forward(self, x: Tensor) -> Tensor:
        """Map windows ``(B, S, D)`` to the same shape."""
        _, tokens, channels = x.shape
        # Products of two-dimensional operands: onnxruntime adds the bias inside them.
        x = self.norm(x).reshape(-1, channels)
        query, key, value = (
            product(x).view(-1, tokens, self.num_heads, channels // self.num_heads).transpose(1, 2)
            for product in (self.query, self.key, self.value)
        )
        mask = self.position_bias()
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
        return self.proj(x.transpose(1, 2).reshape(-1, channels)).view(-1, tokens, channels)


class DeployedNetwork(nn.Module):
    """From 8-bit pictures to probabilities, for any batch size.

    Args:
        network: mmpretrain's ``ImageClassifier``; it is copied, not changed.
        description: Says mean and standard deviation of the pictures, the order of channels, and
            which classes share a softmax.
        features: Whether the features that the head gets are given, too, for the input check.

    Shapes: ``uint8`` RGB ``(N, size, size, 3)`` to ``float32`` ``(N, C)``, with features to that
    and ``(N, D)``.
    """

    def __init__(
        self, network: nn.Module, description: ModelDescription, features: bool = False
    ) -> None:
        super().__init__()
        self.features = features
        self.softmax_groups = description.label_schema.softmax_groups
        self.network = copy.deepcopy(network).cpu().float().eval()
        for module in list(self.network.modules()):
            for name, child in module.named_children():
                if isinstance(child, WindowAttention):
                    setattr(module, name, FoldedAttention(child))
                if isinstance(child, ShiftWindowMSA):
                    # mmpretrain's divides by a float, which freezes the batch size of a trace.
                    child.window_reverse = merge_windows
        self.channel_order = description.channel_order
        mean, std = mean_and_std(description)
        self.register_buffer('mean', mean)
        self.register_buffer('std', std)
        self.requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Map ``uint8`` pictures ``(N, size, size, 3)`` to probabilities ``(N, C)``."""
        inputs = normalised(pictures, self.mean, self.std, self.channel_order)
        scores, features = scores_and_features(self.network, inputs, self.softmax_groups)
        return (scores, features) if self.features else scores


def merge_windows(windows: Tensor, height: int, width: int, side: int) -> Tensor:
    """Put Swin's windows back together.

    Args:
        windows: ``(N * height / side * width / side, side, side, D)``.
        height: Rows of the map, in tokens.
        width: Its columns.
        side: Side of a window.

    Returns:
        ``(N, height, width, D)``.
    """
    rows, columns = height // side, width // side
    x = windows.view(-1, rows, columns, side, side, windows.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, windows.shape[-1])


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.clone(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.clone(), requires_grad=False)
    return layer
