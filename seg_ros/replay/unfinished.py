# SPDX-License-Identifier: Apache-2.0
"""A bag that is being made: under a name of its own until it is whole, and resumable."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import IO, Any, final

from seg_ros.core.errors import ConfigurationError

__all__ = ['Unfinished']

KEPT = 2  # checkpoints: on a full disk the older one makes room


@final
class Unfinished:
    """The folder ``<output>.partial``; a context manager that only one process enters at a time.

    Args:
        output: The bag once it is whole.
        work: What is being done, as JSON values; another work cannot be resumed.
        resume: Whether an interrupted run may be gone on with.

    Attributes:
        bag: Folder of the bag for now.

    Raises:
        ConfigurationError: The output is there, or an interrupted run is that may not be resumed.
    """

    def __init__(self, output: Path, work: dict[str, Any], *, resume: bool) -> None:
        if output.exists():
            msg = f'{output} exists and is not overwritten. Name another output, or remove it.'
            raise ConfigurationError(msg)
        self._output = output
        self._folder = output.with_name(f'{output.name}.partial')
        self._work = work
        self._resume = resume
        self._lock: IO[bytes] | None = None
        self.bag = self._folder / output.name

    def __enter__(self) -> Unfinished:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._begin()
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._let_go()

    def checkpoints(self) -> list[bytes]:
        """Returns the checkpoints that are there, newest first."""
        return [path.read_bytes() for path in self._paths() if path.exists()]

    def save(self, checkpoint: bytes) -> None:
        """Keeps a checkpoint, whole or not at all; forgets the one before the last.

        Raises:
            OSError: The disk is full, say; those from before are kept.
        """
        new = self._folder / 'checkpoint.new'
        try:
            with new.open('wb') as file:
                file.write(checkpoint)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            new.unlink(missing_ok=True)
            raise
        paths = self._paths()
        for newer, older in zip(reversed(paths[:-1]), reversed(paths[1:]), strict=True):
            if newer.exists():
                newer.replace(older)
        new.replace(paths[0])

    def forget(self, count: int) -> None:
        """Removes the newest checkpoints."""
        paths = [path for path in self._paths() if path.exists()]
        for path in paths[:count]:
            path.unlink()
        for path, newer in zip(paths[count:], self._paths(), strict=False):
            path.rename(newer)

    def finish(self) -> None:
        """Gives the bag its name, in one step, and removes everything else."""
        self.bag.rename(self._output)
        self.discard()

    def discard(self) -> None:
        """Removes what there is."""
        with contextlib.suppress(OSError):  # crumbs do no harm
            shutil.rmtree(self._folder)

    def _paths(self) -> list[Path]:
        return [self._folder / f'checkpoint.{age}' for age in range(KEPT)]

    def _take_lock(self) -> None:
        self._lock = (self._folder / 'lock').open('ab+')
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.seek(0)
            number = self._lock.read().decode()
            msg = f'{self._output} is being made by process {number}. Wait for it, or end it.'
            raise ConfigurationError(msg) from error
        self._lock.truncate(0)
        self._lock.write(b'%d' % os.getpid())
        self._lock.flush()
        if self._output.exists():  # it was made while we waited for nothing
            raise ConfigurationError(f'{self._output} has just been made by another process.')

    def _begin(self) -> None:
        note = self._folder / 'work.json'
        if self.bag.exists() and not self._resume:
            msg = (
                f'{self._folder} is of an interrupted run. Go on with it: --resume, or remove it.'
            )
            raise ConfigurationError(msg)
        is_same = note.exists() and json.loads(note.read_text(encoding='utf-8')) == self._work
        if self.bag.exists() and not is_same:
            msg = (
                f'{self._folder} is of another recording, engine or option, so that it cannot be '
                'gone on with. Ask for the same again, or remove it.'
            )
            raise ConfigurationError(msg)
        if not self.checkpoints():  # nothing to go on from
            shutil.rmtree(self.bag, ignore_errors=True)
            note.write_text(json.dumps(self._work), encoding='utf-8')

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
