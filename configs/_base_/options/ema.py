# --with ema: test and save an exponential moving average of the weights.
default_hooks = dict(
    ema=dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=1e-3, priority='NORMAL')
)
