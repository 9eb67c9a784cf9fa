# RealMNet: TinyViT-21M pretrained by distillation, class-specific residual attention with two
# heads, asymmetric focusing, and Mixup or CutMix on 60 % of the batches.
# A path, a URL, or None (`--cfg-options pretrained=None`) to train from scratch.
pretrained = (
    'https://download.openmmlab.com/mmclassification/v0/tinyvit/'
    'tinyvit-21m_in21k-distill-pre_3rdparty_in1k-384px_20221021-65be6b3f.pth'
)

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='MultiLabelDataPreprocessor',
        num_classes=7,
        mean=[0, 0, 0],
        std=[255, 255, 255],
        to_rgb=True,
    ),
    backbone=dict(
        type='RealMTinyViT',
        arch='21m',
        img_size=384,
        window_size=[12, 12, 24, 12],
        drop_path_rate=0.5,
        gap_before_final_norm=False,
    ),
    head=dict(
        type='ResidualAttentionHead',
        num_classes=7,
        in_channels=576,
        num_heads=2,
        lam=1.2,
        loss=dict(type='CostSensitiveLoss', gamma_pos=3.0, gamma_neg=4.0, margin=0.0),
    ),
    train_cfg=dict(
        augments=[dict(type='Mixup', alpha=0.6), dict(type='CutMix', alpha=1.0)],
        probs=[0.3, 0.3],
    ),
)

# --quick merges this: the smallest of the family, for pictures of 64 px. It is for the class that
# `backbone.type` names; another backbone needs a `quick` of its own, or is trained as it is.
quick = dict(
    model=dict(
        backbone=dict(type='RealMTinyViT', arch='5m', img_size=64, window_size=[2, 2, 4, 2]),
        head=dict(in_channels=320),
    ),
)
