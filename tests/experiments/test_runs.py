"""Running a sweep, with stand-ins for dist_train.sh and dist_test.sh."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from realmnet.errors import InputError
from realmnet.experiments import runs as runs_module
from realmnet.experiments.collect import collect
from realmnet.experiments.plan import check_files, plan_runs, same_cells
from realmnet.experiments.record import first_difference, last_checkpoint, read_record
from realmnet.experiments.runs import Machine, Sweeper, train_command
from realmnet.experiments.sweep import read_sweep

ROOT = Path(__file__).parents[2]
TRAIN = r"""
config=$1; processes=$2; work=$4
echo "$@ | gpus $CUDA_VISIBLE_DEVICES" >> "$TRACE"
case $config in *rate-0.2*) [ -e "$WORKS" ] || { echo "error: no memory left"; exit 1; };; esac
mkdir -p "$work/now/vis_data"
touch "$work/now/vis_data/config.py" "$work/now/epoch_$EPOCHS.pth"
echo "/elsewhere/now/epoch_$EPOCHS.pth" > "$work/last_checkpoint"
"""
TEST = r"""
echo "test $@" >> "$TRACE"
while [ "$1" != --out ]; do shift; done
printf 'filename,ID,S0_score,S1_score,S0,S1\na,p,.9,.1,1,0\nb,q,.2,.8,0,1\n' > "$2"
"""


SCRIPT = """
import sys
from pathlib import Path
from realmnet.experiments import runs as runs_module
from realmnet.experiments.plan import plan_runs
from realmnet.experiments.sweep import read_sweep
place = Path(sys.argv[1])
runs_module.ROOT = place / 'root'
sweep = read_sweep(place / 'mine.py')
runs = plan_runs(sweep, place / 'out', {'data_root': str(place / 'data')})
try:
    runs_module.Sweeper(runs_module.Machine()).run(runs)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A sweep of two cells of one epoch on data that exist, and the stand-ins."""
    monkeypatch.chdir(ROOT)
    tools = tmp_path / 'root' / 'tools'
    tools.mkdir(parents=True)
    for name, text in (('dist_train.sh', TRAIN), ('dist_test.sh', TEST)):
        (tools / name).write_text(text)
    monkeypatch.setattr(runs_module, 'ROOT', tmp_path / 'root')
    monkeypatch.setenv('TRACE', str(tmp_path / 'trace'))
    monkeypatch.setenv('WORKS', str(tmp_path / 'works'))
    monkeypatch.setenv('EPOCHS', '1')
    lists = tmp_path / 'data' / 'ImageSets' / 'Main'
    lists.mkdir(parents=True)
    for name in ('MYOPIA_MLRUS-20/MYOPIA_MLRUS-20.csv', 'val.csv', 'test.csv'):
        (lists / name).parent.mkdir(exist_ok=True)
        (lists / name).touch()
    (tmp_path / 'weights.pth').touch()
    data = dict(
        id='mine', title='mine', base=str(ROOT / 'configs/ablations/linear-bce.py'), split='val',
        grid='ours', keys=dict(rate='model.backbone.drop_path_rate'),
        common={'train_cfg.max_epochs': 1, 'pretrained': str(tmp_path / 'weights.pth')},
        cells=[dict(rate=0.1), dict(rate=0.2)],
    )  # fmt: skip
    (tmp_path / 'mine.py').write_text(f'sweep = {data!r}\n')
    return tmp_path


def plan(place, options=None, name='mine.py'):
    sweep = read_sweep(place / name)
    options = {'data_root': str(place / 'data'), **(options or {})}
    return sweep, plan_runs(sweep, place / 'out', options)


def trace(place):
    path = place / 'trace'
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_a_failure_does_not_stop_the_others_and_is_tried_again(place):
    sweep, runs = plan(place)
    failed = Sweeper(Machine()).run(runs)
    assert [run.cell.name for run in failed] == ['rate 0.2']
    assert 'exit code 1: no memory left (log: ' in failed[0].record.problem
    states = [outcome.state for outcome in collect(sweep, [place / 'out'])]
    assert states == ['done', 'failed']
    trace(place)

    (place / 'works').touch()
    sweep, runs = plan(place)
    assert Sweeper(Machine()).run(runs) == []
    lines = trace(place)
    assert len(lines) == 2 and all('rate-0.2' in line for line in lines)  # the other was done
    outcomes = collect(sweep, [place / 'nothing', place])  # `out` is not named after the sweep
    assert [o.state for o in outcomes] == ['not run', 'not run']
    outcomes = collect(sweep, [place / 'out'])
    assert [o.state for o in outcomes] == ['done', 'done']
    assert outcomes[1].runs[0]['val'].scores.shape == (2, 2)


def test_what_was_cut_is_resumed_and_what_is_trained_is_only_tested(place):
    _, runs = plan(place)
    for run, epoch in zip(runs, (0, 1), strict=True):
        (run.folder / 'now' / 'vis_data').mkdir(parents=True)
        (run.folder / 'now' / f'epoch_{epoch}.pth').touch()
        (run.folder / 'last_checkpoint').write_text(f'/moved/epoch_{epoch}.pth\n')
        run.record.write(run.folder)
    (place / 'works').touch()
    Sweeper(Machine()).run(plan(place)[1])
    trained = [line for line in trace(place) if not line.startswith('test')]
    assert len(trained) == 1 and 'rate-0.1' in trained[0]
    assert f'--work-dir {runs[0].folder} --resume ' in trained[0]


def test_what_is_tested_already_counts_list_by_list(place):
    (place / 'works').touch()
    Sweeper(Machine()).run(plan(place)[1])
    trace(place)
    (place / 'out/rate-0.1/seed-42/val.csv').unlink()
    Sweeper(Machine()).run(plan(place)[1])
    lines = trace(place)
    assert len(lines) == 1 and lines[0].startswith('test') and 'rate-0.1' in lines[0]
    text = (place / 'mine.py').read_text()
    (place / 'mine.py').write_text(text.replace("'val'", "'test'"))
    assert [run.done for run in plan(place)[1]] == [False, False]
    Sweeper(Machine()).run(plan(place)[1])
    assert len(trace(place)) == 2
    outcomes = collect(read_sweep(place / 'mine.py'), [place / 'out'])
    assert [set(outcome.runs[0]) for outcome in outcomes] == [{'val', 'test'}] * 2


def test_weights_that_are_not_there_are_named(place):
    (place / 'weights.pth').unlink()
    with pytest.raises(InputError, match=r"cell 'rate 0.1': pretrained='.*weights.pth' does not"):
        check_files(*plan(place))


def test_a_refused_plan_changes_no_file(place):
    (place / 'works').touch()
    Sweeper(Machine()).run(plan(place)[1])
    file = place / 'out/rate-0.1/seed-42.py'
    before = file.read_text()
    text = (place / 'mine.py').read_text()
    (place / 'mine.py').write_text(text.replace('train_cfg.max_epochs', 'train_cfg.val_begin'))
    with pytest.raises(InputError, match='another config'):
        plan(place)
    assert file.read_text() == before


def test_options_for_all_cells_are_checked_like_cells(place):
    with pytest.raises(InputError, match=r'--cfg-options: unknown key .optim_wraper'):
        plan(place, {'optim_wraper.optimizer.lr': 1.0})
    with pytest.raises(InputError, match='use --seeds'):
        plan(place, {'randomness.seed': 3})
    plan(place, {'optim_wrapper.accumulative_counts': 4, 'train_dataloader.drop_last': True})


def test_cells_that_quick_mode_makes_equal_are_named(place):
    sweep = read_sweep('configs/ablations/fig-a6c_pretraining.py')
    assert same_cells(plan_runs(sweep, place / 'a', quick=True)) == [
        ['w/o pretraining', 'pretraining']
    ]
    assert same_cells(plan_runs(sweep, place / 'b')) == []


def test_runs_share_the_gpus(place):
    (place / 'works').touch()
    machine = Machine.local(gpus=8, per_run=4)
    assert machine.jobs == 2
    Sweeper(machine).run(plan(place)[1])
    gpus = {line.rpartition(' | gpus ')[2] for line in trace(place) if ' | gpus ' in line}
    assert gpus == {'0,1,2,3', '4,5,6,7'}
    with pytest.raises(InputError, match=r'3 run\(s\) at once on 4 GPU'):
        Machine.local(gpus=8, per_run=4, jobs=3)
    for bad in ({'gpus': -1}, {'gpus': 2, 'per_run': 0}, {'gpus': 0, 'jobs': -2}):
        with pytest.raises(InputError, match='expected a number from 1 on'):
            Machine.local(**bad)


def test_commands_of_a_dry_run_are_ordinary(place):
    _, runs = plan(place)
    command = train_command(runs[0], Machine.local(4))
    assert command[0] == 'tools/dist_train.sh' and command[2:4] == ['4', '--work-dir']
    assert Path(command[1]).is_file()
    command = train_command(runs[0], Machine(processes=4, partition='gpu'))
    assert command[:3] == ['tools/slurm_train.sh', 'gpu', 'rate-0.1']


def test_results_of_another_config_are_refused(place):
    (place / 'works').touch()
    Sweeper(Machine()).run(plan(place)[1])
    with pytest.raises(InputError, match=r'another config \(optim_wrapper.optimizer.lr: 0.0001'):
        plan(place, {'optim_wrapper.optimizer.lr': 1e-3})
    folder = place / 'out' / 'rate-0.1' / 'seed-42'
    (folder / 'record.json').unlink()
    with pytest.raises(InputError, match='holds checkpoints of something else'):
        plan(place)
    (folder / 'record.json').write_text('{"a": 1}')
    with pytest.raises(InputError, match='not a record'):
        plan(place)


def test_missing_lists_are_named_with_the_command_that_makes_them(place):
    sweep, runs = plan(place)
    check_files(sweep, runs)
    (place / 'data/ImageSets/Main/val.csv').unlink()
    with pytest.raises(InputError, match=r"cell 'rate 0.1': .*val.csv does not exist; see data"):
        check_files(sweep, runs)
    sweep = read_sweep('configs/protocols/fig-3c_cyclic-source.py')
    runs = plan_runs(sweep, place / 'three', {'data_root': str(place / 'data')})
    with pytest.raises(InputError, match=r'CGP_wo-SUSTech/.*make it with: python .*make_protocols'):
        check_files(sweep, runs)
    sweep = read_sweep('configs/ablations/fig-a5a_resampling.py').only(['lp-ros 0.3'])
    runs = plan_runs(sweep, place / 'five', {'data_root': str(place / 'data')})
    with pytest.raises(InputError, match=r'resampled/lp-ros-30.csv --method lp-ros --ratio 0.3'):
        check_files(sweep, runs)


def test_a_model_that_cannot_be_built_is_named_before_anything_runs(place):
    text = (
        (place / 'mine.py')
        .read_text()
        .replace('dict(rate=0.2)', '')
        .replace("'rate': 0.2", "'rate': 1.5")
    )
    (place / 'bad.py').write_text(text)
    with pytest.raises(InputError, match=r"cell 'rate 1.5': its model cannot be built .*\[0, 1\)"):
        plan(place, name='bad.py')


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_stopping_a_sweep_stops_its_children_and_leaves_a_run_to_resume(place, number):
    (place / 'root/tools/dist_train.sh').write_text('echo $$ > "$TRACE"; exec sleep 600')
    process = subprocess.Popen([sys.executable, '-c', SCRIPT, place], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (place / 'trace').exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    child = int((place / 'trace').read_text())
    with pytest.raises(InputError, match=r'another tools/sweep\.py is at work there'):
        Sweeper(Machine()).run(plan(place)[1])
    process.send_signal(number)
    assert process.wait(30) == {signal.SIGTERM: 130, signal.SIGKILL: -signal.SIGKILL}[number]
    while Path(f'/proc/{child}').exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert read_record(place / 'out/rate-0.1/seed-42').state == 'started'
    assert read_record(place / 'out/rate-0.2/seed-42') is None


def test_first_difference_and_stale_pointer(tmp_path):
    assert first_difference({'a': [1, 2]}, {'a': [1, 3]}) == 'a: [1, 2] there, [1, 3] now'
    assert first_difference(json.loads('{"a": 1.0}'), {'a': 1.0}) == ''
    (tmp_path / 'last_checkpoint').write_text('/gone/epoch_3.pth')
    assert last_checkpoint(tmp_path) == (None, 0)
    for name in ('a/epoch_9.pth', 'b/epoch_10.pth', 'b/best_score_epoch_11.pth'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert last_checkpoint(tmp_path) == (tmp_path / 'b/epoch_10.pth', 10)
