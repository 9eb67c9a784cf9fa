# PSMM in its published layout, trained on the list after ML-RUS with ratio .2 (24,683 pictures).
# The pictures are stored at 384 px, where the resize does nothing; other sizes read the same ones.
data_root = 'data/PSMM'

load = dict(type='LoadPicture')
# Paper, section 4.5.2, in the order and with the values of the released configuration.
simulated_augmentation = [
    dict(
        type='RandomErasing',
        erase_prob=0.3,
        min_area_ratio=0.05,
        max_area_ratio=0.3,
        aspect_range=(0.3, 3.3),
        mode='const',
        fill_color=(128, 128, 128),
    ),
    dict(
        type='RandomApply',
        prob=0.3,
        transforms=dict(type='ScaledAffine', scale=(0.8, 1.2), rotate=15, shear=10),
    ),
    dict(type='RandomFlip', prob=0.3, direction='horizontal'),
    dict(type='RandomFlip', prob=0.1, direction='vertical'),
    dict(
        type='RandomApply',
        prob=0.3,
        transforms=dict(type='KernelBlur', kernel_size=7, sigma=(0.1, 1.0)),
    ),
    dict(
        type='RandomApply',
        prob=0.3,
        transforms=dict(
            type='PictureColorJitter', brightness=0.25, contrast=0.25, saturation=0.25, hue=0.25
        ),
    ),
    dict(
        type='RandomApply',
        prob=0.3,
        transforms=dict(type='GaussianNoise', variance=(10.0, 50.0)),
    ),
]
pack = dict(type='PackInputs', meta_keys=('filename', 'patient', 'line', 'img_path'))

train_pipeline = [load, dict(type='Resize', scale=(384, 384)), *simulated_augmentation, pack]
test_pipeline = [load, dict(type='Resize', scale=(384, 384)), pack]

# Workers live for one epoch: then the seed of an epoch is all that a resumed run has to restore.
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    worker_init_fn=dict(type='seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='PSMMDataset',
        data_root=data_root,
        ann_file='ImageSets/Main/MYOPIA_MLRUS-20/MYOPIA_MLRUS-20.csv',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PSMMDataset',
        data_root=data_root,
        ann_file='ImageSets/Main/val.csv',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PSMMDataset',
        data_root=data_root,
        ann_file='ImageSets/Main/test.csv',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)

val_evaluator = dict(type='MultiLabelReport')
test_evaluator = dict(type='MultiLabelReport')
