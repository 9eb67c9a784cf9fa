# Peripheral lesions, from the backbone of a RealMNet trained on PSMM: Fig. 6.
#   tools/dist_train.sh configs/peripheral/tinyvit-21m-384_peripheral.py 4
# Published: AUROC .8642; PC: F1 .8394, AP .8894, AUROC .9029. The pictures were never published.
_base_ = '../myopia_models/tinyvit-21m-distill-384_MYOPIA.py'

# Put the last checkpoint of that run there (or pass --cfg-options pretrained=FILE).
pretrained = 'work_dirs/tinyvit-21m-distill-384_MYOPIA/epoch_50.pth'
# No peripheral lesion, lattice degeneration or cystic retinal tuft, hole or tear, rhegmatogenous
# retinal detachment, postoperative case.
classes = ['P0', 'P1', 'P2', 'P3', 'P4']
dataset = dict(
    type='LabelTableDataset',
    schema=dict(name='peripheral', classes=classes),
    data_root='data/peripheral',
    data_prefix='JPEGImages',
)
model = dict(data_preprocessor=dict(num_classes=5), head=dict(num_classes=5))
train_dataloader = dict(dataset=dict(**dataset, ann_file='ImageSets/Main/train.csv'))
val_dataloader = dict(dataset=dict(**dataset))
test_dataloader = dict(dataset=dict(**dataset))
