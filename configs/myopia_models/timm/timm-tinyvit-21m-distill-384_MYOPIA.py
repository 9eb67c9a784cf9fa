# TinyViT-21M of timm with linear head and BCE.
#   tools/dist_train.sh configs/myopia_models/timm/timm-tinyvit-21m-distill-384_MYOPIA.py 4
# Not in the paper. timm's own implementation and weights, from the Hugging Face hub.
_base_ = '../../ablations/linear-bce.py'

pretrained = 'timm://tiny_vit_21m_384.dist_in22k_ft_in1k'
model = dict(
    backbone=dict(
        _delete_=True, type='TimmFeatures', model_name='tiny_vit_21m_384', drop_path_rate=0.5
    ),
)

quick = dict(
    model=dict(
        backbone=dict(_delete_=True, type='TimmFeatures', model_name='tiny_vit_5m_224'),
    ),
)
