# SPDX-License-Identifier: Apache-2.0
"""On which cores a process runs, and before whom (Linux)."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from seg_ros.core.errors import ConfigurationError

__all__ = ['cores_of', 'put_on_cores', 'raise_priority']

PART = re.compile(r'(\d+)(?:-(\d+))?')
MOST_CORES = 4096
AT_START = frozenset(os.sched_getaffinity(0))


def cores_of(text: str, available: Collection[int]) -> frozenset[int]:
    """Returns the cores that a list such as '0,2-3' names.

    Args:
        text: As ``taskset -c`` takes it.
        available: Those that this process may use.

    Raises:
        ConfigurationError: It is no list, or names a core that is not available.
    """
    found: set[int] = set()
    for part in text.split(','):
        match = PART.fullmatch(part.strip())
        if match is None:
            raise ConfigurationError(
                f"cpu_cores is '{text}'. Give a list of cores such as '0,2-3', or nothing for all."
            )
        first = int(match[1])
        last = int(match[2] or match[1])
        found |= set(range(first, min(last, first + MOST_CORES) + 1))
    if not found or not found <= set(available):
        raise ConfigurationError(
            f"cpu_cores is '{text}', and this process may use {sorted(available)}. Name some of "
            'these.'
        )
    return frozenset(found)


def put_on_cores(text: str) -> None:
    """Puts every thread of this process, and those to come, on some cores.

    Args:
        text: Their list; '' takes all that it had when it began.

    Raises:
        ConfigurationError: See ``cores_of``.
    """
    cores = cores_of(text, AT_START) if text else AT_START
    if cores == os.sched_getaffinity(0):
        return
    for task in Path('/proc/self/task').iterdir():
        try:
            os.sched_setaffinity(int(task.name), cores)
        except ProcessLookupError:
            continue  # the thread has ended meanwhile


def raise_priority(process_id: int, priority: int) -> str:
    """Lets a process run before all that have no real-time priority; its threads to come, too.

    Args:
        process_id: Of the process.
        priority: 1 to 99 of SCHED_RR; 0 changes nothing.

    Returns:
        Why that is not allowed, and what to do; empty where it is done.
    """
    if priority == 0:
        return ''
    try:
        os.sched_setscheduler(process_id, os.SCHED_RR, os.sched_param(priority))
    except (PermissionError, ProcessLookupError) as error:
        return (
            f'heartbeat_priority {priority} is not given ({error}). Allow it: a line '
            f"'USER - rtprio {priority}' in /etc/security/limits.d/, or docker run --ulimit "
            f'rtprio={priority} --cap-add SYS_NICE.'
        )
    return ''
