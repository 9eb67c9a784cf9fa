"""What a training would learn too late, said before its first epoch."""

import logging
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.registry import MODELS
from model_files import NETWORK
from PIL import Image

import realmnet.plugin  # noqa: F401
from realmnet.datasets.label_table_dataset import LabelTableDataset
from realmnet.deployment.description_hook import DescriptionHook
from realmnet.engine.label_order import LabelOrderHook
from realmnet.errors import InputError

STEPS = [dict(type='LoadPicture'), dict(type='PackInputs')]


@pytest.fixture
def runner(tmp_path):
    """About to train on one picture of 64 px; ``classes`` and ``steps`` may be changed."""

    def make(
        classes=('N', 'macular hole'), steps=STEPS, preprocessor=2, fields=MappingProxyType({}),
        **backbone,
    ):  # fmt: skip
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / 'a.png')
        header = ','.join(['filename', 'ID', *classes])
        (tmp_path / 'a.csv').write_text(f'{header}\na.png,1,1{",0" * (len(classes) - 1)}\n')
        schema = dict(name='mine', classes=list(classes), allow_empty=True, **fields)
        data = dict(ann_file='a.csv', schema=schema, data_root=str(tmp_path), pipeline=steps)
        dataset = LabelTableDataset(**data)
        model = {**NETWORK, 'backbone': {**NETWORK['backbone'], **backbone}}
        model['head'] = {**NETWORK['head'], 'num_classes': len(classes)}
        model['data_preprocessor'] = dict(to_rgb=True)
        loader = dict(dataset=dict(type='LabelTableDataset', **data))
        return SimpleNamespace(
            cfg=Config(dict(model=model, train_dataloader=loader, val_dataloader=loader)),
            train_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset)),
            val_loop=None,
            train_dataloader=SimpleNamespace(dataset=dataset),
            model=SimpleNamespace(
                head=SimpleNamespace(num_classes=len(classes)),
                data_preprocessor=SimpleNamespace(num_classes=preprocessor),
            ),
            logger=logging.getLogger('description'),
            epoch=0,
        )

    return make


def test_a_model_that_fits_its_pictures_is_trained_without_a_word(runner, caplog):
    DescriptionHook().before_train(runner())
    LabelOrderHook().before_train(runner())
    assert not caplog.text


def test_pictures_of_another_size_are_refused(runner):
    with pytest.raises(InputError, match=r'gives pictures of 64 x 64 pixels, but .*img_size is 96'):
        DescriptionHook().before_train(runner(img_size=96))
    resize = [STEPS[0], dict(type='Resize', scale=(96, 96)), STEPS[1]]
    DescriptionHook().before_train(runner(img_size=96, steps=resize))


def test_names_that_findings_cannot_tell_apart_are_refused(runner):
    with pytest.raises(InputError, match="two columns 'pathologic_myopia'"):
        fields = dict(diagnosis=['M'], disease='pathologic myopia')
        DescriptionHook().before_train(runner(('M', 'pathologic_myopia'), fields=fields))


def test_a_network_outside_the_list_is_trained_with_a_warning(runner, caplog):
    DescriptionHook().before_train(runner(type='ResNet', depth=18, img_size=None))
    assert 'Checkpoints will not say how to be used' in caplog.text


def test_the_classes_of_both_splits_are_compared_before_the_first_epoch(runner):
    run, other = runner(('N', 'M')), runner(('M', 'N'))
    LabelOrderHook().before_train(run)
    run.val_loop = SimpleNamespace(dataloader=other.train_dataloader)
    with pytest.raises(InputError, match=r"classes \['N', 'M'\], val_dataloader \['M', 'N'\]"):
        LabelOrderHook().before_train(run)


def test_a_loss_that_contradicts_the_schema_is_refused_before_the_first_epoch(runner):
    softmax = dict(groups=[dict(name='stage', classes=['N', 'M'], activation='softmax')])
    sigmoid = dict(groups=[dict(name='stage', classes=['N', 'M'])])
    cross, own = dict(type='GroupCrossEntropyLoss'), dict(type='CostSensitiveLoss')

    def before(fields, head, loss, place='train'):
        run = runner(('N', 'M'), fields=fields)
        run.model.head = MODELS.build(dict(type=head, num_classes=2, in_channels=8, loss=loss))
        run.test_dataloader = run.train_dataloader
        getattr(LabelOrderHook(), f'before_{place}')(run)

    before(softmax, 'GroupLinearHead', cross)
    before(sigmoid, 'GroupLinearHead', own)
    before({}, 'MultiLabelLinearClsHead', own)
    with pytest.raises(
        InputError,
        match=r"schema 'mine' has softmax for the group \['N', 'M'\], but model\.head\.loss is "
        r"CostSensitiveLoss.*GroupCrossEntropyLoss', groups=\[\[0, 1\]\]",
    ):
        before(softmax, 'GroupLinearHead', own, 'test')
    for fields in (sigmoid, {}):
        with pytest.raises(
            InputError, match=r"GroupCrossEntropyLoss, which makes .*'N', 'M'\] exclude"
        ):
            before(fields, 'GroupLinearHead', cross)
    with pytest.raises(InputError, match=r'which does not give it; use GroupLine'):
        before(softmax, 'MultiLabelLinearClsHead', cross, 'test')


def test_the_number_of_classes_of_the_preprocessor_is_compared(runner):
    with pytest.raises(InputError, match=r'data_preprocessor\.num_classes is 7, but .* 2 classes'):
        LabelOrderHook().before_train(runner(preprocessor=7))
