# SPDX-License-Identifier: Apache-2.0
"""Does the piece of work that comes through the standard input; its outcome goes to the output."""

from __future__ import annotations

import ctypes
import pickle
import signal
import sys

from seg_ros.replay.fleet import outcome_of

PR_SET_PDEATHSIG = 1  # linux/prctl.h

if __name__ == '__main__':
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the shell ignores it
    # Whoever started this may be killed before it can say so
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    job = pickle.load(sys.stdin.buffer)  # noqa: S301  of our own process
    try:
        outcome = outcome_of(job)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.stdout.buffer.write(pickle.dumps(outcome))
