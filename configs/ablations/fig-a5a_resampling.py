# Fig. A5a: six resamplers of the training list and their ratios.
#   python tools/sweep.py configs/ablations/fig-a5a_resampling.py --gpus 4
# On the development split; the first step of the paper's chain, here with what came to be its base:
# 384 px and drop path .5. The figure prints no values, and its ratios are not stated: ours.
train = 'ImageSets/Main/MYOPIA/MYOPIA.csv'
lists = 'ImageSets/Main/resampled'
ratios = {
    'lp-ros': (0.1, 0.2, 0.3),
    'lp-rus': (0.1, 0.2, 0.3),
    'ml-ros': (0.05, 0.1, 0.15, 0.2, 0.3),
    'ml-rus': (0.05, 0.1, 0.15, 0.2, 0.3),
    'remedial': (None,),
    'remedial-hwr': (0.1, 0.2, 0.3),
}
files = {
    (method, ratio): f'{lists}/{method}{"" if ratio is None else f"-{round(100 * ratio)}"}.csv'
    for method, values in ratios.items()
    for ratio in values
}
sweep = dict(
    id='fig-A5',
    title='resampling of the training list',
    base='linear-bce.py',
    split='val',
    grid='ours',
    says='ML-RUS with ratio .2 is best in every metric; both kinds of REMEDIAL do not help.',
    # Cloned pictures stand in a list twice, and REMEDIAL takes labels away.
    common={'train_dataloader.dataset.schema': 'PSMM-resampled'},
    cells=[
        {
            'name': 'none',
            'settings': dict(method='none', ratio=0),
            'train_dataloader.dataset.ann_file': train,
        },
        *(
            {
                'name': method if ratio is None else f'{method} {ratio:g}',
                'settings': dict(method=method, ratio=ratio or 0),
                'train_dataloader.dataset.ann_file': file,
            }
            for (method, ratio), file in files.items()
        ),
    ],
    chosen=['ml-rus 0.2'],
    prepare=[
        dict(
            command=[
                'tools/dataset_tools/resample.py',
                '{data_root}/' + train,
                '{data_root}/' + file,
                '--method',
                method,
                *([] if ratio is None else ['--ratio', str(ratio)]),
            ],
            makes=[file],
        )
        for (method, ratio), file in files.items()
    ],
)
