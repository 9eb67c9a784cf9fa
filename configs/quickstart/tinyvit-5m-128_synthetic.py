# The whole path in minutes: TinyViT-5M with the same head and loss, from scratch, on synthetic
# pictures of 128 px. Made by tools/quickstart.sh; says nothing about patients.
#   tools/dist_train.sh configs/quickstart/tinyvit-5m-128_synthetic.py 1
_base_ = '../myopia_models/tinyvit-21m-distill-384_MYOPIA.py'

pretrained = None
model = dict(
    backbone=dict(arch='5m', img_size=128, window_size=[4, 4, 8, 4], drop_path_rate=0.0),
    # From random weights and in a few epochs, plain BCE learns faster than asymmetric focusing, and
    # Mixup and CutMix have no time to pay off.
    head=dict(in_channels=320, loss=dict(gamma_pos=0.0, gamma_neg=0.0)),
    train_cfg=None,
)

data_root = 'data/synthetic'
train_pipeline = [
    _base_.load,
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    _base_.pack,
]
test_pipeline = [_base_.load, _base_.pack]
train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root, ann_file='ImageSets/Main/MYOPIA/MYOPIA.csv', pipeline=train_pipeline
    ),
)
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))

optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', eta_min=1e-6, begin=1, by_epoch=True, convert_to_iter_based=True
    ),
]
train_cfg = dict(max_epochs=7)
default_hooks = dict(logger=dict(interval=20))
