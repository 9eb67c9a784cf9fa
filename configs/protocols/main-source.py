# Main-source robustness (MRP): trained on all pictures of ShenzhenEye, tested on the other sources.
#   python tools/sweep.py configs/protocols/fig-3b_main-source.py --gpus 4
# Published on SUSTech: F1 .7956, mAP .8927, AUROC .9869.
_base_ = '../myopia_models/tinyvit-21m-distill-384_MYOPIA.py'

# The lists are made by tools/dataset_tools/make_protocols.py. No patient is left for development.
train_dataloader = dict(dataset=dict(ann_file='ImageSets/Main/MRP/train_MLRUS-20.csv'))
val_cfg = val_dataloader = val_evaluator = None
test_dataloader = dict(dataset=dict(ann_file='ImageSets/Main/MRP/test_SUSTech.csv'))
