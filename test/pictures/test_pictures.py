# SPDX-License-Identifier: Apache-2.0
"""The pictures for people: the right pictures, colours and sizes; a video that opens again."""

from __future__ import annotations

import resource
import signal
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.pictures import video_writer
from seg_ros.pictures.annotated_frame import AnnotatedFrame
from seg_ros.pictures.contact_sheet import contact_sheet, evenly
from seg_ros.pictures.drawing import (
    BACKGROUND,
    BOLD,
    REGULAR,
    TEXT,
    Box,
    blank,
    draw_text,
    paste,
    text_width,
)
from seg_ros.pictures.moment import PicturedMoment
from seg_ros.pictures.picture_file import write_picture
from seg_ros.pictures.video_writer import FORMATS, VideoFormat, VideoWriter, best_format
from test.recordings.pictures import flat

RED, GREEN = (220, 30, 30), (30, 220, 30)
LABEL_MAP = LabelMap(
    (LabelClass(0, 'road', (128, 64, 128)), LabelClass(3, 'lane_marking', (250, 240, 90)))
)
MP4 = next(row for row in FORMATS if row.fourcc == 'mp4v')


def moment(accuracy: float | None = None, size_wh: tuple[int, int] = (64, 48)) -> PicturedMoment:
    return PicturedMoment(flat(RED, size_wh), flat(GREEN, size_wh), 3.25, 24.4, accuracy)


def share_of(picture: NDArray[np.uint8], rgb: tuple[int, int, int]) -> float:
    return float((picture == rgb).all(axis=2).mean())


def test_a_caption_tells_time_latency_and_what_is_right() -> None:
    assert moment(0.987).caption() == '3.2 s   24 ms   98.7% right'
    assert moment().caption() == '3.2 s   24 ms'


def test_the_annotated_frame_shows_camera_and_result_in_halves_over_the_legend() -> None:
    layout = AnnotatedFrame('tiny on canned', LABEL_MAP, (64, 48))
    picture = layout.draw(moment())
    middle = picture.shape[1] // 2
    assert share_of(picture[:, :middle], RED) > 0.7
    assert share_of(picture[:, middle:], GREEN) > 0.7
    for row in LABEL_MAP.classes:
        assert share_of(picture[-60:], row.colour_rgb) > 0.001


@pytest.mark.parametrize('size_wh', [(640, 360), (641, 359), (97, 333), (1920, 1080)])
def test_the_annotated_frame_has_an_even_size_for_every_camera(size_wh: tuple[int, int]) -> None:
    layout = AnnotatedFrame('tiny on canned', LABEL_MAP, size_wh)
    picture = layout.draw(moment(size_wh=size_wh))
    assert picture.shape == (layout.size_wh[1], layout.size_wh[0], 3)
    assert not any(side % 2 for side in layout.size_wh)


@pytest.mark.parametrize('count', [1, 3, 4, 12])
def test_the_contact_sheet_shows_every_moment_and_the_legend(count: int) -> None:
    sheet = contact_sheet('seg_ros', 'figures', [moment()] * count, LABEL_MAP)
    assert share_of(sheet, RED) == pytest.approx(share_of(sheet, GREEN))
    cell = contact_sheet('seg_ros', 'figures', [moment()], LABEL_MAP)
    pixels = share_of(sheet, RED) * sheet.size, share_of(cell, RED) * cell.size
    assert pixels[0] == pytest.approx(count * pixels[1])
    for row in LABEL_MAP.classes:
        assert share_of(sheet, row.colour_rgb) > 0.0


@given(count=st.integers(1, 20), of=st.integers(1, 1000))
def test_even_indices_are_rising_and_spread_over_all(count: int, of: int) -> None:
    indices = evenly(count, of)
    assert len(indices) == min(count, of)
    assert indices == sorted(set(indices))
    assert indices[0] >= 0
    assert indices[-1] < of
    assert indices[0] + indices[-1] in (of - 1, of, of - 2)


def test_a_picture_is_pasted_as_large_as_it_fits_in_the_middle() -> None:
    canvas = blank(100, 60)
    paste(canvas, flat(RED, (20, 10)), Box(10, 5, 80, 50))
    assert share_of(canvas[10:50, 10:90], RED) == 1.0
    assert share_of(canvas, BACKGROUND) == pytest.approx(1.0 - 80 * 40 / 6000)


@pytest.mark.parametrize('size_px', [16, 20, 34])
@pytest.mark.parametrize('pen', [REGULAR, BOLD])
@pytest.mark.parametrize('align', ['left', 'right'])
def test_text_keeps_to_its_measured_width(
    size_px: int, pen: float, align: Literal['left', 'right']
) -> None:
    canvas = blank(900, 80)
    draw_text(canvas, '24 ms right', (450, 50), size_px, TEXT, pen, align)
    columns = np.flatnonzero((canvas != BACKGROUND).any(axis=(0, 2)))
    rows = np.flatnonzero((canvas != BACKGROUND).any(axis=(1, 2)))
    width = text_width('24 ms right', size_px, pen)
    start = 450 if align == 'left' else 450 - width
    slack = 2 + round(size_px * pen)
    assert start - slack <= columns.min() <= start + 0.3 * size_px
    assert start + width - 0.3 * size_px <= columns.max() <= start + width + slack
    assert 50 - size_px - slack <= rows.min() < 50 - 0.5 * size_px
    assert share_of(canvas, TEXT) > 0.0


@pytest.mark.parametrize('at_xy', [(-40, 20), (90, 20), (20, 2), (20, 79), (500, 500)])
def test_text_beyond_the_border_is_cut_off(at_xy: tuple[int, int]) -> None:
    canvas = blank(120, 80)
    draw_text(canvas, '24 ms right', at_xy, 20)
    assert canvas.shape == (80, 120, 3)


def test_the_best_format_writes_a_video_that_opens_again(tmp_path: Path) -> None:
    row = best_format()
    with VideoWriter(tmp_path / 'drive', row, (320, 240), 10.0) as writer:
        for rgb in (RED, GREEN, RED):
            writer.write(flat(rgb, (320, 240)))
    assert writer.path == tmp_path / f'drive{row.suffix}'
    capture = cv2.VideoCapture(str(writer.path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10.0, abs=0.1)
    for rgb in (RED, GREEN, RED):
        good, bgr = capture.read()
        assert good
        np.testing.assert_allclose(bgr[120, 160, ::-1], rgb, atol=12)
    assert not capture.read()[0]


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    with (
        VideoWriter(tmp_path / 'drive', MP4, (320, 240), 10.0) as writer,
        pytest.raises(ValueError, match=r'\(320, 240\)'),
    ):
        writer.write(flat(RED, (240, 320)))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r'drive\.mp4 was to be written'):
        VideoWriter(tmp_path / 'nowhere' / 'drive', MP4, (320, 240), 10.0)


def test_an_opencv_without_encoders_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_writer, 'FORMATS', (VideoFormat('.mp4', 'NONE', 30.0, 'nothing'),))
    with pytest.raises(ConfigurationError, match='no encoder'):
        best_format()


def test_a_video_that_a_full_disk_cut_is_an_error(tmp_path: Path) -> None:
    """OpenCV's writer says nothing: the video ended in silence, and the exit code was 0."""
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    random = np.random.default_rng(1)

    def write() -> None:
        with VideoWriter(tmp_path / 'full', best_format(), (320, 240), 10.0) as writer:
            for _ in range(30):
                writer.write(random.integers(0, 255, (240, 320, 3), np.uint8))

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, kept[1]))
        with pytest.raises(SegRosError, match=r'no whole video: .* of its 30 pictures'):
            write()
        assert list(tmp_path.iterdir()) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_picture_that_does_not_fit_on_the_disk_is_an_error(tmp_path: Path) -> None:
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, kept[1]))
        with pytest.raises(SegRosError, match='cannot be written: File too large'):
            write_picture(tmp_path / 'full.png', noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, handler)
