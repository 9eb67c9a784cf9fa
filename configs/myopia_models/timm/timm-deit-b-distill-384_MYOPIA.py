# Distilled DeiT-B of timm; its features are the mean of the class and the distillation token.
#   tools/dist_train.sh configs/myopia_models/timm/timm-deit-b-distill-384_MYOPIA.py 4
# Not in the paper. timm's own implementation and weights, from the Hugging Face hub.
_base_ = '../deit-b-distill-384_MYOPIA.py'

pretrained = 'timm://deit_base_distilled_patch16_384.fb_in1k'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmFeatures',
        model_name='deit_base_distilled_patch16_384',
        drop_path_rate=0.5,
    ),
)

quick = dict(
    model=dict(
        backbone=dict(
            _delete_=True,
            type='TimmFeatures',
            model_name='deit_tiny_distilled_patch16_224',
            img_size=64,
        ),
    ),
)
