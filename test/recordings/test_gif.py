# SPDX-License-Identifier: Apache-2.0
"""A GIF that moves is a video; one that does not is a picture, and so is what else moves."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from seg_ros.recordings.opening import open_recording
from seg_ros.recordings.picture_files import FolderRecording, VideoRecording
from test.recordings.pictures import write_gif


def test_a_gif_that_moves_is_a_video_with_all_of_its_pictures(tmp_path: Path) -> None:
    recording = open_recording(write_gif(tmp_path / 'drive.gif', 12))
    assert isinstance(recording, VideoRecording)
    (topic,) = recording.topics
    messages = list(recording.messages([topic]))
    assert len(messages) == 12
    greys = [int(recording.picture(row)[5, 5, 0]) for row in messages]
    assert greys == sorted(set(greys))
    assert messages[1].recorded_ns - messages[0].recorded_ns == pytest.approx(1e8, rel=0.05)


def test_a_gif_of_one_picture_is_an_image(tmp_path: Path) -> None:
    recording = open_recording(write_gif(tmp_path / 'still.gif', 1))
    assert isinstance(recording, FolderRecording)


def test_a_gif_is_known_by_its_content(tmp_path: Path) -> None:
    assert isinstance(open_recording(write_gif(tmp_path / 'drive.dat', 3)), VideoRecording)


@pytest.mark.parametrize('kind', ['gif', 'webp', 'png', 'tiff', 'avif'])
@pytest.mark.parametrize('count', [1, 3])
def test_of_a_picture_that_moves_in_a_folder_the_first_is_taken_and_that_is_told(
    kind: str, count: int, tmp_path: Path
) -> None:
    first, *others = (
        Image.new('RGB', (64, 48), (grey, 90, 200)) for grey in (0, 120, 240)[:count]
    )
    with_others = {'save_all': True, 'append_images': others} if others else {}
    first.save(tmp_path / f'a.{kind}', **with_others)
    recording = open_recording(tmp_path)
    (message,) = recording.messages(recording.topics)
    assert abs(int(recording.picture(message)[24, 32, 0])) < 20  # that of the first
    told = any('holds several pictures; the first one is taken' in x for x in recording.trouble)
    assert told is (count > 1)
