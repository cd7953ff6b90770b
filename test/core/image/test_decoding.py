# SPDX-License-Identifier: Apache-2.0
"""Every encoding against a picture made another way, and every way in which a frame is broken."""

from __future__ import annotations

import io
import struct
import zlib
from array import array

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from seg_ros.core.errors import FrameError
from seg_ros.core.image.camera_image import CameraImage
from seg_ros.core.image.decoding import decode_compressed, decode_raw
from seg_ros.core.image.pixel_formats import PIXEL_FORMATS

Image = NDArray[np.uint8]

SIZE_WH = (24, 16)


def blocks_rgb(size_wh: tuple[int, int] = SIZE_WH, seed: int = 7) -> Image:
    """Random flat colours in 8x8 blocks, so that shared colours of YUV and Bayer stay exact."""
    width, height = size_wh
    colours = np.random.default_rng(seed).integers(
        30, 220, (-(-height // 8), -(-width // 8), 3), np.uint8
    )
    return np.repeat(np.repeat(colours, 8, axis=0), 8, axis=1)[:height, :width]


def yuv_from_rgb(rgb: Image) -> tuple[Image, Image, Image]:
    """BT.601, limited range, written out."""
    r, g, b = (rgb[..., i].astype(float) for i in range(3))
    y = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
    u = 128 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255
    v = 128 + (112.0 * r - 93.786 * g - 18.214 * b) / 255
    return tuple(np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in (y, u, v))


def bayer_from_rgb(rgb: Image, pattern: str) -> Image:
    mosaic = np.empty(rgb.shape[:2], np.uint8)
    for i, colour in enumerate(pattern):
        mosaic[i // 2 :: 2, i % 2 :: 2] = rgb[i // 2 :: 2, i % 2 :: 2, 'rgb'.index(colour)]
    return mosaic


def packed_422(rgb: Image, order: str) -> Image:
    y, u, v = yuv_from_rgb(rgb)
    values = {'y': [y[:, ::2], y[:, 1::2]], 'u': [u[:, ::2]], 'v': [v[:, ::2]]}
    return np.stack([values[letter].pop(0) for letter in order], axis=-1)


def encoded(rgb: Image, encoding: str) -> list[NDArray[np.uint8 | np.uint16]]:
    """The planes of a picture in an encoding, one array ``(rows, values)`` per plane."""
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 9, np.uint8)])
    match encoding:
        case 'rgb8':
            return [rgb]
        case 'bgr8' | '8UC3':
            return [rgb[..., ::-1]]
        case 'rgba8':
            return [rgba]
        case 'bgra8' | '8UC4':
            return [rgba[..., [2, 1, 0, 3]]]
        case 'mono8' | '8UC1':
            return [rgb[..., 0]]
        case 'yuv422' | 'uyvy':
            return [packed_422(rgb, 'uyvy')]
        case 'yuv422_yuy2' | 'yuyv':
            return [packed_422(rgb, 'yuyv')]
        case 'nv12' | 'nv21' | 'nv24':
            y, u, v = yuv_from_rgb(rgb)
            pair = (v, u) if encoding == 'nv21' else (u, v)
            every = 1 if encoding == 'nv24' else 2
            return [y, np.stack([plane[::every, ::every] for plane in pair], axis=-1)]
    if encoding.startswith('bayer_') and encoding.endswith('8'):
        return [bayer_from_rgb(rgb, encoding[6:10])]
    assert encoding.endswith('16'), f'the test does not know how to make {encoding}'
    # The low byte is noise, which must not be seen.
    (plane,) = encoded(rgb, encoding.replace('16', '8'))
    return [plane.astype(np.uint16) << 8 | 0x5A]


def laid_out(planes: list[NDArray[np.uint8]], padding: int, junk: int = 0xEE) -> tuple[bytes, int]:
    """The bytes of planes with padded rows, and the step of the first."""
    step = planes[0].shape[1] + padding
    rows = []
    for plane in planes:
        ratio = plane.shape[1] // planes[0].shape[1]
        tail = np.full((plane.shape[0], ratio * step - plane.shape[1]), junk, np.uint8)
        rows.append(np.hstack([plane, tail]).tobytes())
    return b''.join(rows), step


def as_bytes(plane: NDArray[np.uint8 | np.uint16], order: str = '<') -> Image:
    """The bytes of each row."""
    ordered = np.ascontiguousarray(plane.astype(plane.dtype.newbyteorder(order)))
    return ordered.reshape(len(plane), -1).view(np.uint8)


def decode(
    rgb: Image, encoding: str, padding: int = 0, junk: int = 0xEE, order: str = '<'
) -> CameraImage:
    planes = [as_bytes(plane, order) for plane in encoded(rgb, encoding)]
    data, step = laid_out(planes, padding, junk)
    height, width = rgb.shape[:2]
    return decode_raw(
        data, width=width, height=height, step=step, encoding=encoding, is_bigendian=order == '>'
    )


def decode_rgb8(data: object, **changed: object) -> CameraImage:
    arguments = {'width': 4, 'height': 3, 'step': 12, 'encoding': 'rgb8', 'is_bigendian': False}
    return decode_raw(data, **{**arguments, **changed})


def refused(data: object = bytes(36), **changed: object) -> FrameError:
    with pytest.raises(FrameError) as caught:
        decode_rgb8(data, **changed)
    return caught.value


def expected_rgb(rgb: Image, encoding: str) -> Image:
    grey = encoding in {'mono8', 'mono16', '8UC1'}
    return np.repeat(rgb[..., :1], 3, axis=2) if grey else rgb


@pytest.mark.parametrize('encoding', PIXEL_FORMATS)
def test_every_encoding_shows_the_picture_that_went_in(encoding: str) -> None:
    rgb = blocks_rgb()
    got = decode(rgb, encoding).rgb()
    difference = np.abs(got.astype(int) - expected_rgb(rgb, encoding))
    if 'bayer' in encoding:  # demosaicing mixes neighbours at the edges of the blocks
        difference = difference.reshape(2, 8, 3, 8, 3)[:, 2:6, :, 2:6]
    is_yuv = encoding[0] in 'uyn'
    assert difference.max() <= (3 if is_yuv else 0)


@pytest.mark.parametrize('encoding', PIXEL_FORMATS)
@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(2, 9).map(lambda half: 2 * half),
    height=st.integers(2, 9).map(lambda half: 2 * half),
    padding=st.integers(1, 40),
    junk=st.integers(0, 255),
    seed=st.integers(0, 1000),
    half=st.booleans(),
)
def test_row_padding_never_changes_the_picture(
    encoding: str, width: int, height: int, padding: int, junk: int, seed: int, half: bool
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    size_wh = (width // 2, height // 2) if half else None
    tight = decode(rgb, encoding).rgb(size_wh)
    padded = decode(rgb, encoding, padding, junk).rgb(size_wh)
    np.testing.assert_array_equal(padded, tight)


@pytest.mark.parametrize('name', [name for name in PIXEL_FORMATS if name.endswith('16')])
def test_16_bit_values_are_read_in_the_byte_order_that_the_message_says(name: str) -> None:
    rgb = blocks_rgb()
    little = decode(rgb, name, order='<').rgb()
    np.testing.assert_array_equal(decode(rgb, name, order='>').rgb(), little)
    assert not np.array_equal(
        decode_raw(
            as_bytes(encoded(rgb, name)[0]).tobytes(),
            width=24,
            height=16,
            step=as_bytes(encoded(rgb, name)[0]).shape[1],
            encoding=name,
            is_bigendian=True,
        ).rgb(),
        little,
    )


@pytest.mark.parametrize(
    'name', [name for name, row in PIXEL_FORMATS.items() if row.value_bytes == 1]
)
def test_a_wrong_endianness_flag_is_harmless_for_8_bit(name: str) -> None:
    rgb = blocks_rgb()
    np.testing.assert_array_equal(decode(rgb, name, order='>').rgb(), decode(rgb, name).rgb())


@pytest.mark.parametrize('encoding', PIXEL_FORMATS)
def test_decoding_copies_nothing(encoding: str) -> None:
    planes = [as_bytes(plane) for plane in encoded(blocks_rgb(), encoding)]
    data, step = laid_out(planes, padding=5)
    data = array('B', data)
    image = decode_raw(data, width=24, height=16, step=step, encoding=encoding, is_bigendian=False)
    assert all(np.shares_memory(plane, np.frombuffer(data, np.uint8)) for plane in image.planes)


def test_an_unpadded_rgb8_image_is_returned_as_the_view_itself() -> None:
    data = array('B', blocks_rgb().tobytes())
    image = decode_raw(data, width=24, height=16, step=72, encoding='rgb8', is_bigendian=False)
    assert np.shares_memory(image.rgb(), np.frombuffer(data, np.uint8))
    assert image.rgb() is image.pixels


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview, 'array', 'ndarray', '2d'])
def test_the_bytes_may_come_in_any_container(kind: object) -> None:
    rgb = blocks_rgb()
    make = {
        'array': lambda data: array('B', data),
        'ndarray': lambda data: np.frombuffer(data, np.uint8),
        '2d': lambda data: np.frombuffer(data, np.uint8).reshape(16, 72),
    }.get(kind, kind)
    image = decode_raw(
        make(rgb.tobytes()), width=24, height=16, step=72, encoding='rgb8', is_bigendian=False
    )
    np.testing.assert_array_equal(image.rgb(), rgb)


@pytest.mark.parametrize('encoding', PIXEL_FORMATS)
@pytest.mark.parametrize('size_wh', [SIZE_WH, (12, 8), (30, 20), (5, 4)])
def test_the_result_is_written_where_the_caller_wants_it(
    encoding: str, size_wh: tuple[int, int]
) -> None:
    image = decode(blocks_rgb(), encoding, padding=3)
    batch = np.zeros((2, size_wh[1], size_wh[0], 3), np.uint8)
    result = image.rgb(size_wh, out=batch[1])
    assert np.shares_memory(result, batch)
    np.testing.assert_array_equal(batch[1], image.rgb(size_wh))
    assert not batch[0].any()


def test_an_out_that_cannot_hold_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match=r'shape \(8, 12, 3\)'):
        decode(blocks_rgb(), 'rgb8').rgb((12, 8), out=np.empty((12, 8, 3), np.uint8))


@pytest.mark.parametrize('encoding', PIXEL_FORMATS)
@pytest.mark.parametrize('factor', [2, 2.5, 3, 4, 6])
def test_shrinking_averages_what_it_leaves_out(encoding: str, factor: float) -> None:
    """Noise finer than the small picture fades as it does in the mean over areas."""
    rgb = np.full((240, 240, 3), 60, np.uint8)
    rgb[np.random.default_rng(3).random((240, 240)) < 0.5] = 180
    small = round(240 / factor)
    got = decode(rgb, encoding).rgb((small, small)).astype(float)
    full = decode(rgb, encoding).rgb()
    reference = cv2.resize(full, (small, small), interpolation=cv2.INTER_AREA).astype(float)
    assert abs(got.mean() - full.mean()) < 1.5
    assert abs(got.std() - reference.std()) < 0.35 * reference.std() + 1


def test_a_picture_that_shrinks_in_one_direction_only_keeps_its_content() -> None:
    rgb = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[:, None], 300, axis=1)
    rgb = np.repeat(rgb[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode(rgb, 'rgb8').rgb((20, 100)), rgb[:, :20])


def test_an_8k_image_works() -> None:
    data = np.full(7680 * 4320 * 3, 77, np.uint8)
    image = decode_raw(
        data, width=7680, height=4320, step=23040, encoding='bgr8', is_bigendian=False
    )
    small = image.rgb((640, 360))
    assert small.shape == (360, 640, 3)
    assert (small == 77).all()


def test_bytes_behind_the_last_row_are_tolerated_and_padding_behind_the_last_pixel_may_miss() -> (
    None
):
    rgb = blocks_rgb()
    data, step = laid_out([as_bytes(rgb)], padding=8)
    for sent in (data + bytes(100), data[:-8]):
        image = decode_raw(
            sent, width=24, height=16, step=step, encoding='rgb8', is_bigendian=False
        )
        np.testing.assert_array_equal(image.rgb(), rgb)
    error = refused(data[:-9], width=24, height=16, step=step)
    assert error.kind == 'data_too_short'


@pytest.mark.parametrize('encoding', ['nv12', 'nv21', 'nv24'])
def test_a_missing_end_of_the_colour_plane_is_refused(encoding: str) -> None:
    planes = [as_bytes(plane) for plane in encoded(blocks_rgb(), encoding)]
    data, step = laid_out(planes, padding=0)
    error = refused(data[:-1], width=24, height=16, step=step, encoding=encoding)
    assert error.kind == 'data_too_short'
    assert str(len(data)) in str(error)


@pytest.mark.parametrize(
    ('changed', 'kind', 'words'),
    [
        ({'width': 0}, 'size_zero', '0x3'),
        ({'height': 0}, 'size_zero', '4x0'),
        ({'step': 11}, 'step_too_small', 'A row of 4 rgb8 pixels has 12 bytes, but step is 11'),
        ({'step': 0}, 'step_too_small', 'step is 0'),
        ({'step': 13}, 'data_too_short', 'step 13 has 38 bytes or more, but 36 came'),
        ({'height': 4}, 'data_too_short', 'has 48 bytes or more, but 36 came'),
        ({'width': 2**32 - 1, 'step': 2**32 - 1}, 'step_too_small', '12884901885'),
        ({'height': 2**32 - 1}, 'data_too_short', '51539607540'),
        ({'encoding': ''}, 'encoding_empty', 'one of rgb8, bgr8'),
        ({'encoding': 'RGB8'}, 'encoding_unknown', "'RGB8' is not known"),
        ({'encoding': 'xyz'}, 'encoding_unknown', 'nv24'),
        ({'encoding': '16UC1'}, 'encoding_depth', 'mono16'),
        ({'encoding': '32FC1'}, 'encoding_depth', 'depth image'),
        ({'encoding': 'nv12'}, 'odd_size', 'even width and height'),
        ({'encoding': 'nv21', 'width': 3, 'height': 2}, 'odd_size', '3x2'),
        ({'encoding': 'yuv422', 'width': 3}, 'odd_size', 'even width'),
        ({'encoding': 'bayer_rggb8', 'height': 2}, 'size_too_small', '3x3 or more'),
    ],
)
def test_a_broken_image_is_refused_with_its_kind_and_a_sentence(
    changed: dict[str, object], kind: str, words: str
) -> None:
    error = refused(**changed)
    assert error.kind == kind
    assert words in str(error)


def test_no_bytes_at_all_are_refused() -> None:
    assert refused(b'').kind == 'data_too_short'
    assert refused(array('B')).kind == 'data_too_short'


# --- compressed ---------------------------------------------------------------------------------


def file_of(picture: NDArray[np.uint8 | np.uint16], extension: str) -> bytes:
    done, data = cv2.imencode(extension, picture)
    assert done
    return data.tobytes()


def photo_bgr(size_wh: tuple[int, int] = (200, 120), seed: int = 1) -> Image:
    """A picture with texture everywhere, so that a flat corner can only be missing data."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 20, 3), np.uint8)
    return cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize('format_', ['jpeg', 'jpg', 'bgr8; jpeg compressed bgr8', 'rgb8; jpeg'])
def test_a_jpeg_shows_the_picture_that_went_in(format_: str) -> None:
    rgb = blocks_rgb((64, 48))
    got = decode_compressed(array('B', file_of(rgb[..., ::-1], '.jpg')), format_).rgb()
    assert got.shape == (48, 64, 3)
    assert np.abs(got.astype(int) - rgb).mean() < 8


@pytest.mark.parametrize('format_', ['png', 'rgb8; png compressed bgr8'])
def test_a_png_shows_the_picture_that_went_in(format_: str) -> None:
    rgb = blocks_rgb()
    got = decode_compressed(file_of(rgb[..., ::-1], '.png'), format_).rgb()
    np.testing.assert_array_equal(got, rgb)


def test_16_bit_pngs_show_their_high_bytes() -> None:
    rgb = blocks_rgb()
    bgr16 = rgb[..., ::-1].astype(np.uint16) << 8 | 0x5A
    colour = decode_compressed(file_of(bgr16, '.png'), 'bgr16; png compressed bgr16')
    np.testing.assert_array_equal(colour.rgb(), rgb)
    grey = decode_compressed(file_of(bgr16[..., 2], '.png'), 'mono16; png compressed ')
    np.testing.assert_array_equal(grey.rgb(), expected_rgb(rgb, 'mono16'))


def test_pngs_with_transparency_and_greys_are_read() -> None:
    rgb = blocks_rgb()
    bgra = np.dstack([rgb[..., ::-1], np.full(rgb.shape[:2], 3, np.uint8)])
    np.testing.assert_array_equal(decode_compressed(file_of(bgra, '.png'), 'png').rgb(), rgb)
    grey = decode_compressed(file_of(rgb[..., 0], '.png'), 'png').rgb()
    np.testing.assert_array_equal(grey, expected_rgb(rgb, 'mono8'))


def png_chunk(name: bytes, data: bytes) -> bytes:
    checked = name + data
    return struct.pack('>I', len(data)) + checked + struct.pack('>I', zlib.crc32(checked))


def test_a_png_of_grey_with_transparency_is_read() -> None:
    rows = np.dstack([blocks_rgb()[..., 0], np.full((16, 24), 200, np.uint8)]).reshape(16, 48)
    lines = np.hstack([np.zeros((16, 1), np.uint8), rows]).tobytes()
    header = struct.pack('>IIBBBBB', 24, 16, 8, 4, 0, 0, 0)
    png = b'\x89PNG\r\n\x1a\n' + png_chunk(b'IHDR', header)
    png += png_chunk(b'IDAT', zlib.compress(lines)) + png_chunk(b'IEND', b'')
    np.testing.assert_array_equal(
        decode_compressed(png, 'png').rgb(), expected_rgb(blocks_rgb(), 'mono8')
    )


@pytest.mark.parametrize('bits', ['8', '16'])
def test_a_compressed_bayer_picture_becomes_coloured(bits: str) -> None:
    rgb = blocks_rgb()
    name = f'bayer_gbrg{bits}'
    (mosaic,) = encoded(rgb, name)
    got = decode_compressed(file_of(mosaic, '.png'), f'{name}; png compressed ').rgb()
    np.testing.assert_array_equal(got, decode(rgb, name).rgb())


def test_a_compressed_picture_is_resized_like_a_raw_one() -> None:
    bgr = photo_bgr()
    png = decode_compressed(file_of(bgr, '.png'), 'png')
    raw = decode(bgr[..., ::-1], 'rgb8')
    np.testing.assert_array_equal(png.rgb((100, 60)), raw.rgb((100, 60)))


def test_an_exif_orientation_does_not_turn_the_picture() -> None:
    jpeg = file_of(photo_bgr(), '.jpg')
    tiff = b'II*\0\x08\0\0\0\x01\0' + struct.pack('<HHIHH', 0x0112, 3, 1, 6, 0) + bytes(4)
    exif = b'Exif\0\0' + tiff
    turned = jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + jpeg[2:]
    image = decode_compressed(turned, 'jpeg')
    assert (image.width, image.height) == (200, 120)


def test_padding_behind_a_jpeg_is_tolerated() -> None:
    jpeg = file_of(photo_bgr(), '.jpg')
    np.testing.assert_array_equal(
        decode_compressed(jpeg + bytes(500), 'jpeg').rgb(), decode_compressed(jpeg, 'jpeg').rgb()
    )


@pytest.mark.parametrize('extension', ['jpg', 'png'])
@pytest.mark.parametrize('fraction', [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_picture_is_refused(extension: str, fraction: float) -> None:
    whole = file_of(photo_bgr(), f'.{extension}')
    with pytest.raises(FrameError) as caught:
        decode_compressed(whole[: int(len(whole) * fraction)], extension)
    assert caught.value.kind == 'compressed_broken'
    assert 'bad cable' in str(caught.value)


@pytest.mark.parametrize('fraction', [0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize('sampling', ['420', '444', 'grey'])
def test_a_jpeg_with_lost_rows_and_an_end_is_refused(fraction: float, sampling: str) -> None:
    # By Pillow: OpenCV 4.5.4 has no name for the sampling
    picture = Pillow.fromarray(photo_bgr()[..., ::-1])
    written = io.BytesIO()
    if sampling == 'grey':
        picture.convert('L').save(written, 'jpeg', quality=95)
    else:
        picture.save(written, 'jpeg', quality=95, subsampling={'420': 2, '444': 0}[sampling])
    jpeg = written.getvalue()
    scan = jpeg.rfind(b'\xff\xda')
    lost = jpeg[: scan + int((len(jpeg) - scan) * fraction)] + b'\xff\xd9'
    with pytest.raises(FrameError) as caught:
        decode_compressed(lost, 'jpeg')
    assert caught.value.kind == 'compressed_broken'


def test_a_whole_jpeg_with_a_grey_corner_is_not_taken_for_a_truncated_one() -> None:
    bgr = photo_bgr()
    bgr[40:, 60:] = 128
    assert decode_compressed(file_of(bgr, '.jpg'), 'jpeg').width == 200
    grey = np.full((48, 64, 3), 128, np.uint8)
    assert (decode_compressed(file_of(grey, '.jpg'), 'jpeg').rgb() == 128).all()


def test_a_truncated_jpeg_with_a_thumbnail_is_refused() -> None:
    """The thumbnail in the header has an end of its own."""
    jpeg = file_of(photo_bgr(), '.jpg')
    thumbnail = b'Exif\0\0' + file_of(photo_bgr((32, 24)), '.jpg')
    header = b'\xff\xe1' + struct.pack('>H', len(thumbnail) + 2) + thumbnail
    whole = jpeg[:2] + header + jpeg[2:]
    assert decode_compressed(whole, 'jpeg').width == 200
    for length in (len(whole) // 2, 2 + len(header), len(whole) - 2):
        with pytest.raises(FrameError, match='is broken'):
            decode_compressed(whole[:length], 'jpeg')


def test_a_png_with_a_wrong_bit_is_refused() -> None:
    png = bytearray(file_of(photo_bgr(), '.png'))
    png[len(png) // 2] ^= 0xFF
    with pytest.raises(FrameError, match='cannot be decoded'):
        decode_compressed(png, 'png')


@pytest.mark.parametrize(
    ('format_', 'kind'),
    [
        ('', 'encoding_empty'),
        ('  ', 'encoding_empty'),
        ('16UC1; compressedDepth png', 'encoding_depth'),
        ('16UC1; png compressed ', 'encoding_depth'),
        ('32FC1; compressedDepth', 'encoding_depth'),
        ('h264', 'encoding_unknown'),
        ('rgb8; rvl compressed', 'encoding_unknown'),
    ],
)
def test_a_compressed_format_that_cannot_be_read_is_refused(format_: str, kind: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode_compressed(file_of(photo_bgr(), '.png'), format_)
    assert caught.value.kind == kind


def test_bytes_that_are_no_picture_are_refused() -> None:
    with pytest.raises(FrameError, match='begin neither as jpeg nor as png'):
        decode_compressed(b'GIF89a' + bytes(100), 'jpeg')
