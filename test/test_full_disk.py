# SPDX-License-Identifier: Apache-2.0
"""On a full disk a command ends with a sentence and exit code 1, and nothing is cut.

No file may grow beyond a limit, which the kernel refuses as it does on a full disk; /dev/full
stands where a file is opened and then has no room.
"""

from __future__ import annotations

import ast
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from seg_ros.commands.golden.drives import GOLDEN_DRIVES, write_drive
from seg_ros.commands.record.recorder import BagWriter
from seg_ros.core.errors import SegRosError
from seg_ros.core.stop.config import StopConfig
from seg_ros.files import append, write_whole
from seg_ros.recordings.bag import BagRecording
from test.paths import REPOSITORY

# Who opens a file for writing without ``seg_ros.files``, and why nothing cut gets a name so
WRITERS = {
    'pictures/video_writer.py': 'to nowhere; a video gets its name behind its check',
    'recordings/zstandard.py': 'a copy in a temporary folder',
    'inference/tuning/memory.py': 'gets its name when it is whole',
    'inference/tensorrt/plan_cache.py': 'gets its name when it is whole',
    'replay/unfinished.py': 'in BAG.partial',
    'files.py': 'this is it',
    'commands/shared/told_process.py': 'a log',
    'commands/shared/children.py': 'a log',
    'commands/bench/process.py': 'a log',
    'commands/wrap/command.py': 'in a folder that gets its name when it is whole',
    'commands/faults/scene.py': 'in a temporary folder',
    'commands/bench/networks.py': 'in a temporary folder',
}
WRITES = {'write_text', 'write_bytes', 'imwrite', 'imwriteanimation', 'savez'}


@contextmanager
def room(size: int) -> Iterator[None]:
    """Lets no file grow beyond some bytes."""
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, handler)


def writers() -> set[str]:
    """The files of the package in which something is opened for writing."""
    found = set()
    package = REPOSITORY / 'seg_ros'
    for path in package.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            modes = [
                word.value
                for word in (*node.args, *(row.value for row in node.keywords))
                if isinstance(word, ast.Constant) and isinstance(word.value, str)
            ]
            opens = name == 'open' and any(set(mode) <= set('wxab+t') for mode in modes if mode)
            if opens or name in WRITES:
                found.add(path.relative_to(package).as_posix())
    return found


def test_all_that_writes_a_file_writes_it_whole_or_has_a_reason() -> None:
    assert writers() == set(WRITERS)


def test_a_file_that_does_not_fit_leaves_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / 'figures.json'
    write_whole(path, 'before')
    with room(1000), pytest.raises(SegRosError, match=r'json cannot be written: .* Make room'):
        write_whole(path, 'x' * 2000)
    assert path.read_text() == 'before'
    assert list(tmp_path.iterdir()) == [path]
    write_whole(path, 'after')
    assert path.read_text() == 'after'


def test_a_link_stays_one_and_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('before')
    (tmp_path / 'link').symlink_to('file')
    write_whole(tmp_path / 'link', 'after')
    assert (tmp_path / 'link').is_symlink()
    assert (tmp_path / 'file').read_text() == 'after'
    write_whole(Path('/dev/null'), 'x')
    with pytest.raises(SegRosError, match='/dev/full cannot be written: No space left'):
        write_whole(Path('/dev/full'), 'x')
    assert Path('/dev/full').is_char_device()


def test_a_line_that_does_not_fit_is_not_half_there(tmp_path: Path) -> None:
    path = tmp_path / 'legs.jsonl'
    path.write_text('{}\n')
    with room(1000), pytest.raises(SegRosError, match='cannot be written'):
        append(path, 'x' * 2000)
    assert path.read_text() == '{}\n'


@pytest.mark.parametrize('words', [['engines'], ['engines', '--json']], ids=' '.join)
def test_what_cannot_be_printed_is_an_error(words: list[str]) -> None:
    """Figures went to a full disk, and Python said so when it ended, if at all."""
    with Path('/dev/full').open('wb') as full:
        done = subprocess.run(
            [sys.executable, '-m', 'seg_ros.cli', *words],
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f'seg_ros {words[0]}: the disk is full. Make room.'


def test_a_reader_who_has_gone_makes_no_traceback() -> None:
    done = subprocess.run(
        ['bash', '-c', 'set -o pipefail; "$0" -m seg_ros.cli engines | true', sys.executable],
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ''


def test_a_recording_that_does_not_fit_has_no_name_but_what_there_is_can_be_read(
    tmp_path: Path,
) -> None:
    from rclpy.qos import QoSProfile

    writer = BagWriter(tmp_path / 'bag')
    writer.add_topic('/chatter', 'std_msgs/msg/String', QoSProfile(depth=1))
    with room(3_000_000):
        for number in range(20):
            writer.write('/chatter', number, b'\0\1\0\0\x04\x1a\x06\0' + os.urandom(400_000))
        writer.close()
    assert isinstance(writer.error, OSError)
    assert not (tmp_path / 'bag').exists()
    assert writer.place == tmp_path / 'bag.partial' / 'bag'
    recording = BagRecording(writer.place)
    assert 0 < len(list(recording.messages(['/chatter']))) < 20


def test_a_recording_that_fits_has_its_name_and_nothing_beside_it(tmp_path: Path) -> None:
    from rclpy.qos import QoSProfile

    writer = BagWriter(tmp_path / 'bag')
    writer.add_topic('/chatter', 'std_msgs/msg/String', QoSProfile(depth=1))
    writer.write('/chatter', 1, b'\0\1\0\0\x02\0\0\0x\0')
    writer.close()
    assert writer.error is None
    assert [path.name for path in tmp_path.iterdir()] == ['bag']
    assert sorted(path.name for path in (tmp_path / 'bag').iterdir()) == [
        'bag.mcap', 'metadata.yaml',
    ]  # fmt: skip


def test_a_golden_drive_that_does_not_fit_is_no_recording(tmp_path: Path) -> None:
    drive = replace(next(iter(GOLDEN_DRIVES.values())), seconds=1.0)
    with room(5_000), pytest.raises(OSError, match='File too large'):
        write_drive(tmp_path, drive, StopConfig(), lambda _: None)
    assert not (tmp_path / 'recording').exists()
    assert not (tmp_path / 'truth.json').exists()
