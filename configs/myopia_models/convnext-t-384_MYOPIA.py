# ConvNeXt-T at 384 px with linear head and BCE: Tables 1-3, row ConvNeXt.
#   tools/dist_train.sh configs/myopia_models/convnext-t-384_MYOPIA.py 4
# Published on the test split: mean F1 .7852. AP and AUROC are not printed: the row of Tables 2
# and 3 repeats Table 1. The paper names the model and the recipe; which weights is our choice.
_base_ = ['./tinyvit-21m-distill-384_MYOPIA.py', '../_base_/heads/linear_bce.py']

# OpenMMLab: ImageNet-21k, fine-tuned on ImageNet-1k at 384 px, as RealMNet's weights.
pretrained = (
    'https://download.openmmlab.com/mmclassification/v0/convnext/'
    'convnext-tiny_in21k-pre_3rdparty_in1k-384px_20221219-c1182362.pth'
)
model = dict(
    backbone=dict(_delete_=True, type='ConvNeXt', arch='tiny', drop_path_rate=0.5),
    head=dict(_delete_=True, in_channels=768, **_base_.linear_bce_head),
)

quick = dict(model=dict(backbone=dict(_delete_=True, type='ConvNeXt', arch='atto')))
