# SPDX-License-Identifier: Apache-2.0
"""What a file says of itself before a decoder runs, and the bombs that are refused by it."""

from __future__ import annotations

import io
import resource
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from seg_ros.core.errors import FrameError
from seg_ros.core.image.announced import (
    MAX_PIXELS,
    MOST_SCANS,
    announced,
    has_more_pictures,
    is_turned,
)
from seg_ros.core.image.decoding import decode_compressed, decode_file, decode_image, decode_raw

SIZES = ((200, 120), (1, 1), (17, 333))
FORMATS = {
    'jpeg': ('JPEG', {}),
    'png': ('PNG', {}),
    'webp': ('WEBP', {}),
    'avif': ('AVIF', {}),
    'bmp': ('BMP', {}),
    'gif': ('GIF', {}),
    'tiff': ('TIFF', {}),
    'pnm': ('PPM', {}),
}
QUICK_S = 2.0
MEGA = 1 << 20


def file_of(kind: str, size_wh: tuple[int, int] = SIZES[0], **more: object) -> bytes:
    width, height = size_wh
    rows, columns = np.mgrid[:height, :width]
    rgb = np.stack([rows % 256, columns % 256, (rows + columns) % 256], -1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format=FORMATS[kind][0], **more)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def huge_jpeg(side: int = 32767) -> bytes:
    """A small picture that says it is a large one."""
    jpeg = bytearray(file_of('jpeg', (8, 8)))
    at = jpeg.find(b'\xff\xc0')
    jpeg[at + 5 : at + 9] = struct.pack('>HH', side, side)
    return bytes(jpeg)


def huge_png(side: int = 30000) -> bytes:
    head = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(1000))
    parts = [chunk(b'IHDR', head), chunk(b'IDAT', packed), chunk(b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def huge_webp() -> bytes:
    webp = bytearray(file_of('webp', (64, 64)))
    at = webp.find(b'\x9d\x01\x2a')
    webp[at + 3 : at + 7] = struct.pack('<HH', 16383, 16383)
    return bytes(webp)


def many_scans(count: int) -> bytes:
    bgr = np.zeros((2160, 3840, 3), np.uint8)
    jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last = jpeg[jpeg.rfind(b'\xff\xda') : -2]
    return jpeg[:-2] + last * count + b'\xff\xd9'


@pytest.mark.parametrize('size_wh', SIZES)
@pytest.mark.parametrize('kind', FORMATS)
def test_kind_and_size_are_read_from_the_bytes(kind: str, size_wh: tuple[int, int]) -> None:
    said = announced(file_of(kind, size_wh))
    assert said is not None
    assert said[:3] == (kind, *size_wh)


@pytest.mark.parametrize('lossless', [False, True])
@pytest.mark.parametrize('with_exif', [False, True])
def test_every_layout_of_a_webp_says_its_size(lossless: bool, with_exif: bool) -> None:
    more = {'lossless': lossless, **({'exif': turned_by(6)} if with_exif else {})}
    assert announced(file_of('webp', **more))[:3] == ('webp', 200, 120)


def test_a_progressive_jpeg_says_its_size_and_its_scans() -> None:
    said = announced(file_of('jpeg', progressive=True))
    assert said[:3] == ('jpeg', 200, 120)
    assert 2 < said.scans < MOST_SCANS


@pytest.mark.parametrize(
    ('bomb', 'format_'), [(huge_jpeg(), 'jpeg'), (huge_png(), 'png'), (huge_webp(), 'webp')]
)
def test_a_small_file_that_announces_a_huge_picture_is_refused_at_once(
    bomb: bytes, format_: str
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began_s = time.process_time()
    for decode in (lambda: decode_compressed(bomb, format_), lambda: decode_file(bomb)):
        with pytest.raises(
            FrameError, match=r'allowed are 33177600 in all.*max_image_pixels'
        ) as e:
            decode()
        assert e.value.kind == 'size_too_large'
    assert time.process_time() - began_s < QUICK_S
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 100 * MEGA


def test_a_chunk_of_a_png_that_is_longer_than_the_file_is_refused_before_room_is_made() -> None:
    """Found by `make fuzz`: 85 bytes made OpenCV take three gigabytes."""
    png = file_of('png', (24, 16))
    at = png.find(b'IDAT') - 4
    for kind in (b'IDAT', b'eXIf', b'zTXt'):
        bomb = png[:at] + struct.pack('>I', 0x7FFF0000) + kind + png[at + 8 :]
        began_s = time.process_time()
        with pytest.raises(FrameError, match='its end is missing'):
            decode_compressed(bomb, 'png')
        assert time.process_time() - began_s < QUICK_S


ZEROS = zlib.compress(bytes(7 * MEGA), 9)


@pytest.mark.parametrize('head', [b'zTXt k\0\0', b'iTXt k\0\1\0\0\0', b'iCCP k\0\0'])
def test_words_in_a_png_that_unpack_to_gigabytes_are_passed_over(head: bytes) -> None:
    """1500 of them in 10 MB cost a minute; the pixels are read as without them."""
    png = file_of('png', (24, 16))
    words = chunk(head[:4], head[5:] + ZEROS) * 1500
    for at in (33, png.find(b'IEND') - 4):
        began_s = time.process_time()
        found = decode_compressed(png[:at] + words + png[at:], 'png').rgb()
        assert time.process_time() - began_s < QUICK_S
        assert np.array_equal(found, decode_compressed(png, 'png').rgb())


def test_a_png_whose_data_goes_on_for_gigabytes_behind_its_pixels_is_refused_at_once() -> None:
    head = chunk(b'IHDR', struct.pack('>IIBBBBB', 64, 64, 8, 2, 0, 0, 0))
    packer = zlib.compressobj(9)
    data = b''.join(packer.compress(bytes(MEGA)) for _ in range(1024)) + packer.flush()
    bomb = b'\x89PNG\r\n\x1a\n' + head + chunk(b'IDAT', data) + chunk(b'IEND', b'')
    began_s = time.process_time()
    with pytest.raises(FrameError, match='which its pixels cannot') as refused:
        decode_compressed(bomb, 'png')
    assert refused.value.kind == 'size_too_large'
    assert time.process_time() - began_s < QUICK_S / 4


@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA', 'I;16'])
def test_a_png_of_noise_is_not_taken_for_a_bomb(mode: str) -> None:
    random = np.random.default_rng(0)
    depth, channels = (np.uint16, 1) if mode == 'I;16' else (np.uint8, len(mode))
    shape = (700, 900, channels)[: 2 if channels == 1 else 3]
    noise = random.integers(0, np.iinfo(depth).max, shape, depth)
    png = cv2.imencode('.png', noise)[1].tobytes()
    assert len(png) > 1 << 19
    assert decode_file(png).width == 900


def test_a_jpeg_of_endless_scans_is_refused_at_once() -> None:
    began_s = time.process_time()
    with pytest.raises(FrameError, match=f'scans, up to {MOST_SCANS} are read'):
        decode_compressed(many_scans(1000), 'jpeg')
    assert time.process_time() - began_s < QUICK_S
    assert decode_compressed(many_scans(0), 'jpeg').width == 3840


def test_a_picture_of_8k_is_read_and_one_more_column_is_not() -> None:
    assert decode_compressed(file_of('png', (7680, 4320)), 'png').width == 7680
    with pytest.raises(FrameError, match='7681x4320'):
        decode_compressed(file_of('png', (7681, 4320)), 'png')


def test_what_is_allowed_is_a_parameter_and_holds_for_raw_images_too() -> None:
    jpeg = file_of('jpeg')
    assert decode_compressed(jpeg, 'jpeg', 200 * 120).width == 200
    with pytest.raises(FrameError, match='200x120 pixels, allowed are 23999'):
        decode_compressed(jpeg, 'jpeg', 200 * 120 - 1)

    class Message:
        width, height, step, encoding, is_bigendian = 20, 10, 60, 'rgb8', 0
        data = bytes(600)

    assert decode_image(Message(), 200).width == 20
    with pytest.raises(FrameError, match='20x10 pixels, allowed are 199'):
        decode_image(Message(), 199)


def tiff(*rows: tuple[int, int]) -> bytes:
    """A TIFF of tags and their numbers, with some bytes of a picture."""
    body = b''.join(struct.pack('<HHII', tag, 4, 1, number) for tag, number in rows)
    return struct.pack('<2sHIH', b'II', 42, 8, len(rows)) + body + bytes(256)


SIDES = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 277: 1}


@pytest.mark.parametrize(
    'bomb',
    [
        tiff(*SIDES.items(), (322, 16000), (323, 16000), (324, 134), (325, 256)),  # 1 GB of a tile
        tiff((256, 30000), (257, 30000), *SIDES.items(), (273, 134), (279, 256)),
        tiff(*SIDES.items(), (256, 30000), (257, 30000), (273, 134), (279, 256)),
    ],
    ids=['tile', 'twice, large first', 'twice, small first'],
)
def test_a_tiff_is_as_large_as_the_largest_that_it_says_of_picture_and_tile(bomb: bytes) -> None:
    with pytest.raises(FrameError, match='allowed are 33177600 in all'):
        decode_file(bomb)


def test_an_avif_that_hides_its_size_behind_many_others_says_none() -> None:
    avif = file_of('avif')
    (length,) = struct.unpack('>I', avif[:4])
    sizes = b''.join(b'ispe' + struct.pack('>III', 0, 16, 16) for _ in range(80))
    crowd = struct.pack('>I4s', 8 + len(sizes), b'free') + sizes
    with pytest.raises(FrameError, match='do not say how large it is'):
        decode_file(avif[:length] + crowd + avif[length:])


def written(folder: Path, kind: str, file: bytes) -> str:
    path = folder / f'picture.{kind}'
    path.write_bytes(file)
    return str(path)


@pytest.mark.parametrize('kind', ['avif', 'gif'])
def test_a_kind_that_an_old_opencv_does_not_know_is_told_by_its_name(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ubuntu 22.04 has OpenCV 4.5.4."""
    monkeypatch.setattr('seg_ros.core.image.decoding._imdecode', lambda _: None)
    with pytest.raises(FrameError, match=rf'OpenCV [\d.]+.* does not know {kind}, .*as png'):
        decode_file(file_of(kind))


def test_only_jpeg_png_and_webp_can_be_reached_from_a_topic(tmp_path: Path) -> None:
    for kind in FORMATS:
        file = file_of(kind)
        if cv2.haveImageReader(written(tmp_path, kind, file)):
            assert decode_file(file).width == 200
        if kind in ('jpeg', 'png', 'webp'):
            assert decode_compressed(file, 'jpeg').width == 200  # the bytes decide
        else:
            with pytest.raises(FrameError, match='begin neither as jpeg nor as png'):
                decode_compressed(file, 'jpeg')


@pytest.mark.parametrize('fraction', [0.3, 0.9, 0.99])
def test_a_truncated_webp_is_refused(fraction: float) -> None:
    whole = file_of('webp')
    with pytest.raises(FrameError, match='its end is missing'):
        decode_compressed(whole[: int(len(whole) * fraction)], 'webp')


def turned_by(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize('kind', ['jpeg', 'png', 'webp'])
@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_a_photograph_that_asks_to_be_turned_is_known_and_not_turned(
    kind: str, orientation: int
) -> None:
    file = file_of(kind, exif=turned_by(orientation))
    assert is_turned(file) == (orientation != 1)
    assert (decode_file(file).width, decode_file(file).height) == SIZES[0]
    assert not is_turned(file_of(kind))


def tiff_of(rgb: NDArray[np.uint8], order: str, orientation: int) -> bytes:
    """Returns an uncompressed TIFF in one strip."""
    height, width = rgb.shape[:2]
    rows = [
        (256, 1, width), (257, 1, height), (258, 3, 8), (259, 1, 1), (262, 1, 2), (273, 1, 0),
        (274, 1, orientation), (277, 1, 3), (278, 1, height), (279, 1, rgb.size),
    ]  # fmt: skip
    behind = 8 + 2 + 12 * len(rows) + 4
    directory = struct.pack(f'{order}H', len(rows))
    for tag, count, value in rows:
        if tag == 258:  # three numbers do not fit here
            directory += struct.pack(f'{order}HHII', tag, 3, count, behind)
        elif tag in (273, 279):
            place = behind + 6 if tag == 273 else value
            directory += struct.pack(f'{order}HHII', tag, 4, count, place)
        else:
            directory += struct.pack(f'{order}HHIHH', tag, 3, count, value, 0)
    head = {'<': b'II', '>': b'MM'}[order] + struct.pack(f'{order}HI', 42, 8)
    return head + directory + bytes(4) + struct.pack(f'{order}3H', 8, 8, 8) + rgb.tobytes()


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('order', ['<', '>'])
def test_a_tiff_that_asks_to_be_turned_is_known_and_not_turned(
    orientation: int, order: str
) -> None:
    """Every decoder turns it, whatever it is asked."""
    rgb = np.random.default_rng(1).integers(0, 256, (12, 16, 3), np.uint8)
    file = tiff_of(rgb, order, orientation)
    assert is_turned(file) == (orientation != 1)
    np.testing.assert_array_equal(decode_file(file).rgb(), rgb)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_an_avif_that_asks_to_be_turned_is_known(orientation: int) -> None:
    pytest.importorskip('PIL.AvifImagePlugin')
    file = file_of('avif', exif=turned_by(orientation))
    assert is_turned(file) == (orientation != 1)


@settings(deadline=None)
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_whatever_the_bytes_are_nothing_but_a_frame_error_comes_of_them(
    kind: str, data: st.DataObject
) -> None:
    file = bytearray(SMALL_FILES[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    broken = bytes(file[: data.draw(st.integers(0, len(file)))])
    is_turned(broken)
    try:
        image = decode_file(broken, 1 << 20)
    except FrameError:
        return
    assert image.width * image.height <= 1 << 20


SMALL_FILES = {kind: file_of(kind, (24, 16)) for kind in FORMATS}


def test_the_default_is_8k() -> None:
    assert MAX_PIXELS == 7680 * 4320
    whole = decode_raw(bytes(3), width=1, height=1, step=3, encoding='rgb8', is_bigendian=False)
    assert whole.width == 1


def pictures(kind: str, count: int) -> bytes:
    frames = [Image.fromarray(np.full((8, 8, 3), 80 * index, np.uint8)) for index in range(count)]
    file = io.BytesIO()
    frames[0].save(file, FORMATS[kind][0], save_all=True, append_images=frames[1:])
    return file.getvalue()


@pytest.mark.parametrize('kind', ['gif', 'png', 'webp', 'tiff', 'avif'])
def test_an_animation_holds_more_pictures_than_the_one_that_is_read(kind: str) -> None:
    moving = pictures(kind, 3)
    assert has_more_pictures(moving)
    assert not has_more_pictures(pictures(kind, 1))
    for end in range(0, len(moving), 7):
        has_more_pictures(moving[:end])  # a file that ends before is none of several


@pytest.mark.parametrize('kind', ['jpeg', 'bmp', 'pnm'])
def test_other_files_hold_one_picture(kind: str) -> None:
    assert not has_more_pictures(file_of(kind))
