# ConvNeXt-T of timm.
#   tools/dist_train.sh configs/myopia_models/timm/timm-convnext-t-384_MYOPIA.py 4
# Not in the paper. timm's own implementation and weights, from the Hugging Face hub.
_base_ = '../convnext-t-384_MYOPIA.py'

pretrained = 'timm://convnext_tiny.fb_in22k_ft_in1k_384'
model = dict(
    backbone=dict(
        _delete_=True, type='TimmFeatures', model_name='convnext_tiny', drop_path_rate=0.5
    ),
)

quick = dict(
    model=dict(
        backbone=dict(_delete_=True, type='TimmFeatures', model_name='convnext_atto'),
    ),
)
