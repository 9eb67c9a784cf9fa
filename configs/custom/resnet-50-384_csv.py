# ResNet-50 of mmpretrain with the residual-attention head, on your own labelled pictures.
#   tools/dist_train.sh configs/custom/resnet-50-384_csv.py 4
# Pictures are not stretched but padded to a square. The head pools the maps itself: no neck.
_base_ = './tinyvit-21m-384_csv.py'

pretrained = (
    'https://download.openmmlab.com/mmclassification/v0/resnet/'
    'resnet50_8xb32_in1k_20210831-ea4938fc.pth'
)
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(_delete_=True, type='ResNet', depth=50, drop_path_rate=0.1),
    head=dict(in_channels=2048),
)

prepare = [
    _base_.load,
    dict(type='Pad', pad_to_square=True),
    dict(type='Resize', scale=(384, 384), interpolation='area'),
]
train_pipeline = [*prepare, *_base_.simulated_augmentation, _base_.pack]
test_pipeline = [*prepare, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
