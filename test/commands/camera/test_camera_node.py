# SPDX-License-Identifier: Apache-2.0
"""``seg_ros camera`` as a process: what it publishes, when, and how it ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg_ros.messages.conversions import stamp_ns_of
from test.recordings.pictures import flat, write_png
from test.ros.graph import BEST_EFFORT, Graph, pixels_of, wait_for
from test.ros.processes import Start, started_on

RED, GREEN, BLUE = (220, 30, 30), (30, 220, 30), (30, 30, 220)
ALL = ['image', 'camera_info', 'image/compressed']
EVERY_ONE = ('--depth', '50', '--wait-for-subscriber')  # none is lost while a reader stalls


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / 'camera.log'


@pytest.fixture
def camera(domain_id: int, log: Path) -> Iterator[Start]:
    """Starts ``seg_ros camera`` with the given words."""
    with started_on(domain_id, log, ('seg_ros.cli', 'camera')) as start:
        yield start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    for index, rgb in enumerate((RED, GREEN, BLUE)):
        write_png(pictures / f'{index}.png', flat(rgb))
    return pictures


def test_image_lens_and_jpeg_share_stamp_and_frame_and_show_the_picture(
    graph: Graph, camera: Start, folder: Path
) -> None:
    images = graph.collect(Image, '/camera/image')
    infos = graph.collect(CameraInfo, '/camera/camera_info')
    jpegs = graph.collect(CompressedImage, '/camera/image/compressed')
    process = camera('--images', str(folder), '--rate', '50', *EVERY_ONE, *ALL)
    wait_for(lambda: min(len(images), len(infos), len(jpegs)) == 3, 'three of each')
    assert process.wait(10.0) == 0
    for row in zip(images, infos, jpegs, strict=True):
        assert {message.header.frame_id for message in row} == {'camera_optical'}
        assert len({stamp_ns_of(message.header) for message in row}) == 1
    for image, jpeg, rgb in zip(images, jpegs, (RED, GREEN, BLUE), strict=True):
        assert (image.encoding, image.step) == ('rgb8', 64 * 3)
        assert (pixels_of(image) == rgb).all()
        decoded = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_allclose(decoded[24, 32, ::-1], rgb, atol=8)
    assert (infos[0].width, infos[0].height, infos[0].k[0]) == (64, 48, 0.0)


def test_the_synthetic_drive_comes_with_its_truth_and_its_lens(
    graph: Graph, camera: Start
) -> None:
    images = graph.collect(Image, '/camera/image')
    truths = graph.collect(Image, '/camera/truth/label')
    infos = graph.collect(CameraInfo, '/camera/camera_info')
    camera('--count', '2', *EVERY_ONE, 'image', 'truth/label', 'camera_info')
    wait_for(lambda: min(len(images), len(truths), len(infos)) == 2, 'two of each')
    for image, truth in zip(images, truths, strict=True):
        assert truth.encoding == 'mono8'
        assert truth.header == image.header
        assert pixels_of(truth).shape == pixels_of(image).shape[:2]
    assert infos[0].k[0] > 0.0
    assert infos[0].p[0] == infos[0].k[0]
    assert infos[0].distortion_model == 'plumb_bob'


def test_prepared_images_keep_their_rate(
    graph: Graph, camera: Start, log: Path, folder: Path
) -> None:
    images = graph.collect(Image, '/camera/image')
    words = ('--loop', '--count', '41', '--rate', '40', '--prepare', '--progress')
    process = camera('--images', str(folder), *words, *EVERY_ONE)
    assert process.wait(20.0) == 0
    output = log.read_text()
    assert (
        output.index('{"prepared": 41}') < output.index('Playing') < output.index('Published 41')
    )
    wait_for(lambda: len(images) == 41, 'all images')
    stamps_ns = np.array([stamp_ns_of(message.header) for message in images])
    # A machine that is busy elsewhere may hold an image up; it never lets two go at once.
    assert 0.97 < (stamps_ns[-1] - stamps_ns[0]) / 1e9 < 2.0
    assert np.median(np.diff(stamps_ns)) / 1e6 == pytest.approx(25.0, abs=3.0)


@pytest.mark.parametrize('word', [signal.SIGINT, signal.SIGTERM])
def test_a_looping_folder_keeps_its_own_pace_until_a_signal_ends_it(
    graph: Graph, camera: Start, log: Path, folder: Path, word: signal.Signals
) -> None:
    images = graph.collect(Image, '/elsewhere', BEST_EFFORT)
    process = camera(
        *('--images', str(folder), '--loop', '--namespace', '/front'),
        *('--reliability', 'best_effort', '--ros-args', '-r', 'image:=/elsewhere'),
    )
    wait_for(lambda: len(images) >= 4, 'more images than the folder has')
    process.send_signal(word)
    assert process.wait(10.0) == 0
    output = log.read_text()
    assert 'Published' in output
    assert 'Traceback' not in output
    colours = [tuple(pixels_of(message)[0, 0]) for message in images[:4]]
    assert colours[0] == colours[3]
    assert len(set(colours)) == 3
    stamps_ns = np.array([stamp_ns_of(message.header) for message in images])
    assert np.median(np.diff(stamps_ns)) / 1e6 == pytest.approx(200.0, abs=20.0)


def test_waiting_for_nobody_ends_with_what_to_do(camera: Start, log: Path, folder: Path) -> None:
    process = camera(
        *('--images', str(folder), '--namespace', '/alone'),
        *('--wait-for-subscriber', '--wait-timeout', '0.1'),
    )
    assert process.wait(20.0) == 1
    output = log.read_text()
    assert 'Nobody subscribed to image within 0.1 s' in output
    assert 'ROS_DOMAIN_ID' in output


def test_a_topic_to_wait_for_that_there_is_not_is_refused(
    camera: Start, log: Path, folder: Path
) -> None:
    process = camera('--images', str(folder), '--wait-for-subscriber', 'imgae')
    assert process.wait(20.0) == 1
    output = log.read_text()
    assert '--wait-for-subscriber imgae: name image, image/compressed' in output


def test_the_camera_also_waits_for_the_subscribers_of_others(
    graph: Graph, camera: Start, folder: Path
) -> None:
    images = graph.collect(Image, '/camera/image')
    process = camera('--images', str(folder), '--wait-for-subscriber', 'image', '/answers')
    wait_for(lambda: graph.peer.count_publishers('/camera/image'), 'the camera')
    assert process.poll() is None
    assert not images
    graph.collect(Image, '/answers')
    wait_for(lambda: images, 'an image')


def test_a_source_that_cannot_be_played_is_named(camera: Start, log: Path) -> None:
    process = camera('--video', '/nowhere.mp4')
    assert process.wait(20.0) == 1
    output = log.read_text()
    assert '--video /nowhere.mp4: there is no such file' in output
    assert 'Traceback' not in output
