# SPDX-License-Identifier: Apache-2.0
"""The lock on a plan that is being built, between processes; no dead process can hold it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seg_ros.core.errors import ConfigurationError

__all__ = ['LockBusy', 'is_locked', 'plan_lock']

POLL_S = 0.2  # a build takes seconds to minutes; so it costs nothing and is not noticed


class LockBusy(ConfigurationError):
    """A lock that another process holds, and that was not waited for."""


@contextmanager
def plan_lock(path: Path, waiting: Callable[[str], bool] = lambda _: True) -> Iterator[None]:
    """Holds the lock while the context lasts; the kernel lets go of it when the process ends.

    Args:
        path: The lock's file; it stays.
        waiting: Is told now and then who holds it; False gives up.

    Raises:
        ConfigurationError: The file cannot be made.
        LockBusy: ``waiting`` gave up.
    """
    handle = _opened(path)
    try:
        while not _taken(handle) or not _is_file(path, handle):
            if not _is_file(path, handle):  # it was removed meanwhile, and says nothing any more
                os.close(handle)
                handle = _opened(path)
                continue
            holder = os.pread(handle, 32, 0).decode(errors='replace').strip() or 'unknown'
            if not waiting(holder):
                raise LockBusy(
                    f'Another process (pid {holder}) builds the same plan. Wait for it, or end it.'
                )
            time.sleep(POLL_S)
        os.truncate(handle, 0)
        os.pwrite(handle, f'{os.getpid()}\n'.encode(), 0)
        yield
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool:
    """Returns whether a living process holds the lock."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _taken(handle)
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ConfigurationError(
            f'Cannot write to the engine cache {path.parent}: {error.strerror}. Name a folder '
            'that can be written, with --cache, $SEG_ROS_CACHE or the parameter cache_path.'
        ) from error


def _is_file(path: Path, handle: int) -> bool:
    """Returns whether the open file is still the one of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except OSError:
        return False


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
