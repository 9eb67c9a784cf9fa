# Fig. A4a: asymmetric focusing and the probability margin.
#   python tools/sweep.py configs/ablations/fig-a4a_asymmetric.py --gpus 4
# On the development split, before the residual attention came: linear head. The figure has lines
# for gamma_neg 2 and 4 and prints no values; its grid is not stated, so this one is ours.
sweep = dict(
    id='fig-A4',
    title='asymmetric focusing and margin',
    base='linear-bce.py',
    split='val',
    grid='ours',
    says='Asymmetric focusing with gamma_pos 3 and gamma_neg 4 is best; a margin does not help.',
    common={'model.head.loss.soft_target': 'mmpretrain'},  # as the published runs
    keys=dict(
        gamma_pos='model.head.loss.gamma_pos',
        gamma_neg='model.head.loss.gamma_neg',
        margin='model.head.loss.margin',
    ),
    cells=[
        dict(gamma_pos=float(positive), gamma_neg=float(negative), margin=margin)
        for negative, positives in ((2, (0, 1, 2)), (4, (0, 1, 2, 3, 4)))
        for positive in positives
        for margin in (0.0, 0.05, 0.1, 0.2)
    ],
    chosen=['gamma_pos 3, gamma_neg 4, margin 0'],
)
