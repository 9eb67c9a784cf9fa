# linear-bce at 224 px, for Figure A5b (resolution), which prints no values.
#   tools/dist_train.sh configs/ablations/linear-bce-224.py 4
_base_ = [
    '../myopia_models/tinyvit-21m-distill-224_MYOPIA.py',
    '../_base_/heads/linear_bce.py',
]

model = dict(
    backbone=dict(gap_before_final_norm=True),
    head=dict(_delete_=True, in_channels=576, **_base_.linear_bce_head),
)
