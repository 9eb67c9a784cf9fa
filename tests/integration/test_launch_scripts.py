"""tools/dist_train.sh and tools/dist_test.sh on 1, 2 and 3 processes without a GPU."""

import json
import pickle
import sys

import numpy as np
import pytest
from commands import QUICKSTART, SMALL, run

from realmnet.curation.label_table import read_label_table
from realmnet.evaluation.metrics import all_metrics
from realmnet.evaluation.predictions import read_predictions


def test_run_folder_has_the_published_layout(trained):
    work_dir, checkpoint = trained
    assert checkpoint.name == 'epoch_2.pth'
    assert checkpoint.parent.parent == work_dir
    assert (checkpoint.parent / 'vis_data' / 'config.py').is_file()


@pytest.fixture(scope='module')
def tested(trained, tmp_path_factory):
    """Predictions and metrics of the test split by number of processes."""
    _, checkpoint = trained
    config = checkpoint.parent / 'vis_data' / 'config.py'
    out = tmp_path_factory.mktemp('tested')
    results = {}
    for processes in (1, 2, 3):
        test = ['tools/dist_test.sh', config, checkpoint, processes, '--work-dir', out]
        options = ['--cfg-options', 'test_dataloader.batch_size=2', 'test_dataloader.num_workers=0']
        run(*test, '--out', out / f'{processes}.csv', *options)
        results[processes] = read_predictions(out / f'{processes}.csv')
    return results


def test_no_row_is_lost_or_doubled(tested, synthetic_psmm):
    truth = read_label_table(synthetic_psmm / 'ImageSets' / 'Main' / 'test.csv')
    # Neither 2 nor 3 processes divide the set evenly into batches of two.
    assert len(truth) % 6 != 0
    for predictions in tested.values():
        assert predictions.filenames.tolist() == truth.filenames.tolist()
        assert predictions.patients.tolist() == truth.patients.tolist()
        assert (predictions.truth == truth.labels).all()
        assert predictions.classes == truth.schema.classes


def test_same_scores_and_metrics_on_any_number_of_processes(tested):
    one = tested[1]
    expected = all_metrics(one.truth, one.scores, one.classes)
    for processes in (2, 3):
        other = tested[processes]
        assert np.abs(one.scores - other.scores).max() < 1e-5
        found = all_metrics(other.truth, other.scores, other.classes)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=5e-7, nan_ok=True), name


def test_other_outputs(trained, tested, tmp_path):
    _, checkpoint = trained
    config = checkpoint.parent / 'vis_data' / 'config.py'
    test = ['tools/dist_test.sh', config, checkpoint, 2, '--work-dir', tmp_path / 'logs']
    run(*test, '--out', tmp_path / 'metrics.json', '--out-item', 'metrics')
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics['notice'].startswith('SYNTHETIC pictures')
    one = tested[1]
    expected = all_metrics(one.truth, one.scores, one.classes)
    assert metrics['multi-label/mAP'] == pytest.approx(expected['mAP'], abs=1e-6)
    assert metrics['multi-label/AUROC_A3'] == pytest.approx(expected['AUROC_A3'], abs=1e-6)

    result = run(*test, '--out', tmp_path / 'pred.json', '--bootstrap', 50, '--by', 'patient')
    table = result.stdout[result.stdout.index('labels, sound') :]
    (coverage,) = [line.split() for line in table.splitlines() if line.startswith('coverage')]
    assert coverage[1] == f'{expected["coverage"]:.4f}' and coverage[2].startswith('[')
    assert '50 replicates of the full set by patient' in table
    content = json.loads((tmp_path / 'pred.json').read_text())
    assert content['checkpoint'] == str(checkpoint) and content['seed'] == 42
    assert np.abs(read_predictions(tmp_path / 'pred.json').scores - one.scores).max() < 1e-5

    run(*test, '--out', tmp_path / 'dump.pkl')
    dumped = pickle.loads((tmp_path / 'dump.pkl').read_bytes())  # noqa: S301 (written just now)
    assert len(dumped) == len(one)


def test_flip_averaging_is_the_mean_of_two_views(trained, tested, tmp_path):
    _, checkpoint = trained
    config = checkpoint.parent / 'vis_data' / 'config.py'
    test = ['tools/dist_test.sh', config, checkpoint, 1, '--work-dir', tmp_path / 'logs']
    run(*test, '--tta', '--out', tmp_path / 'tta.csv')
    flip = '[dict(type="LoadPicture"),dict(type="RandomFlip",prob=1.0),'
    flip += 'dict(type="PackInputs",meta_keys=("filename","patient","line","img_path"))]'
    mirror_config = tmp_path / 'mirror.py'
    mirror_config.write_text(
        f"_base_ = '{config}'\ntest_dataloader = dict(dataset=dict(pipeline={flip}))\n"
    )
    run(*test[:1], mirror_config, *test[2:], '--out', tmp_path / 'mirror.csv')
    mirrored = read_predictions(tmp_path / 'mirror.csv').scores
    averaged = read_predictions(tmp_path / 'tta.csv').scores
    assert np.abs(mirrored - tested[1].scores).max() > 1e-4
    assert np.abs(averaged - (mirrored + tested[1].scores) / 2).max() < 1e-5


def test_resume_goes_on_in_a_new_run_folder(trained):
    work_dir, checkpoint = trained
    result = run(
        'tools/dist_train.sh', checkpoint.parent / 'vis_data' / 'config.py', 1, '--resume',
        '--work-dir', work_dir, '--cfg-options', 'train_cfg.max_epochs=3',
        'train_dataloader.batch_size=8',  # on one process as many pictures as before on two
    )  # fmt: skip
    newest = (work_dir / 'last_checkpoint').read_text().strip()
    assert newest.endswith('epoch_3.pth') and not newest.startswith(str(checkpoint.parent))
    assert 'Epoch(train) [1]' not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['configs/absent.py'], 'no such config file'),
        ([QUICKSTART, '--with', 'emma'], 'ready fragments are best_checkpoint, early_stopping'),
        ([QUICKSTART, '--amp'], 'on a GPU, and none is visible'),
        ([QUICKSTART, '--cfg-options', 'train_cfg.max_epochs=1'], 'a scheduler begins at epoch 1'),
        ([QUICKSTART, '--cfg-options', 'data_root=absent'], 'no such label file'),
        ([QUICKSTART, '--cfg-options', 'pretrained=absent.pth'], 'absent.pth'),
        ([QUICKSTART, '--cfg-options', 'model.head.num_classes=5'],
         'model.head.num_classes is 5, but the label schema has 7'),
    ],
)  # fmt: skip
def test_mistakes_get_one_sentence(arguments, message, synthetic_psmm, tmp_path):
    if 'data_root=absent' not in arguments and '--cfg-options' in arguments:
        arguments = [*arguments, f'data_root={synthetic_psmm}', *SMALL]
    result = run(
        sys.executable, 'tools/train.py', *arguments,
        *([] if '--cfg-options' in arguments else ['--cfg-options']), f'work_dir={tmp_path}',
        check=False, PYTHONPATH='.',
    )  # fmt: skip
    assert result.returncode == 1
    last = [line for line in result.stderr.splitlines() if line.startswith('error: ')]
    assert len(last) == 1 and message in last[0], result.stderr
    assert 'Traceback' not in result.stderr
