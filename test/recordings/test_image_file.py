# SPDX-License-Identifier: Apache-2.0
"""Pictures and label images as data sets and cameras have them, each with its right value."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from seg_ros.commands.evaluate.labelled_folder import labelled_pictures
from seg_ros.core.errors import ConfigurationError
from seg_ros.recordings.image_file import in_natural_order, labels_of_file
from seg_ros.recordings.opening import open_recording
from seg_ros.recordings.sources import SourceOptions, open_source

IDS = np.arange(12 * 16).reshape(12, 16).astype(np.uint8) // 20


def as_grey(path: Path) -> None:
    Image.fromarray(IDS).save(path)


def as_palette(path: Path, **more: Any) -> None:
    picture = Image.fromarray(IDS, 'P')
    picture.putpalette([value * 7 % 256 for value in range(768)])
    picture.save(path, **more)


def as_small_palette(path: Path) -> None:
    as_palette(path, bits=4)


def as_16_bits(path: Path) -> None:
    cv2.imwrite(str(path), IDS.astype(np.uint16))


def as_grey_with_alpha(path: Path) -> None:
    Image.fromarray(np.dstack([IDS, np.full_like(IDS, 255)]), 'LA').save(path)


def as_gif_named_png(path: Path) -> None:
    as_palette(path, format='GIF')


@pytest.mark.filterwarnings('ignore:.*mode.* parameter:DeprecationWarning')
@pytest.mark.parametrize(
    'save',
    [as_grey, as_palette, as_small_palette, as_16_bits, as_grey_with_alpha, as_gif_named_png],
)
def test_ids_are_read_from_whatever_keeps_them(
    tmp_path: Path, save: Callable[[Path], None]
) -> None:
    save(tmp_path / 'a.png')
    np.testing.assert_array_equal(labels_of_file(tmp_path / 'a.png'), IDS)


def colours(path: Path) -> None:
    Image.fromarray(np.dstack([IDS] * 3)).save(path)


def one_bit(path: Path) -> None:
    Image.fromarray(IDS == 3).save(path)


def jpeg(path: Path) -> None:
    Image.fromarray(IDS).save(path, format='JPEG')


def text(path: Path) -> None:
    path.write_text('version https://git-lfs.github.com/spec/v1')


def cut(path: Path) -> None:
    as_grey(path)
    path.write_bytes(path.read_bytes()[:60])


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ('save', 'message'),
    [
        (colours, 'Write the ids, not the colours'),
        (one_bit, 'black or white but no id'),
        (jpeg, 'Ids survive in a PNG'),
        (text, 'no label image'),
        (cut, 'no whole label image'),
        (pipe, 'pipe'),
    ],
)
def test_what_holds_no_ids_is_refused_with_what_to_do(
    tmp_path: Path, save: Callable[[Path], None], message: str
) -> None:
    save(tmp_path / 'a.png')
    with pytest.raises(ConfigurationError, match=message):
        labels_of_file(tmp_path / 'a.png')


@pytest.mark.parametrize(
    'ids',
    [
        IDS.astype(np.uint16) * 1000 + 1,
        IDS.astype(np.uint16) * 256 + 3,
        np.where(IDS == 9, np.uint16(300), IDS),
        np.where(IDS == 9, np.uint16(65535), IDS),
    ],
)
def test_ids_above_255_are_refused_and_never_taken_modulo_256(tmp_path: Path, ids: Any) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), ids)
    with pytest.raises(ConfigurationError, match=r'class ids are 0 to 254.*--instances'):
        labels_of_file(tmp_path / 'a.png')


def test_our_own_instances_are_read_as_the_classes_of_their_things(tmp_path: Path) -> None:
    codes = IDS.astype(np.uint16) * 1000
    codes[2:4, 3:9] += 7
    codes[0] = 65535
    cv2.imwrite(str(tmp_path / 'a.png'), codes)
    expected = IDS.copy()
    expected[0] = 255
    read = labels_of_file(tmp_path / 'a.png', are_instances=True)
    np.testing.assert_array_equal(read, expected)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), unique=True), st.sampled_from(['', 'img', 'a b-']))
def test_names_are_ordered_as_people_count(numbers: list[int], word: str) -> None:
    paths = [Path('folder') / f'{word}{number}.png' for number in numbers]
    expected = [Path('folder') / f'{word}{number}.png' for number in sorted(numbers)]
    assert in_natural_order(paths) == expected


@settings(deadline=None)
@given(st.lists(st.text('ab01².é', min_size=1).filter(lambda name: name not in ('.', '..'))))
def test_any_names_have_an_order_of_their_own(names: list[str]) -> None:
    paths = [Path(name) for name in names]
    assert in_natural_order(paths) == in_natural_order(paths[::-1])


def turned(path: Path) -> None:
    """A picture 16 wide and 12 high that asks to be turned to the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    shade = np.dstack([IDS * 20] * 3)
    how = (
        {'tiffinfo': exif}
        if path.suffix == '.tiff'
        else {'exif': exif, 'quality': 100, 'subsampling': 0}
    )
    Image.fromarray(shade).save(path, **how)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tiff'])
def test_replay_camera_and_evaluation_take_pixels_as_they_lie_and_say_so(
    tmp_path: Path, suffix: str
) -> None:
    turned(tmp_path / f'a.{suffix}')
    as_grey(tmp_path / 'a.label.png')
    (labelled,) = labelled_pictures(tmp_path)
    (tmp_path / 'a.label.png').unlink()

    recording = open_recording(tmp_path)
    (message,) = recording.messages(recording.topics)
    replayed = recording.picture(message)
    (frame,) = open_source(SourceOptions('images', str(tmp_path))).frames()
    evaluated = labelled.rgb()
    assert replayed.shape == (12, 16, 3)
    np.testing.assert_array_equal(frame.image, replayed)
    np.testing.assert_array_equal(evaluated, replayed)
    assert [f'a.{suffix}, and maybe others, asks to be turned (EXIF)' in s
            for s in (*recording.trouble, labelled.note())] == [True, True]  # fmt: skip


def test_labels_in_a_tiff_that_asks_to_be_turned_lie_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(IDS).save(tmp_path / 'a.tiff', tiffinfo={0x0112: 6})
    np.testing.assert_array_equal(labels_of_file(tmp_path / 'a.tiff'), IDS)


def test_the_content_decides_and_the_suffix_does_not(tmp_path: Path) -> None:
    shade = np.dstack([IDS * 20] * 3)
    for number, kind in enumerate(('PNG', 'JPEG', 'WEBP', 'AVIF', 'BMP')):
        Image.fromarray(shade).save(tmp_path / f'img{number}.jpg', format=kind, quality=100)
    Image.fromarray(shade).save(tmp_path / 'img10', format='PNG')
    (tmp_path / 'img11.png').write_bytes(b'')
    recording = open_recording(tmp_path)
    pictures = [recording.picture(row) for row in recording.messages(recording.topics)]
    assert len(pictures) == 6
    assert all(np.abs(picture.astype(int) - shade).mean() < 4 for picture in pictures)
    assert recording.trouble == [
        f'{tmp_path / "img11.png"} is left out: by its content it is no image that can be read.'
    ]


def test_a_folder_is_played_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    for number in (10, 2, 1, 33, 4):
        cv2.imwrite(str(tmp_path / f'img{number}.png'), np.full((8, 8, 3), number, np.uint8))
    frames = open_source(SourceOptions('images', str(tmp_path))).frames()
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 4, 10, 33]


def test_a_bomb_in_a_folder_is_skipped_with_its_name(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((8, 8, 3), np.uint8))
    buffer = io.BytesIO()
    Image.new('1', (8000, 8000)).save(buffer, format='WEBP', lossless=True)
    (tmp_path / 'b.webp').write_bytes(buffer.getvalue())
    frames = list(open_source(SourceOptions('images', str(tmp_path))).frames())
    assert len(frames) == 1


def test_a_label_image_of_another_size_than_its_picture_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((24, 32, 3), np.uint8))
    as_grey(tmp_path / 'a.label.png')
    (labelled,) = labelled_pictures(tmp_path)
    with pytest.raises(ConfigurationError, match=r'a\.label\.png is 16x12, .* a\.png 32x24'):
        labelled.rgb_and_labels()
