"""What all command-line tools share."""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Callable

from realmnet.errors import InputError, InputWarning

# The recipe asks for four workers; torch says at every epoch that a laptop has fewer cores.
warnings.filterwarnings('ignore', message='This DataLoader will create')
# mmcv-lite says so at every import; nothing here needs the operator.
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')

_WITH_CODE = warnings.formatwarning


def run(main: Callable[[], None]) -> None:
    """Run a tool; print a user's mistake as one line and exit with 1, without a traceback.

    A file that may not be read or written and a full disk count as such.

    Args:
        main: The tool.
    """
    warnings.formatwarning = _one_line
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(errors='backslashreplace')  # names that are no UTF-8
    try:
        main()
    except InputError as error:
        text = str(error)
        if text.startswith('Caught InputError in DataLoader worker'):
            # torch puts the worker's traceback around the sentence.
            text = text.rpartition('InputError: ')[2].strip()
        _stop(text)
    except RuntimeError as error:
        sentence = _about_workers(str(error))
        if not sentence:
            raise
        _stop(sentence)
    except KeyboardInterrupt:
        print('stopped by the user', file=sys.stderr)
        sys.exit(130)
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        _stop(f'{error.filename}: {error.strerror}')
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG):
            raise
        _stop(f'{error.filename or "the disk"}: {error.strerror}')


def _one_line(message, category, *place) -> str:
    """Print what concerns a user's files without the line of code that found it."""
    if issubclass(category, InputWarning):
        return f'warning: {message}\n'
    return _WITH_CODE(message, category, *place)


def _about_workers(text: str) -> str:
    """Say what torch's message about a dead or cramped dataloader worker means; else nothing."""
    lower = text.lower()
    if 'shared memory' in lower or 'shm' in lower or 'bus error' in lower:
        return (
            'the workers of a dataloader found no room in /dev/shm for their batches; set '
            'train_dataloader.num_workers=0 (and val_, test_dataloader) with --cfg-options, or '
            'give the container more, docker run --shm-size=8g'
        )
    if 'dataloader worker' in lower and 'killed by signal: killed' in lower:
        return (
            'the system ended a worker of a dataloader, mostly for want of memory; set fewer '
            'num_workers or a smaller batch_size with --cfg-options'
        )
    return ''


def _stop(text: str) -> None:
    print(f'error: {text}', file=sys.stderr)
    sys.exit(1)
