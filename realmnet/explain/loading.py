"""Where scripts find the trained model whose heat maps they want."""

from realmnet.deployment.trained_model import TrainedModel

__all__ = ['TrainedModel']
