# SPDX-License-Identifier: Apache-2.0
"""Does the piece of work that comes through the standard input; its outcome goes to the output.

Its argument is the process that has asked: with that one it ends.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> int:
    """Returns 130 where it was interrupted, as it is when its parent is killed."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the shell ignores it
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != int(sys.argv[1]):  # it was too late
        return 130
    try:
        from seg_ros.replay.fleet import outcome_of  # takes seconds, in which much may happen

        outcome = outcome_of(pickle.load(sys.stdin.buffer))  # noqa: S301  of our own process
    except KeyboardInterrupt:
        return 130
    sys.stdout.buffer.write(pickle.dumps(outcome))
    return 0


if __name__ == '__main__':
    sys.exit(main())
