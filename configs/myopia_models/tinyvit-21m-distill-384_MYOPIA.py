# RealMNet at 384 px, the model of the paper's development: Tables 1-3, row RealMNet-384.
#   tools/dist_train.sh configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py 4
# Published on the test split: F1 .7903, mAP .8398, AUROC .9736.
_base_ = [
    '../_base_/datasets/psmm.py',
    '../_base_/models/tinyvit-21m_csra_384.py',
    '../_base_/schedules/adamw_50e.py',
    '../_base_/default_runtime.py',
]
