"""A run that kills itself with SIGKILL in the middle of mining; started by the tests.

`python dying_process.py BLOCK ARGUMENT…`: `uniter ARGUMENT…`, dead before its BLOCK-th block of images is scored.
"""

import os
import signal
import sys

from uniter_cli import mining
from uniter_cli.main import run


def main() -> None:
    number, *arguments = sys.argv[1:]
    score, scored = mining._score, iter(range(1, int(number)))

    def score_or_die(*args, **kwargs):
        if next(scored, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return score(*args, **kwargs)

    mining._score = score_or_die
    sys.argv = ["uniter", *arguments]
    run()


if __name__ == "__main__":
    main()
