# Real photographs without pretrained weights: seven findings of ODIR-5K, "other" (O) left out.
#   python tools/dataset_tools/partition.py $DATA/odir5k_256/labels.csv data/odir-5k \
#       --ratios .7 .3 --classes N D G C A H M
#   DATA=... tools/dist_train.sh configs/custom/tinyvit-5m-128_odir-5k.py 1
# Nothing is chosen on the held-out patients: no validation, the last epoch is tested.
_base_ = '../quickstart/tinyvit-5m-128_synthetic.py'

data_root = 'data/odir-5k'
classes = ['N', 'D', 'G', 'C', 'A', 'H', 'M']
dataset = dict(
    type='LabelTableDataset',
    # A picture whose only label was O has none left.
    schema=dict(
        name='ODIR-5K',
        classes=classes,
        allow_empty=True,
        diagnosis=['M'],
        disease='pathologic myopia',
    ),
    data_root=data_root,
    data_prefix='{{$DATA:data}}/odir5k_256/images',
)

resize = dict(type='Resize', scale=(128, 128), interpolation='area')
train_pipeline = [
    _base_.load,
    resize,
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='ScaledAffine', scale=(0.9, 1.1), rotate=10, shear=0),
    _base_.pack,
]
test_pipeline = [_base_.load, resize, _base_.pack]
train_dataloader = dict(dataset=dict(**dataset, ann_file='train.csv', pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(**dataset, ann_file='test.csv', pipeline=test_pipeline))
val_cfg = val_dataloader = val_evaluator = None

train_cfg = dict(max_epochs=5)
