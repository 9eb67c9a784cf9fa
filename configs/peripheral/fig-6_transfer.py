# Fig. 6: transfer from PSMM to peripheral lesions.
#   python tools/sweep.py configs/peripheral/fig-6_transfer.py --gpus 4
# The comparison with a backbone that has not seen PSMM is ours.
sweep = dict(
    id='fig-6',
    title='transfer to peripheral lesions',
    base='tinyvit-21m-384_peripheral.py',
    split='test',
    grid='ours',
    says='Good for postoperative cases, poorer for detachments and for holes or tears, which are '
    'rare in the training data.',
    cells=[
        {'name': 'from PSMM'},
        {
            'name': 'from ImageNet',
            'pretrained': 'https://download.openmmlab.com/mmclassification/v0/tinyvit/'
            'tinyvit-21m_in21k-distill-pre_3rdparty_in1k-384px_20221021-65be6b3f.pth',
        },
    ],
    chosen=['from PSMM'],
)
