# Fig. 4b: the first stages of the backbone keep their pretrained weights.
#   python tools/sweep.py configs/ablations/fig-4b_freezing.py --gpus 4
# On the test split, with the final model; the stem always learns, as in the authors' code (216,000
# to 20,609,280 frozen parameters). The figure prints no values.
sweep = dict(
    id='fig-4',
    title='frozen stages',
    base='../myopia_models/tinyvit-21m-distill-384_MYOPIA.py',
    split='test',
    grid='paper',
    says='Freezing one or two stages costs nothing; freezing three or four costs much.',
    keys=dict(frozen='model.backbone.frozen_stages'),
    cells=[dict(frozen=stages) for stages in range(5)],
    chosen=['frozen 0'],
)
