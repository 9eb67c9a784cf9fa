# Fig. 4a: growing shares of the training patients, at three sizes of the input.
#   python tools/sweep.py configs/ablations/fig-4a_label_efficiency.py --gpus 4
# On the test split, with the final model. The figure prints no values. That the shares go from 10
# to 100 % in tens, are drawn by patient, and are taken of the resampled list, is ours.
train = 'ImageSets/Main/MYOPIA_MLRUS-20/MYOPIA_MLRUS-20.csv'
lists = 'ImageSets/Main/subsets'
sweep = dict(
    id='fig-4',
    title='label efficiency',
    base='../myopia_models/tinyvit-21m-distill-384_MYOPIA.py',
    split='test',
    grid='ours',
    says='Half of the training data are enough; from 20 to 50 %, the 384 px model gains about .10 '
    'in F1 and mAP and .01 in AUROC; 512 px is best throughout.',
    cells=[
        {
            'settings': dict(size=size, share=share),
            'base': f'../myopia_models/tinyvit-21m-distill-{size}_MYOPIA.py',
            'train_dataloader.dataset.ann_file': f'{lists}/MYOPIA_MLRUS-20_{share}.csv',
        }
        for size in (224, 384, 512)
        for share in range(10, 101, 10)
    ],
    chosen=['size 384, share 100', 'size 512, share 100'],
    prepare=[
        dict(
            command=[
                'tools/dataset_tools/subset.py',
                '{data_root}/' + train,
                '{data_root}/' + lists,
            ],
            makes=[f'{lists}/MYOPIA_MLRUS-20_{share}.csv' for share in range(10, 101, 10)],
        ),
    ],
)
