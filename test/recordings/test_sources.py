# SPDX-License-Identifier: Apache-2.0
"""Every kind of source: what it plays, and what it says when it cannot."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import struct
from collections.abc import Generator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.recordings.opening import open_recording
from seg_ros.recordings.sources import (
    ImageSource,
    SourceOptions,
    add_source_arguments,
    open_source,
    options_from_arguments,
    words_from_options,
)
from seg_ros.sim import SCENARIOS, SimDrive
from test.recordings.pictures import (
    PERIOD_NS,
    camera_info_message,
    flat,
    image_message,
    jpeg_message,
    write_bag,
    write_png,
    write_video,
)

RED, GREEN, BLUE = (220, 30, 30), (30, 220, 30), (30, 30, 220)


def opened(kind: str, what: Path, topic: str = '') -> ImageSource:
    return open_source(SourceOptions(kind, str(what), topic))


def mean_colours(source: ImageSource) -> list[list[int]]:
    return [frame.image.reshape(-1, 3).mean(0).round().tolist() for frame in source.frames()]


def assert_colours(source: ImageSource, *expected: tuple[int, int, int]) -> None:
    found = mean_colours(source)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, atol=6)


@pytest.mark.parametrize(
    'options',
    [
        SourceOptions(),
        SourceOptions('scenario', 'night', rate_hz=12.5, seed=7),
        SourceOptions('bag', '/a/bag', topic='/front/image'),
        SourceOptions('images', 'a folder'),
    ],
)
def test_options_survive_the_way_through_a_command_line(options: SourceOptions) -> None:
    parser = argparse.ArgumentParser()
    add_source_arguments(parser)
    arguments = parser.parse_args(words_from_options(options))
    assert options_from_arguments(arguments) == options


def test_the_processes_that_render_give_the_very_frames_of_the_drive() -> None:
    source = open_source(SourceOptions('scenario', 'empty', rate_hz=10.0, seed=5))
    drive = SimDrive(replace(SCENARIOS['empty'], rate_hz=10.0, seed=5))
    assert source.camera == drive.world.camera
    assert source.class_names is not None
    frames = source.frames()
    for frame, expected in zip(islice(frames, 3), drive, strict=False):
        assert (frame.image == expected.image).all()
        assert (frame.label == expected.labels).all()
        assert 'road' in {source.class_names[int(value)] for value in np.unique(expected.labels)}
        assert frame.stamp_ns == expected.stamp_ns
    assert frame.stamp_ns == 200_000_000
    assert isinstance(frames, Generator)
    frames.close()
    assert not multiprocessing.active_children()


def test_an_unknown_scenario_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r'moon is not known.*city.*--video'):
        open_source(SourceOptions('scenario', 'moon'))


def test_a_video_is_played_in_rgb_at_its_own_pace(tmp_path: Path) -> None:
    video = write_video(tmp_path / 'drive.mp4', [flat(RED), flat(GREEN), flat(BLUE)], 20.0)
    source = opened('video', video)
    assert_colours(source, RED, GREEN, BLUE)
    assert [frame.stamp_ns for frame in source.frames()] == [0, 50_000_000, 100_000_000]


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'notes.mp4').write_text('not a video')
    with pytest.raises(ConfigurationError, match=r'notes\.mp4.*Convert it'):
        opened('video', tmp_path / 'notes.mp4')


def test_a_folder_is_played_by_name_whatever_the_formats(tmp_path: Path) -> None:
    write_png(tmp_path / 'b.jpg', flat(GREEN))
    write_png(tmp_path / 'a.png', flat(RED))
    write_png(tmp_path / 'c.webp', flat(BLUE))
    (tmp_path / 'README.txt').write_text('not an image')
    assert_colours(opened('images', tmp_path), RED, GREEN, BLUE)


def test_a_broken_image_in_a_folder_is_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_png(tmp_path / 'a.png', flat(RED))
    broken = write_png(tmp_path / 'b.png', flat(GREEN))
    broken.write_bytes(broken.read_bytes()[:40])
    write_png(tmp_path / 'c.png', flat(BLUE))
    assert_colours(opened('images', tmp_path), RED, BLUE)
    assert 'b.png is skipped' in caplog.text


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'README.txt').write_text('not an image')
    with pytest.raises(ConfigurationError, match='none of its 1 files is an image'):
        opened('images', tmp_path)


@pytest.mark.parametrize('kind', ['video', 'images', 'bag'])
def test_a_path_that_is_not_there_is_refused(kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f'--{kind} /nowhere: there is no such file'):
        opened(kind, Path('/nowhere'))


def test_a_bag_is_played_at_the_pace_of_its_recording(tmp_path: Path) -> None:
    messages = [image_message(flat(RED)), image_message(flat(GREEN))]
    source = opened('bag', write_bag(tmp_path / 'bag', {'/front/image_raw': messages}))
    assert_colours(source, RED, GREEN)
    first, second = (frame.stamp_ns for frame in source.frames())
    assert second - first == PERIOD_NS


def test_a_bag_is_also_read_from_its_file_alone(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', {'/front/image_raw': [image_message(flat(RED))]})
    assert_colours(opened('bag', bag / 'bag.mcap'), RED)


def test_the_topic_of_a_bag_can_be_chosen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topics = {
        '/front/image': [image_message(flat(RED))],
        '/rear/image/compressed': [jpeg_message(flat(GREEN))],
    }
    bag = write_bag(tmp_path / 'bag', topics)
    assert_colours(opened('bag', bag), RED)
    assert '--topic takes another: /rear/image/compressed' in caplog.text
    assert_colours(opened('bag', bag, '/rear/image/compressed'), GREEN)
    with pytest.raises(ConfigurationError, match=r'--topic /left: the image topics.*/rear/image'):
        opened('bag', bag, '/left')


@pytest.mark.parametrize('topic', ['/front/image_raw', '/front/image_raw/compressed'])
def test_the_lens_is_read_from_the_camera_info_beside_the_images(
    tmp_path: Path, topic: str
) -> None:
    message = jpeg_message if topic.endswith('compressed') else image_message
    topics = {
        topic: [message(flat(RED))],
        '/rear/camera_info': [camera_info_message(99.0)],
        '/front/camera_info': [camera_info_message(50.0)],
    }
    camera = opened('bag', write_bag(tmp_path / 'bag', topics)).camera
    assert camera is not None
    assert camera.k[0, 0] == 50.0


def test_a_topic_with_a_camera_info_is_the_camera(tmp_path: Path) -> None:
    topics = {
        '/segmentation/label': [image_message(flat(RED))],
        '/front/image_raw/compressed': [jpeg_message(flat(GREEN))],
        '/front/camera_info': [camera_info_message(50.0)],
    }
    assert_colours(opened('bag', write_bag(tmp_path / 'bag', topics)), GREEN)


def test_a_camera_info_of_another_shape_is_no_lens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topics = {
        '/front/image_raw': [image_message(flat(RED))],
        '/front/camera_info': [camera_info_message(50.0, (64, 96))],
    }
    assert opened('bag', write_bag(tmp_path / 'bag', topics)).camera is None
    assert '64x48' in caplog.text
    assert '64x96' in caplog.text


def test_the_lens_is_that_of_the_images_and_not_of_the_sensor(tmp_path: Path) -> None:
    info = camera_info_message(100.0, (128, 96))
    info.binning_x = info.binning_y = 2
    topics = {'/front/image_raw': [image_message(flat(RED))], '/front/camera_info': [info]}
    camera = opened('bag', write_bag(tmp_path / 'bag', topics)).camera
    assert camera is not None
    assert (camera.width, camera.height, camera.k[0, 0]) == (64, 48, 50.0)


def test_the_lens_of_a_rectified_topic_has_no_distortion(tmp_path: Path) -> None:
    info = camera_info_message(100.0)
    info.d[0] = -0.3
    info.p[:] = [50.0, 0.0, 31.5, 0.0, 0.0, 50.0, 23.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    topics = {'/front/image_rect': [image_message(flat(RED))], '/front/camera_info': [info]}
    camera = opened('bag', write_bag(tmp_path / 'bag', topics)).camera
    assert camera is not None
    assert (camera.k[0, 0], camera.d.any()) == (50.0, False)


def test_an_uncalibrated_camera_info_is_no_lens(tmp_path: Path) -> None:
    topics = {
        '/front/image_raw': [image_message(flat(RED))],
        '/front/camera_info': [camera_info_message(0.0)],
    }
    assert opened('bag', write_bag(tmp_path / 'bag', topics)).camera is None


def test_a_broken_image_in_a_bag_is_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = image_message(flat(RED), encoding='telepathy')
    messages = [broken, image_message(flat(GREEN))]
    source = opened('bag', write_bag(tmp_path / 'bag', {'/front/image_raw': messages}))
    assert_colours(source, GREEN)
    assert 'telepathy' in caplog.text


def test_a_bag_without_images_is_refused(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', {'/front/camera_info': [camera_info_message(50.0)]})
    with pytest.raises(ConfigurationError, match=r'has no sensor_msgs/Image'):
        opened('bag', bag)


def test_a_folder_that_is_no_bag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='bag: there is no file of one in it'):
        opened('bag', tmp_path)


def test_a_rate_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r'--rate 0\.0'):
        SourceOptions(rate_hz=0.0)


def test_a_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / 'drive.mp4'
    os.mkfifo(pipe)
    for path in (pipe, Path('/dev/zero')):
        with pytest.raises(ConfigurationError, match=f'{path} cannot be read: it is a pipe'):
            open_recording(path)


def test_a_video_of_gigantic_pictures_is_refused_by_its_header(tmp_path: Path) -> None:
    file = tmp_path / 'bomb.avi'
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*'MJPG'), 10.0, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    data = file.read_bytes().replace(struct.pack('<II', 64, 48), struct.pack('<II', 16000, 16000))
    at = data.find(b'\xff\xc0')
    file.write_bytes(data[: at + 5] + struct.pack('>HH', 16000, 16000) + data[at + 9 :])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ConfigurationError, match=r'bomb.avi cannot be played: .*16000x16000'):
        open_recording(file)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 1024
