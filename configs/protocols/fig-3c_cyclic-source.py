# Fig. 3c: cyclic-source generalizability (CGP), four trainings, each tested on the source left out.
#   python tools/sweep.py configs/protocols/fig-3c_cyclic-source.py --gpus 4
sweep = dict(
    id='fig-3',
    title='cyclic-source generalizability',
    base='main-source.py',
    split='test',
    grid='paper',
    says='Much as under main-source robustness; on Zhongshan some labels are hard to tell apart.',
    cells=[
        dict(
            name=f'w/o {source}',
            base=f'cyclic-source_wo-{source}.py',
            tests={source: f'ImageSets/Main/CGP_wo-{source}/test.csv'},
        )
        for source in ('SUSTech', 'LishuiR', 'Zhongshan', 'LishuiZ')
    ],
    prepare=[
        dict(
            command=['tools/dataset_tools/make_protocols.py', '{data_root}'],
            makes=[
                f'ImageSets/Main/CGP_wo-{source}/{name}.csv'
                for source in ('SUSTech', 'LishuiR', 'Zhongshan', 'LishuiZ')
                for name in ('train_MLRUS-20', 'test')
            ],
        )
    ],
)
