# RealMNet at 512 px, the paper's best model: Tables 1-3, row RealMNet-512.
#   tools/dist_train.sh configs/myopia_models/tinyvit-21m-distill-512_MYOPIA.py 4
# Published on the test split: F1 .7970, mAP .8497, AUROC .9745.
_base_ = './tinyvit-21m-distill-384_MYOPIA.py'

pretrained = (
    'https://download.openmmlab.com/mmclassification/v0/tinyvit/'
    'tinyvit-21m_in21k-distill-pre_3rdparty_in1k-512px_20221021-e42a9bea.pth'
)
model = dict(backbone=dict(img_size=512, window_size=[16, 16, 32, 16]))

resize = dict(type='Resize', scale=(512, 512), interpolation='bicubic')
train_pipeline = [_base_.load, resize, *_base_.simulated_augmentation, _base_.pack]
test_pipeline = [_base_.load, resize, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
