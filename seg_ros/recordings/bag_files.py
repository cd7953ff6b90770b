# SPDX-License-Identifier: Apache-2.0
"""Which files a rosbag2 is made of, and how each of them is opened: by what is in it."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seg_ros.files import open_regular
from seg_ros.recordings.bag_index import BagIndex, read_index

__all__ = ['BagFile', 'begins_as', 'files_in', 'found_files', 'opened', 'ready_to_read']

ZSTD_MAGIC = bytes.fromhex('28b52ffd')
BEGINNINGS = {
    b'\x89MCAP0\r\n': 'mcap',
    b'SQLite format 3\0': 'sqlite3',
    b'#ROSBAG V': 'ros1',
    ZSTD_MAGIC: 'zstd',
}
SQLITE_HEAD_BYTES = 100  # https://sqlite.org/fileformat.html
STORED = ('mcap', 'sqlite3')
PLAIN = ('.mcap', '.db3')
PACKED = ('.zstd', '.zst')

Tell = Callable[[str], None]


class BagFile(NamedTuple):
    """A file of a bag.

    Attributes:
        shown: What people call it.
        path: What is read: the same, or a copy that is unpacked or has its -wal merged.
        kind: A value of ``BEGINNINGS``.
        with_wal: Whether a -wal beside it is read, too.
    """

    shown: Path
    path: Path
    kind: str
    with_wal: bool = False


def begins_as(path: Path) -> str:
    """Returns what a file is by its first bytes, empty if nothing of a bag."""
    try:
        with open_regular(path) as file:
            head = file.read(max(map(len, BEGINNINGS)))
    except OSError:
        return ''
    return next((kind for magic, kind in BEGINNINGS.items() if head.startswith(magic)), '')


def files_in(folder: Path) -> list[Path]:
    """Returns what in a folder is called like a file of a rosbag2."""
    return sorted(path for path in folder.iterdir() if is_named_so(path) and path.is_file())


def is_named_so(path: Path) -> bool:
    """Returns whether a file is called like one of a rosbag2."""
    name = Path(path.name.lower())
    name = Path(name.stem) if name.suffix in PACKED else name
    return name.suffix in PLAIN


def found_files(path: Path, tell: Tell) -> tuple[list[Path], BagIndex | None]:
    """Returns the files of a bag, and what its metadata.yaml says.

    Every file of the folder is one, whatever metadata.yaml calls them.
    """
    if not path.is_dir():
        return [path], None
    index = read_index(path)
    listed = () if index is None else index.files
    there = files_in(path)
    # A recorder that was killed leaves .mcap.active, and people rename files as they like
    there += sorted(
        file for file in path.iterdir()
        if file not in there and file.is_file()
        and (file.name in listed or (index is not None and begins_as(file) in STORED))
    )  # fmt: skip
    names = {_unpacked_name(file.name) for file in there}
    if missing := [name for name in listed if _unpacked_name(name) not in names]:
        tell(f'{path} lacks {", ".join(missing)}, which its metadata.yaml lists.')
    known = {_unpacked_name(name) for name in listed}
    if known and (others := [row.name for row in there if _unpacked_name(row.name) not in known]):
        tell(f'{path} holds {", ".join(others)}, too, which its metadata.yaml does not list.')
    return there, index


def ready_to_read(
    paths: Sequence[Path], tell: Tell
) -> tuple[list[BagFile], tempfile.TemporaryDirectory[str] | None]:
    """Returns the files as they can be opened, and the folder of those that had to be copied.

    What is no file of a bag is left out and told.
    """
    folder: tempfile.TemporaryDirectory[str] | None = None
    found = []
    for number, path in enumerate(paths):
        file = BagFile(path, path, begins_as(path))
        is_sqlite = file.kind == 'sqlite3'
        if file.kind == 'zstd' or (is_sqlite and (_wal_of(path) or _missing_bytes(path))):
            folder = folder or tempfile.TemporaryDirectory(prefix='seg_ros_bag_')
            place = Path(folder.name, str(number))
            place.mkdir()
            file = _copied(file, place, tell)
        if file.kind in STORED:
            found.append(file)
        else:
            is_empty = not path.stat().st_size
            what = 'it is empty' if is_empty else 'it does not begin as a file of a bag'
            tell(f'{path} is left out: {what}.')
    return found, folder


def opened(file: BagFile) -> Any:
    """Returns a reader of a file, open.

    Raises:
        rosbags.rosbag2.ReaderError: It cannot be read.
    """
    from seg_ros.recordings.sqlite_file import SqliteFile
    from seg_ros.recordings.truncated_mcap import ForgivingMcapReader

    reader: Any = (
        ForgivingMcapReader(file.path)
        if file.kind == 'mcap'
        else SqliteFile(file.path, with_wal=file.with_wal)
    )
    reader.open()
    return reader


def _copied(file: BagFile, folder: Path, tell: Tell) -> BagFile:
    """Unpacks a file, or copies it together with its -wal."""
    from seg_ros.recordings.zstandard import unpack

    shown = file.shown
    path = folder / (_unpacked_name(shown.name) or 'bag')
    try:
        if file.kind == 'zstd':
            if why := unpack(shown, path):
                tell(f'{shown} is cut off or broken; it is read as far as it goes: {why}')
            kind = begins_as(path)
            if kind == 'sqlite3':
                _fill_up(path)
            return file._replace(path=path, kind=kind)
        # SQLite writes beside a file that it reads with its -wal, but a recording is only read,
        # and its folder may be read-only.
        shutil.copyfile(shown, path)
        wal = _wal_of(shown)
        if wal is not None:
            shutil.copyfile(wal, path.with_name(f'{path.name}-wal'))
        elif _fill_up(path):
            tell(f'{shown} is cut off; it is read as far as it goes.')
        return file._replace(path=path, with_wal=wal is not None)
    except OSError as error:
        path.unlink(missing_ok=True)
        what = f'{shown} is left out' if file.kind == 'zstd' else f'Part of {shown} is left out'
        tell(
            f'{what}, for it cannot be copied to {tempfile.gettempdir()}: {error}. Make room '
            'there, or name another place with TMPDIR.'
        )
        return file


def _missing_bytes(path: Path) -> int:
    """How much shorter a database is than it says: SQLite reads nothing of such a one."""
    with path.open('rb') as file:
        head = file.read(SQLITE_HEAD_BYTES)
    if len(head) < SQLITE_HEAD_BYTES or head[24:28] != head[92:96]:  # it does not say
        return 0
    (page_bytes,), (pages,) = struct.unpack('>H', head[16:18]), struct.unpack('>I', head[28:32])
    wanted: int = pages * (page_bytes if page_bytes > 1 else 1 << 16)
    return max(0, wanted - path.stat().st_size)


def _fill_up(path: Path) -> int:
    """Gives a database its length, so that what there is can be read; returns how much it was."""
    missing = _missing_bytes(path)
    if missing:
        os.truncate(path, path.stat().st_size + missing)
    return missing


def _unpacked_name(name: str) -> str:
    return Path(name).stem if Path(name).suffix in PACKED else name


def _wal_of(path: Path) -> Path | None:
    """What a recorder that was killed has left beside a file: its newest messages."""
    wal = path.with_name(f'{path.name}-wal')
    return wal if wal.exists() and wal.stat().st_size else None
