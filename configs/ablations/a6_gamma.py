# Table A6: focal loss, each focusing with the alpha that the paper found best for it.
#   python tools/sweep.py configs/ablations/a6_gamma.py --gpus 4
# On the development split, before the residual attention came: linear head. The loss of the soft
# labels of Mixup and CutMix is the convex one; which one the paper used here is not known.
sweep = dict(
    id='A6',
    title='gamma of the focal loss, with the best alpha',
    base='linear-bce.py',
    split='val',
    grid='paper',
    keys=dict(
        gamma=['model.head.loss.gamma_pos', 'model.head.loss.gamma_neg'],
        alpha='model.head.loss.alpha',
    ),
    cells=[
        dict(gamma=0.0, alpha=0.75),
        dict(gamma=0.1, alpha=0.75),
        dict(gamma=0.2, alpha=0.75),
        dict(gamma=0.5, alpha=0.50),
        dict(gamma=1.0, alpha=0.25),
        dict(gamma=2.0, alpha=0.25),
        dict(gamma=5.0, alpha=0.25),
    ],
    chosen=['gamma 0, alpha 0.75'],
)
