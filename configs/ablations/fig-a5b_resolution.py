# Fig. A5b: size of the input.
#   python tools/sweep.py configs/ablations/fig-a5b_resolution.py --gpus 4
# On the development split, before the residual attention came. The figure prints no values.
sweep = dict(
    id='fig-A5',
    title='input resolution',
    base='linear-bce.py',
    split='val',
    grid='paper',
    says='Larger pictures give better results at more cost; 384 px was chosen for development.',
    cells=[
        dict(settings=dict(size=224), base='linear-bce-224.py'),
        dict(settings=dict(size=384)),
        dict(settings=dict(size=512), base='linear-bce-512.py'),
    ],
    chosen=['size 384'],
)
