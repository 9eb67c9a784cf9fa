"""Three classes that exclude each other, none of them PSMM's, from a table to a report."""

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
CLASSES = ['none', 'mild', 'severe']
CONFIG = """
_base_ = '{base}'
classes = ['none', 'mild', 'severe']
schema = dict(
    name='DR', classes=classes, words=['no retinopathy', 'mild', 'severe retinopathy'],
    groups=[dict(name='retinopathy', classes=classes, ordered=True, activation='softmax')],
    diagnosis=['mild', 'severe'], disease='diabetic retinopathy',
    modality='drawn discs', intended_use='Tests of software',
)
dataset = dict(type='LabelTableDataset', schema=schema, data_root='.', data_prefix='images')
model = dict(
    data_preprocessor=dict(num_classes=3),
    backbone=dict(
        arch=dict(
            _delete_=True, channels=[8, 8, 16, 16], num_heads=[1, 1, 2, 2], depths=[1, 1, 1, 1]
        ),
        img_size=64, window_size=[2, 2, 4, 2],
    ),
    head=dict(
        num_classes=3, in_channels=16, loss=dict(_delete_=True, type='GroupCrossEntropyLoss')
    ),
)
train_dataloader = dict(num_workers=0, batch_size=4, dataset=dict(**dataset, ann_file='train.csv'))
val_dataloader = dict(num_workers=0, dataset=dict(**dataset, ann_file='val.csv'))
test_dataloader = dict(num_workers=0, dataset=dict(**dataset, ann_file='test.csv'))
param_scheduler = None
train_cfg = dict(max_epochs=1)
"""
#: What a text on these classes may not say.
FOREIGN = re.compile(r'[Mm]yop|[Ss]taphylom|[Mm]aculopath|PSMM|\b(A0|S1)\b')


@pytest.fixture(autouse=True)
def _leave_warnings_alone():
    """The tools set filters of their own process."""


@pytest.fixture
def run(capfd, monkeypatch, tmp_path):
    """Run a tool in this process and return what it said."""
    monkeypatch.chdir(tmp_path)

    def tool(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        try:
            runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
        except SystemExit as stop:
            assert not stop.code, capfd.readouterr().err
        return capfd.readouterr().out

    return tool


def draw(folder: Path) -> None:
    """Write 36 discs of three shades, two of a patient, and their table."""
    (folder / 'images').mkdir()
    rng, rows = np.random.default_rng(0), []
    y, x = np.mgrid[:64, :64]
    disc = (x - 32) ** 2 + (y - 32) ** 2 < 28**2
    for i in range(36):
        stage, name = i // 2 % 3, f'{i // 2:03d}_{"left" if i % 2 else "right"}.png'
        picture = rng.integers(0, 60, (64, 64, 3)) + disc[..., None] * (60 + 60 * stage)
        Image.fromarray(picture.astype(np.uint8)).save(folder / 'images' / name)
        rows.append([*np.eye(3, dtype=int)[stage], name, f'{i // 2:03d}'])
    pd.DataFrame(rows, columns=[*CLASSES, 'filename', 'ID']).to_csv(
        folder / 'labels.csv', index=False
    )


def test_from_a_table_to_a_report_and_a_page(run, tmp_path):
    draw(tmp_path)
    base = ROOT / 'configs' / 'quickstart' / 'tinyvit-5m-128_synthetic.py'
    (tmp_path / 'mine.py').write_text(CONFIG.format(base=base))
    run('dataset_tools/partition.py', 'labels.csv', '.', '--ratios', '.5', '.25', '.25',
        '--classes', *CLASSES)  # fmt: skip
    run('train.py', 'mine.py')
    checkpoint = Path('work_dirs/mine/last_checkpoint').read_text().strip()
    for split in ('val', 'test'):
        run('test.py', 'mine.py', checkpoint, '--out', f'{split}.json', '--cfg-options',
            f'test_dataloader.dataset.ann_file={split}.csv')  # fmt: skip

    said = run('analysis_tools/choose_thresholds.py', 'val.json', '--out', 'thresholds.json')
    assert 'diabetic retinopathy, by patient' in said
    said = run('analysis_tools/evaluate.py', 'test.json', '--bootstrap', '0', '--consistent',
               '--thresholds', 'thresholds.json', '--out', 'tables')  # fmt: skip
    assert 'kappa' in said
    assert 'diabetic retinopathy, by image' in said
    assert not FOREIGN.search(said)
    run('analysis_tools/plot_curves.py', 'test.json', '--out', 'figures', '--kinds', 'confusion')
    assert np.asarray(Image.open('figures/confusion_test.png')).std() > 5

    run('deployment/pack.py', checkpoint, '--out', 'model.pth', '--thresholds', 'thresholds.json',
        '--evaluation', 'tables/test.evaluation.json', '--no-input-check')  # fmt: skip
    card = Path('model.md').read_text()
    assert 'Tests of software in drawn discs: comparing methods' in card
    assert '| retinopathy | exactly one of none, mild, severe, in rising severity; softmax' in card
    assert 'diabetic retinopathy, by eye (max)' in card
    assert not FOREIGN.search(card)

    run('infer.py', 'model.pth', 'images', '--out', 'found', '--device', 'cpu')
    table = pd.read_csv('found/findings.csv', dtype=str)
    assert set(table['retinopathy']) <= set(CLASSES)
    assert (table['found'] == table['retinopathy']).all()
    scores = table[[f'{c}_score' for c in CLASSES]].astype(float).to_numpy()
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-4)
    best = scores.argmax(1)
    assert [CLASSES[i] for i in best] == table['retinopathy'].tolist()
    patients = pd.read_csv('found/patients.csv', dtype=str)
    worst = table.assign(step=best).groupby('patient')['step'].max()
    assert [CLASSES[worst[name]] for name in patients['patient']] == patients[
        'retinopathy'
    ].tolist()
    page = Path('found/report.html').read_text()
    for text in ('with diabetic retinopathy', '<th>worst retinopathy</th>'):
        assert text in page
    assert not FOREIGN.search(re.sub(r'base64,[^"]*', '', page))
    assert json.loads(Path('found/findings.json').read_text())['findings'][0]['retinopathy']
