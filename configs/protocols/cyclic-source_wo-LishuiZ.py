# Cyclic-source generalizability (CGP): trained on all sources but LishuiZ, tested on LishuiZ.
#   python tools/sweep.py configs/protocols/fig-3c_cyclic-source.py --gpus 4
# The paper prints no F1, mAP or AUROC of it.
_base_ = './main-source.py'

train_dataloader = dict(dataset=dict(ann_file='ImageSets/Main/CGP_wo-LishuiZ/train_MLRUS-20.csv'))
test_dataloader = dict(dataset=dict(ann_file='ImageSets/Main/CGP_wo-LishuiZ/test.csv'))
