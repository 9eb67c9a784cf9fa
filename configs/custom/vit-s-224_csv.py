# ViT-S of mmpretrain with a linear head on the class token, on your own labelled pictures.
#   tools/dist_train.sh configs/custom/vit-s-224_csv.py 4
_base_ = './tinyvit-21m-384_csv.py'

pretrained = (
    'https://download.openmmlab.com/mmclassification/v0/deit/'
    'deit-small_pt-4xb256_in1k_20220218-9425b9bb.pth'
)
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='VisionTransformer',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
    ),
    head=dict(
        _delete_=True,
        type='MultiLabelLinearClsHead',
        num_classes=len(_base_.classes),
        in_channels=384,
    ),
)

resize = dict(type='Resize', scale=(224, 224), interpolation='bicubic')
train_pipeline = [_base_.load, resize, *_base_.simulated_augmentation, _base_.pack]
test_pipeline = [_base_.load, resize, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
