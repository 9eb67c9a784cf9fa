# Fig. 3a and Tables 1-3: centralized inference (CIP), RealMNet and its counterparts.
#   python tools/sweep.py configs/protocols/fig-3a_centralized.py --gpus 4
sweep = dict(
    id='fig-3',
    title='centralized inference',
    base='../myopia_models/tinyvit-21m-distill-384_MYOPIA.py',
    split='test',
    grid='paper',
    cells=[
        dict(name='DeiT', base='../myopia_models/deit-b-distill-384_MYOPIA.py'),
        dict(name='ConvNeXt', base='../myopia_models/convnext-t-384_MYOPIA.py'),
        dict(name='EfficientNet', base='../myopia_models/efficientnet-b4-380_MYOPIA.py'),
        dict(name='Swin Transformer', base='../myopia_models/swin-b-384_MYOPIA.py'),
        dict(name='RealMNet'),
        dict(name='RealMNet-Max', base='../myopia_models/tinyvit-21m-distill-512_MYOPIA.py'),
    ],
    chosen=['RealMNet', 'RealMNet-Max'],
)
