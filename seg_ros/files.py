# SPDX-License-Identifier: Apache-2.0
"""Files: those of others are read with care, ours are written whole or not at all.

A name may lead to anything: to a pipe that nobody writes to, to a device without an end, to YAML
that becomes gigabytes. Whoever reads a file that this package did not make reads it with these:
regular ones, of a bounded size, YAML without tricks.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from seg_ros.core.errors import SegRosError

__all__ = [
    'SMALL', 'append', 'load_yaml', 'name_beside', 'open_regular', 'read_bounded', 'read_text',
    'why_not_trusted', 'write_whole',
]  # fmt: skip

SMALL = 128 << 10  # bytes of a file that people write; PyYAML reads as much in one second
DEPTH = 32  # lists in lists; what people write has six
MOST_NODES = 200_000  # values, with all that references repeat: a bag of 8000 topics has as many


def read_bounded(path: Path, limit: int = SMALL) -> bytes:
    """Returns the bytes of a file, and never waits for them.

    Raises:
        OSError: It cannot be read, is no regular file, or has more bytes than the limit;
            ``strerror`` says which.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1)
        if len(data) > limit:
            size = max(os.fstat(file.fileno()).st_size, len(data))
            raise OSError(errno.EFBIG, f'it has {size} bytes, read are up to {limit}', str(path))
        return data


def open_regular(path: Path) -> BinaryIO:
    """Returns an open file that is one: no pipe, socket or device.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    # A pipe without a writer would block already when it is opened.
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a name with a zero in it
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    mode = os.fstat(number).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(number, 'rb')
    os.close(number)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, 'it is a pipe, socket or device, no file', str(path))


def why_not_trusted(status: os.stat_result) -> str:
    """Returns why nothing that runs is taken from a file or folder; empty where it is.

    What the user has made, or the administrator, is trusted; what others could have is not.
    """
    if status.st_uid not in (0, os.geteuid()):
        return f'belongs to the user {status.st_uid}, not to you ({os.geteuid()})'
    if status.st_mode & stat.S_IWOTH:
        return 'can be written by everybody'
    return ''


def read_text(path: Path, limit: int = SMALL) -> str:
    """Returns the text of a file.

    Raises:
        OSError: As ``read_bounded``.
        UnicodeDecodeError: It is no UTF-8.
    """
    return read_bounded(path, limit).decode()


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes a file that has its name once all of it is there; until then the one before stays.

    Raises:
        SegRosError: It cannot be written: the disk is full, say.
    """
    data = content.encode() if isinstance(content, str) else content
    target = path.resolve()  # a link stays one
    try:
        if target.exists() and not target.is_file():  # /dev/stdout, say
            target.write_bytes(data)
            return
        new = name_beside(target)
        try:
            new.write_bytes(data)
            new.replace(target)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        advice = 'Make room, or name another place.'
        raise SegRosError(f'{path} cannot be written: {error.strerror}. {advice}') from error


def append(path: Path, text: str) -> None:
    """Writes at the end of a file, all of it or nothing.

    Raises:
        SegRosError: It cannot be written: the disk is full, say.
    """
    size = path.stat().st_size
    try:
        with path.open('a', encoding='utf-8') as file:
            file.write(text)
    except OSError as error:
        os.truncate(path, size)
        msg = f'{path} cannot be written: {error.strerror}. Make room.'
        raise SegRosError(msg) from error


def name_beside(path: Path) -> Path:
    """Returns a name that nobody has, for what is to have another one once it is whole."""
    return path.with_name(f'.{path.stem}.{secrets.token_hex(4)}{path.suffix}')


def load_yaml(text: str) -> Any:
    """Returns what a YAML text says; what nests or multiplies itself without end is refused.

    Raises:
        yaml.YAMLError: Whatever is wrong with it.
    """
    loader = None
    try:
        loader = _PlainLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node)
        return loader.construct_document(node)
    except (ValueError, OverflowError, TypeError) as error:  # a date without a day, a huge number
        raise yaml.YAMLError(str(error)) from error
    finally:
        if loader is not None:
            loader.dispose()


if yaml.__with_libyaml__:

    class _Loader(  # PyYAML is not followed
        yaml.composer.Composer,  # type: ignore[misc]
        yaml.cyaml.CParser,  # type: ignore[misc]
        yaml.constructor.SafeConstructor,  # type: ignore[misc]
        yaml.resolver.Resolver,  # type: ignore[misc]
    ):
        """libyaml's parser, which takes a tenth of the time, and nothing else of it.

        The rest of ``yaml.CSafeLoader`` calls itself for each level, in C, so that 500 kB of
        brackets end the process.
        """

        def __init__(self, text: str) -> None:
            yaml.cyaml.CParser.__init__(self, text)
            yaml.composer.Composer.__init__(self)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

else:
    _Loader = yaml.SafeLoader  # type: ignore[misc]


class _PlainLoader(_Loader):
    """Refuses deep nesting before Python's own stack ends, and more values than there is room."""

    _depth = _count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self._depth == DEPTH:
            raise _refused(f'more than {DEPTH} levels', self.peek_event().start_mark)
        if self._count == MOST_NODES:
            raise _refused(f'more than {MOST_NODES} values', self.peek_event().start_mark)
        self._count += 1
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _check_size(root: Any) -> None:
    """Refuses references (``*name``) that make the text much larger, or lead to themselves."""
    known: dict[int, tuple[int, int]] = {}  # by node: values and levels, references followed
    above: set[int] = set()

    def extent(node: Any) -> tuple[int, int]:
        key = id(node)
        if key in known:
            return known[key]
        if key in above:
            raise _refused('a reference to itself', node.start_mark)
        above.add(key)
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            parts = [part for row in parts for part in row]
        extents = [extent(part) for part in parts]
        above.discard(key)
        size = 1 + sum(row[0] for row in extents)
        levels = 1 + max((row[1] for row in extents), default=0)
        if size > MOST_NODES or levels > DEPTH:
            words = f'what becomes more than {MOST_NODES} values or {DEPTH} levels'
            raise _refused(words, node.start_mark)
        known[key] = size, levels
        return size, levels

    extent(root)


def _refused(what: str, mark: Any) -> yaml.YAMLError:
    return yaml.composer.ComposerError(None, None, f'refused is {what}', mark)
