# RegNetY-400MF of timm with a linear head, on your own labelled pictures.
#   tools/dist_train.sh configs/custom/regnet-y-224_csv.py 1
_base_ = './tinyvit-21m-384_csv.py'

pretrained = 'timm://regnety_004.tv2_in1k'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(_delete_=True, type='TimmFeatures', model_name='regnety_004', drop_path_rate=0.1),
    head=dict(
        _delete_=True,
        type='MultiLabelLinearClsHead',
        num_classes=len(_base_.classes),
        in_channels=440,
    ),
)

resize = dict(type='Resize', scale=(224, 224), interpolation='area')
train_pipeline = [_base_.load, resize, *_base_.simulated_augmentation, _base_.pack]
test_pipeline = [_base_.load, resize, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
