import errno

import pytest

from realmnet.cli import run
from realmnet.errors import InputError


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ('error', 'line'),
    [
        (InputError('a.csv, line 3: bad'), 'error: a.csv, line 3: bad\n'),
        (PermissionError(errno.EACCES, 'Permission denied', 'k'), 'error: k: Permission denied\n'),
        (OSError(errno.ENOSPC, 'No space left on device'),
         'error: the disk: No space left on device\n'),
        (InputError('Caught InputError in DataLoader worker process 0.\nOriginal Traceback\n'
                    '  File "x"\nrealmnet.errors.InputError: a.jpg: cut short\n'),
         'error: a.jpg: cut short\n'),
        (RuntimeError('unable to allocate shared memory(shm) for file </torch_1>: Success (0)'),
         'error: the workers of a dataloader found no room in /dev/shm for their batches; set '
         'train_dataloader.num_workers=0 (and val_, test_dataloader) with --cfg-options, or give '
         'the container more, docker run --shm-size=8g\n'),
        (RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. '),
         'error: the system ended a worker of a dataloader, mostly for want of memory; set fewer '
         'num_workers or a smaller batch_size with --cfg-options\n'),
        (OSError(errno.ENAMETOOLONG, 'File name too long', 'k'), 'error: k: File name too long\n'),
    ],
)  # fmt: skip
def test_one_line_and_exit_status_1(error, line, capsys):
    with pytest.raises(SystemExit) as stop:
        run(raising(error))
    assert stop.value.code == 1
    assert capsys.readouterr().err == line


def test_defects_keep_their_traceback():
    for error in (ZeroDivisionError(), RuntimeError('x'), OSError(errno.EIO, 'Input/output error')):
        with pytest.raises(type(error)):
            run(raising(error))
