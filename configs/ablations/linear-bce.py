# TinyViT-21M with linear head and BCE at 384 px: what resampling, resolution, drop path,
# augmentation and the loss were ablated on (Tables A5-A7, Figures 4c, A5).
#   tools/dist_train.sh configs/ablations/linear-bce.py 4
# Published: only with the loss halved, as alpha .50 of Table A5, F1 .8158, mAP .8794, AUROC .9781.
_base_ = [
    '../myopia_models/tinyvit-21m-distill-384_MYOPIA.py',
    '../_base_/heads/linear_bce.py',
]

model = dict(
    backbone=dict(gap_before_final_norm=True),
    head=dict(_delete_=True, in_channels=576, **_base_.linear_bce_head),
)
