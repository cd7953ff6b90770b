# SPDX-License-Identifier: Apache-2.0
"""A GIF that moves is a video; one that does not is a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

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
