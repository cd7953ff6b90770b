# SPDX-License-Identifier: Apache-2.0
"""Steady clock: never steps, and goes on while the computer sleeps.

The monotonic clock stands still in a sleep (a laptop's lid, a robot's saving of power): what was
said an hour ago is as fresh by it as it was, and opens the way when the computer wakes.
"""

from __future__ import annotations

import time

__all__ = ['steady_ns']

# Linux has it; where it is missing nothing is known of a sleep
CLOCK = getattr(time, 'CLOCK_BOOTTIME', time.CLOCK_MONOTONIC)


def steady_ns() -> int:
    """Returns nanoseconds since some moment, the same one for all processes of the computer."""
    return time.clock_gettime_ns(CLOCK)
