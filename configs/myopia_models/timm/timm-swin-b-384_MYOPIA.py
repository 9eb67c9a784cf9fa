# Swin-B of timm.
#   tools/dist_train.sh configs/myopia_models/timm/timm-swin-b-384_MYOPIA.py 4
# Not in the paper. timm's own implementation and weights, from the Hugging Face hub.
_base_ = '../swin-b-384_MYOPIA.py'

pretrained = 'timm://swin_base_patch4_window12_384.ms_in22k_ft_in1k'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmFeatures',
        model_name='swin_base_patch4_window12_384',
        drop_path_rate=0.5,
    ),
    neck=None,
)

quick = dict(
    model=dict(
        backbone=dict(
            _delete_=True,
            type='TimmFeatures',
            model_name='swin_tiny_patch4_window7_224',
            img_size=64,
            window_size=2,
            embed_dim=48,
            depths=[2, 2, 2, 2],
            num_heads=[2, 4, 8, 16],
        ),
    ),
)
