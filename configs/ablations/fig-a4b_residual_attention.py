# Fig. A4b: weight of the class-specific features, and number of attention heads.
#   python tools/sweep.py configs/ablations/fig-a4b_residual_attention.py --gpus 4
# On the development split, with the final loss. The paper prints the grid of lambda, searched with
# 8 heads first, and no values. 1, 4 and 6 heads are ours: those the attention is defined for.
sweep = dict(
    id='fig-A4',
    title='lambda and number of heads of the residual attention',
    base='../myopia_models/tinyvit-21m-distill-384_MYOPIA.py',
    split='val',
    grid='ours',
    says='lambda 1.2 with 2 heads has the best mAP, and the other metrics are as good.',
    keys={'lambda': 'model.head.lam', 'heads': 'model.head.num_heads'},
    cells=[
        *({'lambda': lam, 'heads': 8} for lam in (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4)),
        *({'lambda': 1.2, 'heads': heads} for heads in (1, 2, 4, 6)),
    ],
    chosen=['lambda 1.2, heads 2'],
)
