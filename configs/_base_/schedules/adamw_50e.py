# Paper, section 4.5.2: AdamW, 5 epochs of linear warm-up per iteration, cosine per epoch to 1e-6.
# Decay spares norms, biases and 1-D parameters. 4 processes x 16 pictures; the last epoch is used.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999)),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=True, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, begin=5),
]

train_cfg = dict(by_epoch=True, max_epochs=50, val_interval=1)
val_cfg = dict()
test_cfg = dict()

# `--auto-scale-lr` scales lr by (processes x pictures per process x accumulated steps) / 64.
auto_scale_lr = dict(base_batch_size=64, enable=False)
