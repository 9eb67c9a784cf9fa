# RealMNet at 224 px: Figures 4a and A5b.
#   tools/dist_train.sh configs/myopia_models/tinyvit-21m-distill-224_MYOPIA.py 4
# The paper prints no values for this size.
_base_ = './tinyvit-21m-distill-384_MYOPIA.py'

pretrained = (
    'https://download.openmmlab.com/mmclassification/v0/tinyvit/'
    'tinyvit-21m_in21k-distill-pre_3rdparty_in1k_20221021-3d9b30a2.pth'
)
model = dict(backbone=dict(img_size=224, window_size=[7, 7, 14, 7]))

resize = dict(type='Resize', scale=(224, 224), interpolation='area')
train_pipeline = [_base_.load, resize, *_base_.simulated_augmentation, _base_.pack]
test_pipeline = [_base_.load, resize, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
