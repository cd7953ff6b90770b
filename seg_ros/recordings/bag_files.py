# SPDX-License-Identifier: Apache-2.0
"""Which files a rosbag2 is made of, and how each of them is opened: by what is in it."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Collection, Sequence
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
ROLLBACK_MAGIC = bytes.fromhex('d9d505f920a163d7')  # of a -journal, the same page
STORED = ('mcap', 'sqlite3')
PLAIN = ('.mcap', '.db3')
PACKED = ('.zstd', '.zst')
JOURNALS = ('-wal', '-journal')  # what SQLite keeps beside a file while it is written

Tell = Callable[[str], None]


class BagFile(NamedTuple):
    """A file of a bag.

    Attributes:
        shown: What people call it.
        path: What is read: the same, or a copy that is unpacked or has its journal beside it.
        kind: A value of ``BEGINNINGS``.
        with_journal: Whether what SQLite has left beside it, -wal or -journal, counts, too.
    """

    shown: Path
    path: Path
    kind: str
    with_journal: bool = False


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
    names = {Path(name).name for name in listed}
    there = files_in(path)
    # A recorder that was killed leaves .mcap.active, and people rename files as they like
    there += sorted(
        file for file in path.iterdir()
        if file not in there and file.is_file()
        and (file.name in names or (index is not None and begins_as(file) in STORED))
    )  # fmt: skip
    here = {_unpacked_name(file.name) for file in there}
    elsewhere = [name for name in listed if _unpacked_name(Path(name).name) not in here]
    # ROS looks where it is told; whoever moved a folder has the files in it
    there += [path / name for name in elsewhere if (path / name).is_file()]
    if missing := [Path(name).name for name in elsewhere if not (path / name).is_file()]:
        tell(f'{path} lacks {", ".join(missing)}, which its metadata.yaml lists.')
    known = {_unpacked_name(name) for name in names}
    if known and (others := [row.name for row in there if _unpacked_name(row.name) not in known]):
        tell(f'{path} holds {", ".join(others)}, too, which its metadata.yaml does not list.')
    _tell_left_out(path, here, tell)
    return there, index


def _tell_left_out(folder: Path, there: Collection[str], tell: Tell) -> None:
    """Names what is called like a part of the bag and is none that can be read."""
    for path in sorted(folder.iterdir()):
        journal = next((end for end in JOURNALS if path.name.endswith(end)), '')
        if is_named_so(path) and not path.is_file():
            what = 'leads to nothing' if path.is_symlink() and not path.exists() else 'is no file'
            tell(f'{path} is left out: it {what}.')
        elif journal and path.name.removesuffix(journal) not in there and path.stat().st_size:
            missing = path.name.removesuffix(journal)
            tell(f'{path} is left out: what is in it belongs to {missing}, which is not there.')


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
        if file.kind == 'zstd' or (is_sqlite and (_journal_of(path) or _missing_bytes(path))):
            folder = folder or tempfile.TemporaryDirectory(prefix='seg_ros_bag_')
            place = Path(folder.name, str(number))
            place.mkdir()
            file = _copied(file, place, tell)
        if file.kind in STORED:
            found.append(file)
        else:
            tell(f'{path} is left out: {_why_none(path)}.')
    return found, folder


def _why_none(path: Path) -> str:
    try:
        with open_regular(path) as file:
            is_empty = not file.read(1)
    except OSError as error:
        return f'it cannot be read: {error.strerror}'
    return 'it is empty' if is_empty else 'it does not begin as a file of a bag'


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
        else SqliteFile(file.path, with_journal=file.with_journal)
    )
    reader.open()
    return reader


def _copied(file: BagFile, folder: Path, tell: Tell) -> BagFile:
    """Unpacks a file, or copies it together with its journal."""
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
        # SQLite writes beside a file that it reads with its journal, but a recording is only read,
        # and its folder may be read-only.
        shutil.copyfile(shown, path)
        journal = _journal_of(shown)
        if journal is not None:
            shutil.copyfile(journal, path.with_name(path.name + journal.name[len(shown.name) :]))
            if journal.name.endswith('-journal'):
                tell(
                    f'{shown} was being written when its recorder ended; what was not committed '
                    'is left out.'
                )
        elif _fill_up(path):
            tell(f'{shown} is cut off; it is read as far as it goes.')
        return file._replace(path=path, with_journal=journal is not None)
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


def _journal_of(path: Path) -> Path | None:
    """What a recorder that was killed has left beside a file.

    A -wal has its newest messages; with a -journal what is half written is taken back.
    """
    for end, magic in zip(JOURNALS, (b'', ROLLBACK_MAGIC), strict=True):
        journal = path.with_name(path.name + end)
        if journal.is_file() and journal.stat().st_size:
            with journal.open('rb') as file:
                if file.read(len(magic)) == magic:  # else it was done with
                    return journal
    return None
