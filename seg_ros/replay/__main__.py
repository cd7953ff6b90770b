# SPDX-License-Identifier: Apache-2.0
"""Does the piece of work that comes through the standard input; its outcome goes to the output."""

from __future__ import annotations

import pickle
import sys

from seg_ros.replay.fleet import outcome_of

if __name__ == '__main__':
    outcome = outcome_of(pickle.load(sys.stdin.buffer))  # noqa: S301  of our own process
    sys.stdout.buffer.write(pickle.dumps(outcome))
