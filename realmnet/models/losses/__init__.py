"""Losses."""

from .cost_sensitive import CostSensitiveLoss, cost_sensitive_loss
from .group_cross_entropy import GroupCrossEntropyLoss
from .two_way import TwoWayLoss, two_way_loss

__all__ = [
    'CostSensitiveLoss',
    'GroupCrossEntropyLoss',
    'TwoWayLoss',
    'cost_sensitive_loss',
    'two_way_loss',
]
