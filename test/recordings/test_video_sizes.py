# SPDX-License-Identifier: Apache-2.0
"""Videos whose pictures get another size on their way, which OpenCV stretches without a word."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from seg_ros.recordings.picture_files import VideoRecording
from seg_ros.recordings.video_sizes import SizeChange, first_size_change
from test.recordings.pictures import flat, write_video

RATE_HZ = 10.0
SMALL, LARGE = (64, 48), (128, 96)

# One grey picture each, made by x264 and x265: parameter sets and a key frame. 'other' is as
# small, but its parameter sets say another level.
PICTURES = {
    ('h264', 'small'): '000000016742c00adc47a1000003000100000300140f1227800000000168ce0fc80000'
    '00016588843a272727275d75d75d75d780',
    ('h264', 'other'): '000000016742c028dc47a1000003000100000300140f1833800000000168ce0fc80000'
    '00016588843a272727275d75d75d75d780',
    ('h264', 'large'): '000000016742c00adc20da1000000300100000030140f122780000000168ce0fc80000'
    '00016588843a27272727272727275d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d780',
    ('hevc', 'small'): '0000000140010c01ffff0408000003009fa800000300001eba02400000000142010104'
    '08000003009fa800000300001ea02083165ba4a4c2e68080000003008000000504000000014401c07181120000'
    '00012801ade0d11cf6acaebd80',
    ('hevc', 'other'): '0000000140010c01ffff2408000003009fa8000003000078ba02400000000142010124'
    '08000003009fa8000003000078a02083165ba4a4c2e68080000003008000000504000000014401c073c0890000'
    '00012801ade0d11cf6acaebd80',
    ('hevc', 'large'): '0000000140010c01ffff0408000003009fa800000300001eba02400000000142010104'
    '08000003009fa800000300001ea010206165ba4a4c2e68080000030008000003005040000000014401c0718312'
    '000000012801addb92d11c447b08072e93ee80086a00f8',
}


def of_pictures(path: Path, *names: str) -> Path:
    """Writes an elementary stream of ``PICTURES``."""
    kind = path.suffix[1:]
    path.write_bytes(b''.join(bytes.fromhex(PICTURES[kind, name]) for name in names))
    return path


def joined(path: Path, *parts: tuple[int, tuple[int, int]]) -> Path:
    """Writes transport streams of MPEG-4 one behind another, as a recorder does that restarts."""
    data = b''
    for count, size_wh in parts:
        part = write_video(path, [flat((n * 10, 0, 0), size_wh) for n in range(count)], RATE_HZ)
        data += part.read_bytes()
    path.write_bytes(data)
    return path


def shown(video: VideoRecording) -> int:
    return len(list(video.messages(video.topics)))


def test_a_video_is_read_up_to_where_its_pictures_get_another_size(tmp_path: Path) -> None:
    file = joined(tmp_path / 'a.ts', (10, SMALL), (10, LARGE))
    video = VideoRecording(file)
    assert shown(video) == 10
    assert len(video.trouble) == 1
    assert f'{file} is read up to its picture 10, at 0.9 s' in video.trouble[0]
    assert 'has 128x96 pixels instead of 64x48' in video.trouble[0]
    assert 'ffmpeg -i FILE -vf scale=64:48' in video.trouble[0]


@pytest.mark.parametrize('kind', ['h264', 'hevc'])
def test_only_another_size_ends_it_and_not_another_parameter_set(
    tmp_path: Path, kind: str
) -> None:
    names = ['small'] * 6 + ['other'] * 4 + ['small'] * 2
    same = VideoRecording(of_pictures(tmp_path / f'same.{kind}', *names))
    assert shown(same) == 12
    assert not any('read up to' in sentence for sentence in same.trouble)
    changed = VideoRecording(of_pictures(tmp_path / f'a.{kind}', *names, *['large'] * 5))
    assert shown(changed) == 12
    assert 'has 128x96 pixels instead of 64x48' in changed.trouble[-1]
    file = of_pictures(tmp_path / f'b.{kind}', *['large'] * 3, *['small'] * 5)
    assert first_size_change(file) == SizeChange(3, 0.0, LARGE, SMALL)


def test_parts_of_one_size_are_read_to_the_end(tmp_path: Path) -> None:
    video = VideoRecording(joined(tmp_path / 'a.ts', (10, SMALL), (10, SMALL)))
    assert shown(video) == 20
    assert not any('read up to' in sentence for sentence in video.trouble)


def test_of_a_video_whose_pictures_get_too_large_none_is_decoded_and_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = VideoRecording(joined(tmp_path / 'a.ts', (3, SMALL), (2, LARGE)))
    video.max_image_pixels = SMALL[0] * SMALL[1]
    monkeypatch.setattr(cv2, 'cvtColor', None)  # no picture comes so far
    assert shown(video) == 0
    assert len(video.trouble) == 1
    assert 'is not read: its picture 4 and maybe others are too large' in video.trouble[0]
    assert 'The image is 128x96 pixels, allowed are 3072' in video.trouble[0]
    assert 'ffmpeg -i FILE -frames:v 3 new.mp4' in video.trouble[0]


def test_a_parameter_set_waits_for_the_picture_that_tells_its_size(tmp_path: Path) -> None:
    """A broken one tells nothing, is not taken for a size, and the next good one ends the wait."""
    small, large = (bytes.fromhex(PICTURES['h264', name]) for name in ('small', 'large'))
    broken = large[:6] + large[large.index(b'\x00\x00\x00\x01\x68') :]
    file = tmp_path / 'a.h264'
    file.write_bytes(small * 3 + broken + small * 3 + large * 2)
    change = first_size_change(file)
    assert change is not None
    assert (change.number, change.after) == (7, LARGE)


def test_a_change_has_come_by_its_time_where_pictures_before_it_are_lost() -> None:
    change = SizeChange(10, 1000.0, SMALL, LARGE)
    assert not change.has_come(7, 900.0)
    assert change.has_come(7, 1000.0)
    assert change.has_come(10, 0.0)
    assert not SizeChange(10, 0.0, SMALL, LARGE).has_come(7, 1000.0)


def test_what_is_wanted_alone_is_looked_at(tmp_path: Path) -> None:
    file = joined(tmp_path / 'a.ts', (10, SMALL), (10, LARGE))
    change = first_size_change(file)
    assert change is not None
    assert change.number == 10
    if cv2_tells_times():
        assert first_size_change(file, until_ms=0.5 * 10 / RATE_HZ * 1e3) is None
    assert first_size_change(file, until_ms=1e6) == change


def cv2_tells_times() -> bool:
    """Whether raw packets have times: before OpenCV 4.6 they have none."""
    major, minor = (int(part) for part in cv2.__version__.split('.')[:2])
    return (major, minor) >= (4, 6)


def test_each_picture_of_a_motion_jpeg_says_its_size(tmp_path: Path) -> None:
    small, large = (
        cv2.imencode('.jpg', flat((20, 30, 40), size_wh))[1].tobytes()
        for size_wh in (SMALL, LARGE)
    )
    file = tmp_path / 'a.mjpeg'
    file.write_bytes(small * 6)
    assert first_size_change(file) is None
    file.write_bytes(small * 6 + large * 4)
    change = first_size_change(file)
    assert change is not None
    assert (change.number, change.before, change.after) == (6, SMALL, LARGE)
    video = VideoRecording(file)
    assert shown(video) == 6
    assert 'has 128x96 pixels instead of 64x48' in video.trouble[-1]


@pytest.mark.parametrize('code', ['VP80'])
def test_of_other_codecs_nothing_is_said(tmp_path: Path, code: str) -> None:
    file = tmp_path / 'a.avi'
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*code), RATE_HZ, SMALL)
    for number in range(5):
        writer.write(flat((number * 10, 0, 0)))
    writer.release()
    assert first_size_change(file) is None
