# Linear head and BCE: the counterparts, and the parent of the paper's first ablations. 'asl' makes
# the loss exact BCE for the soft labels of Mixup and CutMix too; the gammas are there to be varied.
linear_bce_head = dict(
    type='MultiLabelLinearClsHead',
    num_classes=7,
    loss=dict(type='CostSensitiveLoss', gamma_pos=0.0, gamma_neg=0.0, soft_target='asl'),
)
