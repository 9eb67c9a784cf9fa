# EfficientNet-B4 of timm, in the variant with TensorFlow's padding, as OpenMMLab's.
#   tools/dist_train.sh configs/myopia_models/timm/timm-efficientnet-b4-380_MYOPIA.py 4
# Not in the paper. timm's own implementation and weights, from the Hugging Face hub.
_base_ = '../efficientnet-b4-380_MYOPIA.py'

pretrained = 'timm://tf_efficientnet_b4.aa_in1k'
model = dict(
    backbone=dict(
        _delete_=True, type='TimmFeatures', model_name='tf_efficientnet_b4', drop_path_rate=0.5
    ),
    neck=None,
)

quick = dict(
    model=dict(
        backbone=dict(_delete_=True, type='TimmFeatures', model_name='tf_efficientnet_b0'),
    ),
)
