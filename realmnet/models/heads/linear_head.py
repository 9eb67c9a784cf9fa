"""One linear layer, with the probabilities that the loss was made for."""

from mmpretrain.models.heads import MultiLabelLinearClsHead
from mmpretrain.registry import MODELS

from realmnet.models.activation import GroupActivation


@MODELS.register_module()
class GroupLinearHead(GroupActivation, MultiLabelLinearClsHead):
    """mmpretrain's ``MultiLabelLinearClsHead``, and softmax where the loss is cross-entropy.

    Arguments and state dict are the same; mmpretrain's own head takes the sigmoid whatever the
    loss.

    Example:
        >>> head = GroupLinearHead(num_classes=3, in_channels=8,
        ...                        loss=dict(type='GroupCrossEntropyLoss'))
        >>> head.softmax_groups
        ((0, 1, 2),)
    """

    describable = True  # see realmnet/deployment/network_classes.py
