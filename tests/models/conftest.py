"""Small models with parameters that are not at their start values."""

from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture(autouse=True)
def _reproducible():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def scramble() -> Callable[[nn.Module], nn.Module]:
    """Give every parameter and running statistic a value that matters in the result."""

    def apply(model: nn.Module) -> nn.Module:
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if name.endswith(('running_var', 'bn2d.weight', 'bn.weight', 'norm.weight')):
                    tensor.uniform_(0.5, 1.5)
                elif name.endswith(('running_mean', 'attention_biases', '.bias')):
                    tensor.normal_(0, 0.5)
        return model

    return apply
