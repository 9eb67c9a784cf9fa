# linear-bce without simulated augmentation, for Figure 4c, which prints no values.
#   tools/dist_train.sh configs/ablations/linear-bce_no-simulated.py 4
_base_ = './linear-bce.py'

train_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
