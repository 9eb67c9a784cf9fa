# Cyclic-source generalizability (CGP): trained on all sources but Zhongshan, tested on Zhongshan.
#   python tools/sweep.py configs/protocols/fig-3c_cyclic-source.py --gpus 4
# Published on Zhongshan: Hamming loss .0985, ranking loss .0530; the rest is not printed.
_base_ = './main-source.py'

train_dataloader = dict(dataset=dict(ann_file='ImageSets/Main/CGP_wo-Zhongshan/train_MLRUS-20.csv'))
test_dataloader = dict(dataset=dict(ann_file='ImageSets/Main/CGP_wo-Zhongshan/test.csv'))
