# Three classes that exclude each other, on a scale: normal, high myopia, pathologic myopia (PALM).
#   python tools/dataset_tools/partition.py $DATA/palm_224/labels.csv data/palm \
#       --ratios .6 .2 .2 --classes N H P
#   DATA=... tools/dist_train.sh configs/custom/tinyvit-5m-128_palm.py 1
# From scratch on some 240 pictures: it shows the path from a table to a report, not a good model.
_base_ = '../quickstart/tinyvit-5m-128_synthetic.py'

data_root = 'data/palm'
classes = ['N', 'H', 'P']
schema = dict(
    name='PALM',
    classes=classes,
    class_names=['normal', 'high myopia', 'pathologic'],
    words=['normal fundus', 'high myopia', 'pathologic myopia'],
    groups=[dict(name='stage', classes=classes, ordered=True, activation='softmax')],
    diagnosis=['P'],
    disease='pathologic myopia',
    modality='colour fundus photographs',
    intended_use='Research on the stages of myopia',
)
dataset = dict(
    type='LabelTableDataset',
    schema=schema,
    data_root=data_root,
    data_prefix='{{$DATA:data}}/palm_224/images',
)
# Cross-entropy, so that the three scores add up to 1.
model = dict(
    data_preprocessor=dict(num_classes=3),
    head=dict(num_classes=3, loss=dict(_delete_=True, type='GroupCrossEntropyLoss')),
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
val_dataloader = dict(dataset=dict(**dataset, ann_file='val.csv', pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(**dataset, ann_file='test.csv', pipeline=test_pipeline))

train_cfg = dict(max_epochs=5)
