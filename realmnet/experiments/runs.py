"""Running the cells of a sweep through dist_train.sh and dist_test.sh, several at once."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from realmnet.curation.outputs import sole_writer
from realmnet.engine.launch import cores
from realmnet.errors import InputError
from realmnet.experiments.plan import Run
from realmnet.experiments.record import last_checkpoint, predictions_file, tested

ROOT = Path(__file__).parents[2]
#: GPUs of the published runs: 4 x 16 pictures a step.
PUBLISHED_GPUS = 4


@dataclass(frozen=True)
class Machine:
    """Where runs go.

    Attributes:
        processes: Of each run, one for each GPU.
        jobs: Runs at once.
        gpus: Numbers of the GPUs of this machine; empty on the CPU and with SLURM.
        partition: Of SLURM; empty without.
    """

    processes: int = 1
    jobs: int = 1
    gpus: tuple[int, ...] = ()
    partition: str = ''

    @classmethod
    def local(cls, gpus: int, per_run: int | None = None, jobs: int | None = None) -> Machine:
        """Divide the GPUs of this machine among runs; without GPUs, run on the CPU.

        Args:
            gpus: How many to use.
            per_run: Of each run; the published four where there are as many.
            jobs: Runs at once; as many as the GPUs allow, on the CPU one.

        Raises:
            InputError: If a run would need more GPUs than there are, or a number is below 1.

        Example:
            >>> Machine.local(8).jobs, Machine.local(2).processes, Machine.local(0).jobs
            (2, 2, 1)
        """
        numbers = {'--gpus': gpus or 1, '--gpus-per-run': per_run, '--jobs': jobs}
        for name, number in numbers.items():
            if number is not None and number < 1:
                raise InputError(f'{name} is {number}, expected a number from 1 on')
        if gpus == 0:
            return cls(processes=1, jobs=jobs or 1)
        per_run = per_run or min(gpus, PUBLISHED_GPUS)
        if per_run * (jobs or 1) > gpus:
            raise InputError(
                f'{jobs or 1} run(s) at once on {per_run} GPU(s) each, but {gpus} GPU(s) are '
                'there; lower --gpus-per-run or --jobs'
            )
        return cls(per_run, jobs or gpus // per_run, tuple(range(gpus)))

    def slots(self) -> list[dict[str, str]]:
        """Environment of each of the runs that go on at once."""
        if self.partition:
            return [{'GPUS': str(self.processes)}] * self.jobs
        threads = {'OMP_NUM_THREADS': str(max(1, cores() // (self.jobs * self.processes)))}
        if not self.gpus:
            return [{'CUDA_VISIBLE_DEVICES': '-1', **threads}] * self.jobs
        visible = os.environ.get('CUDA_VISIBLE_DEVICES')
        names = visible.split(',') if visible else [str(gpu) for gpu in self.gpus]
        return [
            {'CUDA_VISIBLE_DEVICES': ','.join(names[i * self.processes :][: self.processes]),
             **threads}
            for i in range(self.jobs)
        ]  # fmt: skip


def train_command(run: Run, machine: Machine, arguments: Sequence[str] = ()) -> list[str]:
    """Return the command that trains a run."""
    config, folder = _shown(run.config), _shown(run.folder)
    quick = ['--quick'] if run.record.quick else []
    if machine.partition:
        return ['tools/slurm_train.sh', machine.partition, run.cell.folder, config, folder,
                *quick, *arguments]  # fmt: skip
    return ['tools/dist_train.sh', config, str(machine.processes), '--work-dir', folder,
            *quick, *arguments]  # fmt: skip


def test_command(run: Run, target: str, checkpoint: Path, machine: Machine) -> list[str]:
    """Return the command that predicts one test list; it uses the config that the run dumped."""
    config = _shown(checkpoint.parent / 'vis_data' / 'config.py')
    arguments = ['--work-dir', _shown(run.folder / 'tests'), '--out',
                 _shown(predictions_file(run.folder, target)), '--cfg-options',
                 f'test_dataloader.dataset.ann_file={run.tests[target]}']  # fmt: skip
    if machine.partition:
        return ['tools/slurm_test.sh', machine.partition, run.cell.folder, config,
                _shown(checkpoint), *arguments]  # fmt: skip
    return ['tools/dist_test.sh', config, _shown(checkpoint), str(machine.processes), *arguments]


@dataclass
class Sweeper:
    """Runs what is not done, keeps going when a run fails, and stops its children when stopped.

    Args:
        machine: Where to run.
        arguments: Further arguments of every ``dist_train.sh``.

    Example:
        >>> Sweeper(Machine()).run(runs)                            # doctest: +SKIP
    """

    machine: Machine
    arguments: Sequence[str] = ()
    _children: set[subprocess.Popen] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def run(self, runs: Sequence[Run]) -> list[Run]:
        """Run all that are not done, show progress, and return those that failed.

        Raises:
            InputError: If another sweep is at work on one of the runs.
        """
        with contextlib.ExitStack() as locks:
            for run in runs:
                locks.enter_context(_alone(run.folder))
            return self._run(runs)

    def _run(self, runs: Sequence[Run]) -> list[Run]:
        waiting = [run for run in runs if not run.done]
        free: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        for slot in self.machine.slots():
            free.put(slot)

        def work(run: Run) -> None:
            slot = free.get()
            try:
                self._work(run, slot)
            finally:
                free.put(slot)

        signal.signal(signal.SIGTERM, _as_interrupt)
        with ThreadPoolExecutor(self.machine.jobs) as pool:
            futures = {pool.submit(work, run): run for run in waiting}
            try:
                _show(runs, futures)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()
                raise
        return [run for run in runs if run.record.state == 'failed']

    def _work(self, run: Run, slot: Mapping[str, str]) -> None:
        record, begin = run.record, time.monotonic()
        record.state, record.problem = 'started', ''
        record.write(run.folder)
        problem = ''
        checkpoint, epoch = last_checkpoint(run.folder)
        if epoch < run.epochs:
            record.tests = {}
            resume = ['--resume'] if checkpoint else []
            command = train_command(run, self.machine, [*self.arguments, *resume])
            problem = self._call(command, run.folder / 'train.log', slot)
            checkpoint, epoch = last_checkpoint(run.folder)
            if not problem and epoch < run.epochs:
                problem = f'the training ended without a checkpoint of epoch {run.epochs}'
        for target in run.tests:
            if not problem and target not in tested(record, run.folder, run.tests):
                command = test_command(run, target, checkpoint, self.machine)
                problem = self._call(command, run.folder / f'{target}.log', slot)
                if not problem:
                    record.tests[target] = run.tests[target]
        if self._stopped:
            return  # the record says 'started', and the next start resumes
        record.seconds = round(record.seconds + time.monotonic() - begin, 1)
        record.state, record.problem = ('failed', problem) if problem else ('done', '')
        if not problem:
            record.checkpoint = checkpoint.relative_to(run.folder).as_posix()
        record.write(run.folder)

    def _call(self, command: Sequence[str], log: Path, slot: Mapping[str, str]) -> str:
        """Run a command into a log file; return what went wrong, empty if nothing."""
        if self._stopped:
            return 'stopped'
        environment = {**os.environ, 'PYTHON': sys.executable, **slot}
        with log.open('a', encoding='utf-8') as file:
            file.write(f'$ {shlex.join(command)}\n')
            file.flush()
            # Its own session, so that stopping it reaches torchrun's children too.
            child = subprocess.Popen(
                ['bash', str(ROOT / command[0]), *command[1:]],
                stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
                preexec_fn=_die_with_parent,
            )  # fmt: skip
            with self._lock:
                self._children.add(child)
            code = child.wait()
            with self._lock:
                self._children.discard(child)
        return '' if code == 0 else f'exit code {code}: {_reason(log)} (log: {_shown(log)})'

    def _stop(self) -> None:
        self._stopped = True
        with self._lock:
            children = list(self._children)
        for child in children:
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + 20
        for child in children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)


def _show(runs: Sequence[Run], futures: Mapping[Future, Run]) -> None:
    """Draw a bar with the time left until all futures are done; a test counts as an epoch."""
    total = sum(run.epochs + len(run.tests) for run in runs)
    # `initial`: what earlier sessions did is no measure of the speed of this one.
    bar = tqdm(
        desc='epochs and tests', total=total, initial=_steps(runs), unit='step', smoothing=0,
        miniters=0, mininterval=1 if sys.stderr.isatty() else 30,
    )  # fmt: skip
    pending = set(futures)
    with bar:
        while pending:
            done, pending = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                run = futures[future]
                future.result()  # a mistake of ours shows itself
                if run.record.state == 'failed':
                    bar.write(f'failed: {run.name}: {run.record.problem}', file=sys.stderr)
                else:
                    bar.write(f'done: {run.name} ({run.record.seconds:.0f} s)', file=sys.stderr)
            states = [run.record.state for run in runs]
            bar.set_postfix_str(f'{states.count("done")} of {len(runs)} runs done, '
                                f'{states.count("failed")} failed', refresh=False)  # fmt: skip
            bar.update(_steps(runs) - bar.n)


def _steps(runs: Sequence[Run]) -> int:
    return sum(run.epoch + len(tested(run.record, run.folder, run.tests)) for run in runs)


def _reason(log: Path) -> str:
    """Return the last line of a log that tells an error, or the last line."""
    lines = [
        line.strip() for line in log.read_text('utf-8', 'replace').splitlines() if line.strip()
    ]
    told = [
        line for line in lines if line.startswith('error: ') and 'what it said is above' not in line
    ]
    errors = told or [line for line in lines if 'Error' in line.split(':')[0]]
    return (errors or lines or ['nothing was printed'])[-1].removeprefix('error: ')[:300]


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return sole_writer(
        folder / '.lock',
        f'{_shown(folder)}: another tools/sweep.py is at work there; wait for it, or name another '
        '--work-dir',
    )


_LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """In a child: be stopped when the sweep dies, be it by SIGKILL (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal(child: subprocess.Popen, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _as_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _shown(path: Path) -> str:
    """Return a path as a user would type it."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)
