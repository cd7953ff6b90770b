# SPDX-License-Identifier: Apache-2.0
"""How much of the processor a container's control groups leave to this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ['quota_cores']

MOUNT = Path('/sys/fs/cgroup')
OWN = Path('/proc/self/cgroup')  # ID:CONTROLLERS:PATH a line; 0::PATH in version 2


def quota_cores(mount: Path = MOUNT, own: Path = OWN) -> float | None:
    """Returns the cores by the tightest limit of the process' groups; None without any.

    A group is limited by those that it is in, too. A path that is not there is the host's, whose
    tree a container does not see: then the limit is at the mount. A file that says no two numbers
    says no limit.
    """
    try:
        lines = own.read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    limits = [*_at(mount)]
    for line in lines:
        _, _, rest = line.partition(':')
        controllers, _, path = rest.partition(':')
        if controllers and 'cpu' not in controllers.split(','):
            continue
        for root in (mount, mount / controllers, mount / 'cpu') if controllers else (mount,):
            part = PurePosixPath(path.strip('/'))
            for group in (part, *part.parents):
                limits += _at(root / group)
    return min(limits, default=None)


def _at(group: Path) -> Iterator[float]:
    """Yields the limit of one group, by version 2 or 1, in cores."""
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (group / 'cpu.max').read_text().split()
        yield from _cores(quota, period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota = (group / 'cpu.cfs_quota_us').read_text()
        yield from _cores(quota, (group / 'cpu.cfs_period_us').read_text())


def _cores(quota: str, period: str) -> Iterator[float]:
    cores = int(quota) / int(period)  # ValueError of max, which is no limit
    if cores > 0.0:  # version 1 says -1 for none
        yield cores
