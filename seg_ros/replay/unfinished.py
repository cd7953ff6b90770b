# SPDX-License-Identifier: Apache-2.0
"""A bag that is being made: under a name of its own until it is whole, and resumable."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, final

from seg_ros.core.errors import ConfigurationError
from seg_ros.replay.snapshot import restored, snapshot

__all__ = ['Unfinished']

BAG = 'replay'
ROOM = 'room'
ROOM_BYTES = 1 << 20  # of index and metadata; 2500 chunks, which are of 1 MB before compression
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
        # The name of the file in it is written there, too: so that the bytes do not depend on it
        self.bag = self._folder / BAG

    def __enter__(self) -> Unfinished:
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir(mode=0o700)  # nobody else puts anything into it
            _check_ours(self._folder, stat.S_ISDIR)
            self._take_lock()
            self._begin()
            self._keep_room()
        except OSError as error:
            self._let_go()
            raise ConfigurationError(
                f'{self._folder} cannot be begun: {error.strerror or error}. Make room there, or '
                'name another output.'
            ) from error
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._let_go()

    def checkpoints(self) -> list[Any]:
        """Returns what the checkpoints hold that are there and whole, newest first.

        Raises:
            ConfigurationError: One is not ours.
        """
        found = []
        for path in self._paths():
            if not path.is_symlink() and not path.exists():
                continue
            _check_ours(path, stat.S_ISREG)
            with contextlib.suppress(ValueError):  # a damaged one; the older one serves as well
                found.append(restored(path.read_bytes()))
        return found

    def save(self, checkpoint: Any) -> None:
        """Keeps a checkpoint, as data, whole or not at all; forgets the one before the last.

        Raises:
            OSError: The disk is full, say; those from before are kept.
        """
        new = self._folder / 'checkpoint.new'
        try:
            with new.open('wb') as file:
                file.write(snapshot(checkpoint))
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

    def make_room(self) -> None:
        """Gives back what was kept so that a bag can be ended on a full disk."""
        (self._folder / ROOM).unlink(missing_ok=True)

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

    def _keep_room(self) -> None:
        """Takes the room of an index while there is some; of a sparse file it would be none."""
        with (self._folder / ROOM).open('wb') as file:
            os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)

    def _take_lock(self) -> None:
        lock = self._folder / 'lock'
        if lock.is_symlink() or lock.exists():
            _check_ours(lock, stat.S_ISREG)
        self._lock = lock.open('ab+')
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
        is_same = _json_of(note) == self._work
        if self.bag.exists() and not is_same:
            msg = (
                f'{self._folder} is of another recording, engine or option, so that it cannot be '
                'gone on with. Ask for the same again, or remove it.'
            )
            raise ConfigurationError(msg)
        if not self.bag.exists() or not self.checkpoints():  # nothing to go on from
            for path in self._paths():
                path.unlink(missing_ok=True)
            shutil.rmtree(self.bag, ignore_errors=True)
            note.write_text(json.dumps(self._work), encoding='utf-8')

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _check_ours(path: Path, is_kind: Callable[[int], bool]) -> None:
    """Refuses what somebody else may have put there; a link is nothing of ours, either.

    Raises:
        ConfigurationError: It is not what we made.
    """
    status = path.lstat()
    if status.st_uid != os.geteuid():
        why = f'belongs to the user {status.st_uid}'
    elif not is_kind(status.st_mode):
        why = 'is a link or of another kind'
    elif status.st_mode & stat.S_IWOTH:
        why = 'can be written by everybody'
    else:
        return
    raise ConfigurationError(
        f'{path} {why}, so that it is not gone on with. Remove it, or name another output.'
    )


def _json_of(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return None
