# SPDX-License-Identifier: Apache-2.0
"""A video becomes the moving picture of a page."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.pictures.moving_picture import RATE_HZ, WIDTH_PX, write_moving_picture
from seg_ros.pictures.video_writer import VideoWriter, best_format


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Two seconds at 10 Hz that become brighter."""
    with VideoWriter(tmp_path / 'drive', best_format(), (320, 180), 10.0) as writer:
        for index in range(20):
            writer.write(np.full((180, 320, 3), 10 * index, np.uint8))
    return writer.path


def test_it_has_the_rate_and_width_of_a_page_and_the_span_that_was_asked_for(
    video: Path, tmp_path: Path
) -> None:
    picture = tmp_path / 'drive.webp'
    count = write_moving_picture(video, picture, (1.0, 2.0))
    assert count == pytest.approx(1.0 * RATE_HZ, abs=1)
    _, animation = cv2.imreadanimation(str(picture))
    assert len(animation.frames) == count
    assert set(animation.durations) == {1000 / RATE_HZ}
    assert animation.frames[0].shape[1] == WIDTH_PX
    assert np.mean(animation.frames[0][..., :3]) == pytest.approx(100.0, abs=12.0)
    assert np.mean(animation.frames[-1][..., :3]) > 150.0


def test_a_file_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'drive.webm').write_bytes(b'no video')
    with pytest.raises(ConfigurationError, match='no picture of it can be read'):
        write_moving_picture(tmp_path / 'drive.webm', tmp_path / 'drive.webp')
    assert not (tmp_path / 'drive.webp').exists()


def test_an_opencv_that_cannot_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, 'imencodeanimation', raising=False)
    with pytest.raises(ConfigurationError, match=r'Take 4\.12 or newer'):
        write_moving_picture(tmp_path / 'drive.webm', tmp_path / 'drive.webp')
