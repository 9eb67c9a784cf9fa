"""torchrun, with its traceback replaced by one line: what went wrong, a process has said itself."""

import logging
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

if __name__ == '__main__':
    logging.getLogger('torch.distributed.elastic.multiprocessing.api').setLevel(logging.CRITICAL)
    try:
        main()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        print(
            f'error: process {rank} stopped with exit code {failure.exitcode} and so the others '
            'were stopped; what it said is above',
            file=sys.stderr,
        )
        sys.exit(1)
    except SignalException as error:
        print(f'stopped: {error}; --resume goes on from the last epoch', file=sys.stderr)
        sys.exit(128 + error.sigval)
