# Table A7: temperatures of the two-way loss.
#   python tools/sweep.py configs/ablations/a7_two_way.py --gpus 4
# On the development split, before the residual attention came: linear head. The loss has the
# class-wise term of the authors' code; the paper prints the sample-wise term alone.
sweep = dict(
    id='A7',
    title='temperatures of the two-way loss',
    base='linear-bce.py',
    split='val',
    grid='paper',
    common={'model.head.loss': dict(_delete_=True, type='TwoWayLoss')},
    keys=dict(T_P='model.head.loss.temperature_pos', T_N='model.head.loss.temperature_neg'),
    cells=[
        dict(T_P=positive, T_N=negative)
        for positive in (0.5, 1.0, 2.0, 4.0)
        for negative in (0.5, 1.0, 2.0, 4.0)
    ],
)
