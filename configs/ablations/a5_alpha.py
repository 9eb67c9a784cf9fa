# Table A5: alpha-balanced BCE, without focusing.
#   python tools/sweep.py configs/ablations/a5_alpha.py --gpus 4
# On the development split, before the residual attention came: linear head. The loss of the soft
# labels of Mixup and CutMix is the convex one; which one the paper used here is not known.
sweep = dict(
    id='A5',
    title='alpha of the cross-entropy',
    base='linear-bce.py',
    split='val',
    grid='paper',
    keys=dict(alpha='model.head.loss.alpha'),
    cells=[dict(alpha=alpha) for alpha in (0.10, 0.25, 0.50, 0.75, 0.90, 0.99, 0.999)],
    chosen=['alpha 0.75'],
)
