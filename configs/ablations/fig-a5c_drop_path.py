# Fig. A5c: drop path rate.
#   python tools/sweep.py configs/ablations/fig-a5c_drop_path.py --gpus 4
# On the development split, before the residual attention came. The figure prints no values.
sweep = dict(
    id='fig-A5',
    title='drop path rate',
    base='linear-bce.py',
    split='val',
    grid='paper',
    says='A higher rate prevents over-fitting; .5, the highest tried, was chosen.',
    keys=dict(rate='model.backbone.drop_path_rate'),
    cells=[dict(rate=rate) for rate in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)],
    chosen=['rate 0.5'],
)
