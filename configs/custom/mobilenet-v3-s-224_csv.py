# MobileNetV3-small of mmpretrain with a linear head, on your own labelled pictures.
#   tools/dist_train.sh configs/custom/mobilenet-v3-s-224_csv.py 1
# ImageNet's usual pipeline: the shorter edge to 256 pixels, then the centre.
_base_ = './tinyvit-21m-384_csv.py'

pretrained = (
    'https://download.openmmlab.com/mmclassification/v0/mobilenet_v3/'
    'mobilenet-v3-small_8xb128_in1k_20221114-bd1bfcde.pth'
)
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(_delete_=True, type='MobileNetV3', arch='small'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        _delete_=True,
        type='MultiLabelLinearClsHead',
        num_classes=len(_base_.classes),
        in_channels=576,
    ),
)

prepare = [
    _base_.load,
    dict(type='ResizeEdge', scale=256, edge='short', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
]
train_pipeline = [*prepare, *_base_.simulated_augmentation, _base_.pack]
test_pipeline = [*prepare, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
