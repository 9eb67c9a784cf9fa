# RealMNet on your own labelled pictures: copy this file, change `data_root` and `classes`.
#   tools/dist_train.sh configs/custom/tinyvit-21m-384_csv.py 4
#   python tools/train.py configs/custom/tinyvit-21m-384_csv.py --quick  # first: 64 a split
# `data_root` holds train.csv, val.csv, test.csv (a 0/1 column a class, filename, ID = patient;
# tools/dataset_tools/partition.py divides one file by patient) and the folder images.
_base_ = '../myopia_models/tinyvit-21m-distill-384_MYOPIA.py'

data_root = 'data/custom'
classes = ['normal', 'high_myopia', 'pathologic_myopia']
dataset = dict(
    type='LabelTableDataset',
    # add diagnosis=[...] and disease='...' for the classes that mean the disease: their names
    # alone mean nothing; groups=[...] where classes exclude each other (docs/training.md)
    schema=dict(name='custom', classes=classes, allow_empty=True),
    data_root=data_root,
    data_prefix='images',
)

model = dict(data_preprocessor=dict(num_classes=len(classes)), head=dict(num_classes=len(classes)))
train_dataloader = dict(dataset=dict(**dataset, ann_file='train.csv'))
val_dataloader = dict(dataset=dict(**dataset, ann_file='val.csv'))
test_dataloader = dict(dataset=dict(**dataset, ann_file='test.csv'))
