# SPDX-License-Identifier: Apache-2.0
"""Videos as other people have them: pauses, a variable rate, a damaged middle, no end."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.picture_files import VideoRecording
from test.recordings.pictures import flat, write_video

RATE_HZ = 10.0
PAUSE_S = 3.0


def with_pause(path: Path, before: int, after: int) -> Path:
    """Has an mp4 file show its picture before the pause for longer."""
    data = path.read_bytes().replace(b'edts', b'free')  # else it would end when it did
    at = data.index(b'stts') + 4
    _, entries, count, delta = struct.unpack_from('>IIII', data, at)
    assert (entries, count) == (1, before + after)
    longer = delta + round(PAUSE_S * RATE_HZ * delta)
    rows = struct.pack('>8I', 0, 3, before - 1, delta, 1, longer, after, delta)
    made = bytearray(data[:at] + rows + data[at + 16 :])
    for box in (b'moov', b'trak', b'mdia', b'minf', b'stbl', b'stts'):
        place = made.index(box) - 4
        (size,) = struct.unpack_from('>I', made, place)
        struct.pack_into('>I', made, place, size + len(rows) - 16)
    path.write_bytes(made)
    return path


def shown_s(video: VideoRecording) -> list[float]:
    return [row.recorded_ns / NS_PER_S for row in video.messages(video.topics)]


def test_pictures_are_shown_at_their_own_times(tmp_path: Path) -> None:
    file = write_video(tmp_path / 'a.mp4', [flat((n * 10, 0, 0)) for n in range(20)], RATE_HZ)
    video = VideoRecording(with_pause(file, 10, 10))
    wanted = [n / RATE_HZ + (PAUSE_S if n >= 10 else 0.0) for n in range(20)]
    assert shown_s(video) == pytest.approx(wanted, abs=0.002)
    assert video.trouble == []
    assert shown_s(VideoRecording(file, rate_hz=5.0)) == [n / 5.0 for n in range(20)]


@pytest.mark.parametrize('rate_hz', [None, 5.0])
def test_a_video_without_its_end_says_where_it_ends(tmp_path: Path, rate_hz: float | None) -> None:
    file = tmp_path / 'a.avi'
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*'MJPG'), RATE_HZ, (64, 48))
    for number in range(40):
        writer.write(np.full((48, 64, 3), number, np.uint8))
    writer.release()
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    video = VideoRecording(file, rate_hz)
    found = shown_s(video)
    assert 5 < len(found) < 35
    assert 'it is cut off or damaged' in video.trouble[0]
    assert f'is at {(len(found) - 1) / RATE_HZ:.1f} s' in video.trouble[0]
    assert (
        f'Of 40 pictures that the header of {file} counts {len(found)} can be' in video.trouble[1]
    )


@pytest.mark.parametrize('rate_hz', [None, 5.0])
@pytest.mark.parametrize(('number', 'left'), [(18, 18), (15, 15), (2, 2)])
def test_pictures_that_the_header_has_lost_are_counted(
    tmp_path: Path, number: int, left: int, rate_hz: float | None
) -> None:
    """However few: a size in the table that cannot be ends the reading there."""
    file = write_video(tmp_path / 'a.mp4', [flat((n * 10, 0, 0)) for n in range(20)], RATE_HZ)
    data = bytearray(file.read_bytes())
    sizes = data.index(b'stsz') + 16
    struct.pack_into('>I', data, sizes + 4 * number, 0x7FFFFFFF)
    file.write_bytes(data)
    video = VideoRecording(file, rate_hz)
    assert len(shown_s(video)) == left
    assert f'Of 20 pictures that the header of {file} counts {left} can be' in video.trouble[-1]


@pytest.mark.parametrize(('share', 'advice'), [(0.5, 'untrunc WHOLE.mp4'), (1.0, 'ffmpeg -i')])
def test_a_video_whose_index_was_cut_off_is_refused_with_what_mends_it(
    tmp_path: Path, share: float, advice: str
) -> None:
    file = write_video(tmp_path / 'a.mp4', [flat((n * 10, 0, 0)) for n in range(20)], RATE_HZ)
    data = file.read_bytes()
    assert data.index(b'moov') > len(data) * 0.5
    made = data[: int(len(data) * share)]
    file.write_bytes(made.replace(b'stsd', b'free'))  # the index is there, but of no use
    with pytest.raises(ConfigurationError, match=advice):
        VideoRecording(file)


def test_behind_a_damaged_middle_it_is_read_on_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_video(tmp_path / 'a.mp4', [flat((n * 10, 0, 0)) for n in range(20)], RATE_HZ)
    real = cv2.VideoCapture

    class Damaged:
        """Fails as FFMPEG does where packets are no pictures."""

        def __init__(self, path: str, *how: Any) -> None:
            self._capture, self._number = real(path, *how), 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._capture, name)

        def read(self) -> tuple[bool, Any]:
            self._number += 1
            good, bgr = self._capture.read()
            return (False, None) if 8 <= self._number < 12 else (good, bgr)

    monkeypatch.setattr(cv2, 'VideoCapture', Damaged)
    video = VideoRecording(file)
    wanted = [n / RATE_HZ for n in range(20) if not 7 <= n < 11]
    assert shown_s(video) == pytest.approx(wanted, abs=0.002)
    assert 'is damaged; it is read on behind that' in video.trouble[0]


def test_a_video_without_times_goes_by_its_rate_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_video(tmp_path / 'a.mp4', [flat((n * 10, 0, 0)) for n in range(5)], RATE_HZ)
    real = cv2.VideoCapture

    class Timeless:
        """A backend that does not know presentation times."""

        def __init__(self, path: str, *how: Any) -> None:
            self._capture = real(path, *how)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._capture, name)

        def get(self, what: int) -> float:
            return 0.0 if what == cv2.CAP_PROP_POS_MSEC else self._capture.get(what)

    monkeypatch.setattr(cv2, 'VideoCapture', Timeless)
    video = VideoRecording(file)
    assert shown_s(video) == pytest.approx([n / RATE_HZ for n in range(5)])
    assert 'have no times that go on' in video.trouble[0]
