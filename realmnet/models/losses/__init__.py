"""Losses."""

from .cost_sensitive import CostSensitiveLoss, cost_sensitive_loss
from .two_way import TwoWayLoss, two_way_loss

__all__ = ['CostSensitiveLoss', 'TwoWayLoss', 'cost_sensitive_loss', 'two_way_loss']
