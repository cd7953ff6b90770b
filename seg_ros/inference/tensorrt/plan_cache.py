# SPDX-License-Identifier: Apache-2.0
"""Where built plans lie: whole, with their identity beside them, or not at all.

    ~/.cache/seg_ros/
      roadsynth-fp16-0a1b2c3d4e5f6071.plan     what TensorRT loads
      roadsynth-fp16-0a1b2c3d4e5f6071.json     what it is: key, size, checksum, how it was built
      roadsynth-fp16-0a1b2c3d4e5f6071.lock     held by the process that builds it
      tensorrt-10-16-1-11-Orin-sm-87.timing    what TensorRT measured, for the next build

The sidecar is written last, and a plan counts only with the size and checksum that it names: a
build that was killed, a full disk or a flipped bit leaves nothing that could be loaded.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError
from seg_ros.files import open_regular, read_text, why_not_trusted
from seg_ros.inference.tensorrt.plan_key import PlanKey
from seg_ros.inference.tensorrt.plan_lock import is_locked, plan_lock

__all__ = ['CachedPlan', 'PlanCache', 'cache_folder']

PLAN, SIDECAR, LOCK, PARTIAL = '.plan', '.json', '.lock', '.partial'
FORMAT = 1  # of the sidecar
MEGA = 1e6
LARGEST_SIDECAR = 1 << 20
LARGEST_HINT = 256 << 20  # bytes; those of real builds have a hundredth
REMOVE = 'remove it, and build the plan anew'


@dataclass(frozen=True)
class CachedPlan:
    """A plan in the cache.

    Attributes:
        path: Its file.
        key: What it is; None where its sidecar cannot be read.
        size: Bytes that it must have.
        sha256: Of these bytes.
        build_s: How long it took.
        notes: What else its builder had to say.
        damage: Why it cannot be used; empty where its files look whole.
    """

    path: Path
    key: PlanKey | None = None
    size: int = 0
    sha256: str = ''
    build_s: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)
    damage: str = ''

    def read(self) -> tuple[bytes, str]:
        """Returns the plan, or no bytes and why not; never bytes that are not as they were."""
        if self.damage:
            return b'', self.damage
        try:
            with open_regular(self.path) as file:
                # Asked of the open file: its name may lead elsewhere by now
                if why := why_not_trusted(os.fstat(file.fileno())):
                    return b'', f'{self.path} {why}; {REMOVE}'
                data = file.read(self.size + 1)
        except OSError as error:
            return b'', f'{self.path.name} cannot be read: {error.strerror}'
        if hashlib.sha256(data).hexdigest() != self.sha256:
            return (
                b'',
                f'{self.path.name} is damaged: its checksum is not the one it was made with',
            )
        return data, ''


class PlanCache:
    """The plans in a folder.

    Args:
        folder: Where; ``cache_folder()`` by default. It is made when something is written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()

    def plans(self) -> Iterator[CachedPlan]:
        """Yields every plan, whole or not."""
        why = self.distrust()
        names = {path.with_suffix(SIDECAR) for path in self.folder.glob(f'*{PLAN}')}
        names |= set(self.folder.glob(f'*{SIDECAR}'))
        for sidecar in sorted(names):
            if why:
                yield CachedPlan(sidecar.with_suffix(PLAN), damage=why)
            else:
                yield _read_sidecar(sidecar)

    def distrust(self) -> str:
        """Returns why nothing in the folder is used; empty where that is fine.

        A plan is code: whoever can put one there would run it on this machine.
        """
        try:
            why = why_not_trusted(self.folder.stat())
        except OSError:  # it is not there yet
            return ''
        return (
            f'the engine cache {self.folder} {why}, so that nothing in it is used' if why else ''
        )

    def find(self, wanted: PlanKey) -> tuple[CachedPlan | None, str]:
        """Returns a whole plan that does what is wanted, or None and a sentence why."""
        if why := self.distrust():
            return None, why
        reasons: list[tuple[int, str]] = []
        for plan in sorted(self.plans(), key=lambda row: row.key != wanted):
            if plan.key is None:
                if plan.path.name == wanted.stem + PLAN:
                    reasons.append((0, plan.damage))
            elif plan.key.serves(wanted):
                if not plan.damage:
                    return plan, ''
                reasons.append((0, plan.damage))
            elif plan.key.engine == wanted.engine:
                different = plan.key.differences(wanted)
                reasons.append((len(different), f'the plan at hand {" and ".join(different)}'))
        if reasons:
            return None, min(reasons)[1]
        return None, f'none was built yet for {wanted.target} in {wanted.precision}'

    def load(self, wanted: PlanKey) -> tuple[bytes, str]:
        """Returns the bytes of a plan that does what is wanted, or none and a sentence why.

        A damaged plan is removed, so that the next build takes its place.
        """
        plan, why = self.find(wanted)
        if plan is None:
            return b'', why
        data, why = plan.read()
        if why:
            self.discard(plan)
        return data, why

    def store(
        self, key: PlanKey, data: bytes, build_s: float, notes: Mapping[str, Any]
    ) -> CachedPlan:
        """Writes a plan; it appears whole or not at all.

        Raises:
            ConfigurationError: The folder cannot be written, or the disk is full.
        """
        path = self.folder / (key.stem + PLAN)
        row = {
            'format': FORMAT,
            'key': asdict(key),
            'size': len(data),
            'sha256': hashlib.sha256(data).hexdigest(),
            'build_s': round(build_s, 3),
            'notes': dict(notes),
        }
        for left in self.folder.glob(f'{key.stem}.*{PARTIAL}'):  # by a build that was killed
            with suppress(OSError):
                left.unlink()
        self._write(path, data)
        self._write(path.with_suffix(SIDECAR), json.dumps(row, indent=2).encode())
        return _read_sidecar(path.with_suffix(SIDECAR))

    def discard(self, plan: CachedPlan) -> None:
        """Removes a plan; what cannot be removed stays."""
        for path in (plan.path.with_suffix(SIDECAR), plan.path):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def lock(
        self, key: PlanKey, waiting: Callable[[str], bool] = lambda _: True
    ) -> AbstractContextManager[None]:
        """Returns a context in which no other process builds the same plan.

        Raises:
            ConfigurationError: The folder cannot be written, or ``waiting`` gave up.
        """
        self.check_writable()
        return plan_lock(self.folder / (key.stem + LOCK), waiting)

    def check_writable(self, size: int = 0) -> None:
        """Checks, before a long build, that its result can be written.

        Args:
            size: Bytes that it will have, as far as that is known.

        Raises:
            ConfigurationError: The folder cannot be written, is somebody else's, or the disk is
                full.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._check_trusted()
            with tempfile.TemporaryFile(dir=self.folder) as file:
                file.write(b'\0' * 4096)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise self._not_written(error, size) from error
        if free < size:
            raise self._not_written(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), size)

    def prune(self, is_wanted: Callable[[CachedPlan], bool]) -> list[Path]:
        """Removes the plans that are not wanted, and what killed builds left; returns the files.

        What a living process builds is left alone.
        """
        removed: list[Path] = []

        def remove(path: Path) -> None:
            with suppress(OSError):
                path.unlink()
                removed.append(path)

        for plan in self.plans():
            if not is_wanted(plan) and not is_locked(plan.path.with_suffix(LOCK)):
                for path in (plan.path.with_suffix(SIDECAR), plan.path):
                    if path.exists():
                        remove(path)
        for path in self.folder.glob(f'*{PARTIAL}'):
            if not any(is_locked(lock) for lock in self.folder.glob(f'*{LOCK}')):
                remove(path)
        for lock in self.folder.glob(f'*{LOCK}'):
            if not lock.with_suffix(SIDECAR).exists() and not is_locked(lock):
                remove(lock)
        return removed

    def hint(self, kind: str, key: PlanKey) -> bytes:
        """Returns what makes the next time faster, and nothing where there is none.

        Args:
            kind: 'timing' for what a builder measured, 'kernels' for what a runtime compiled.
            key: Of which TensorRT and GPU.
        """
        if self.distrust():
            return b''
        try:
            with open_regular(self._hint_path(kind, key)) as file:
                if why_not_trusted(os.fstat(file.fileno())):
                    return b''
                return file.read(LARGEST_HINT)
        except OSError:
            return b''

    def store_hint(self, kind: str, key: PlanKey, data: bytes) -> None:
        """Keeps a hint; it is a help only, and nothing is said where that fails."""
        if data:
            with suppress(ConfigurationError):
                self._write(self._hint_path(kind, key), data)

    def _hint_path(self, kind: str, key: PlanKey) -> Path:
        words = f'{key.flavour}-{key.version}-{key.target}'
        return self.folder / f'{"".join(c if c.isalnum() else "-" for c in words)}.{kind}'

    def _write(self, path: Path, data: bytes) -> None:
        partial = path.with_name(f'{path.name}.{os.getpid()}{PARTIAL}')
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._check_trusted()
            with partial.open('wb') as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise self._not_written(error, len(data)) from error

    def _check_trusted(self) -> None:
        if why := self.distrust():
            raise ConfigurationError(
                f'{why[:1].upper()}{why[1:]}, and nothing is written there. Make it yours (chown, '
                'chmod o-w), or name another folder with --cache, $SEG_ROS_CACHE or the parameter '
                'cache_path.'
            )

    def _not_written(self, error: OSError, size: int) -> ConfigurationError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return ConfigurationError(
                f'There is no room in the engine cache {self.folder} ({error.strerror}; '
                f'{size / MEGA:.1f} MB are needed). Make some: seg_ros engines --prune, or name '
                'another folder with --cache, $SEG_ROS_CACHE or the parameter cache_path.'
            )
        return ConfigurationError(
            f'Cannot write to the engine cache {self.folder}: {error.strerror}. Name a folder '
            'that can be written, with --cache, $SEG_ROS_CACHE or the parameter cache_path.'
        )


def cache_folder() -> Path:
    """Returns ``$SEG_ROS_CACHE``, or ``seg_ros`` in the user's cache folder."""
    if folder := os.environ.get('SEG_ROS_CACHE'):
        return Path(folder).expanduser()
    base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return Path(base).expanduser() / 'seg_ros'


def _read_sidecar(sidecar: Path) -> CachedPlan:
    """Returns what a sidecar says, or why it and its plan are of no use."""
    path = sidecar.with_suffix(PLAN)
    try:
        for file in (sidecar, path):
            if file.exists() and (why := why_not_trusted(file.stat())):
                return CachedPlan(path, damage=f'{file} {why}; {REMOVE}')
        row = json.loads(read_text(sidecar, LARGEST_SIDECAR))
        plan = CachedPlan(
            path=path,
            key=PlanKey.from_row(row['key']),
            size=int(row['size']),
            sha256=str(row['sha256']),
            build_s=float(row['build_s']),
            notes=dict(row.get('notes', {})),
        )
    except FileNotFoundError:
        return CachedPlan(path, damage=f'{path.name} has no sidecar: its build was ended early')
    except (OSError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        return CachedPlan(path, damage=f'{sidecar.name} cannot be read ({type(error).__name__})')
    try:
        size = path.stat().st_size
    except OSError:
        return _damaged(plan, f'{path.name} is missing')
    if size != plan.size:
        return _damaged(plan, f'{path.name} is truncated: {size} of {plan.size} bytes')
    return plan


def _damaged(plan: CachedPlan, damage: str) -> CachedPlan:
    return CachedPlan(
        plan.path, plan.key, plan.size, plan.sha256, plan.build_s, plan.notes, damage
    )
