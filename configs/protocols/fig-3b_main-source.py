# Fig. 3b: main-source robustness (MRP), one training, four test sources.
#   python tools/sweep.py configs/protocols/fig-3b_main-source.py --gpus 4
# The report averages over the sources, each weighing the same, as the paper does.
sweep = dict(
    id='fig-3',
    title='main-source robustness',
    base='main-source.py',
    split='test',
    grid='paper',
    says='Robust on SUSTech; on Zhongshan, whose hard negatives may impede it, F1 is above .70, '
    'mAP above .80 and AUROC above .95.',
    cells=[
        dict(
            name='main source',
            tests={
                source: f'ImageSets/Main/MRP/test_{source}.csv'
                for source in ('SUSTech', 'LishuiR', 'Zhongshan', 'LishuiZ')
            },
        )
    ],
    prepare=[
        dict(
            command=['tools/dataset_tools/make_protocols.py', '{data_root}'],
            makes=[
                'ImageSets/Main/MRP/train_MLRUS-20.csv',
                *(
                    f'ImageSets/Main/MRP/test_{source}.csv'
                    for source in ('SUSTech', 'LishuiR', 'Zhongshan', 'LishuiZ')
                ),
            ],
        )
    ],
)
