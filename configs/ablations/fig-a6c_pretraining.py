# Fig. A6c: with and without the weights pretrained on natural pictures.
#   python tools/sweep.py configs/ablations/fig-a6c_pretraining.py --gpus 4
# With the final model. The figure prints no values and names no split: test is our reading.
sweep = dict(
    id='fig-A6',
    title='pretraining',
    base='../myopia_models/tinyvit-21m-distill-384_MYOPIA.py',
    split='test',
    grid='paper',
    says='Pretrained weights improve the results considerably.',
    cells=[{'name': 'w/o pretraining', 'pretrained': None}, {'name': 'pretraining'}],
    chosen=['pretraining'],
)
