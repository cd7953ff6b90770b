# SPDX-License-Identifier: Apache-2.0
"""No silence without a sentence: in the log once, in the status and in the diagnostics."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import Image

from seg_ros.core.stop.decision import StopDecision, StopKind
from seg_ros.core.stop.vehicle_stop import VehicleDecision
from seg_ros.ros.silence import SpeedWatch, cameras_among, nobody_publishes, wrong_stamps
from seg_ros.ros.stop_heartbeat import StopHeartbeat
from test.ros.drive import Drive
from test.ros.graph import Graph, latest_status, values_of, wait_for
from test.ros.mounted_camera import camera_info
from test.ros.nodes import canned

IMAGE, COMPRESSED = ['sensor_msgs/msg/Image'], ['sensor_msgs/msg/CompressedImage']


def test_the_outputs_of_segmentation_nodes_are_no_cameras_whatever_they_are_called() -> None:
    topics = {
        '/camera/image': IMAGE,
        '/camera/image/compressed': COMPRESSED,
        '/camera/camera_info': ['sensor_msgs/msg/CameraInfo'],
        '/segmentation/pedestrian_stop': ['std_msgs/msg/Bool'],
        '/segmentation/overlay': IMAGE,
        '/robot/eyes/pedestrian_stop': ['std_msgs/msg/Bool'],
        '/robot/eyes/front/label': IMAGE,
        '/robot/eyes_of_others': IMAGE,
        '/pedestrian_stop': ['std_msgs/msg/Bool'],
    }
    assert cameras_among(topics) == [
        '/camera/image',
        '/camera/image/compressed',
        '/robot/eyes_of_others',
    ]


@pytest.mark.parametrize(
    ('cameras', 'words'),
    [
        ([], 'nobody publishes /cam/image_raw, nor any other image: is the camera driver'),
        (
            ['/camera/image'],
            'here: /camera/image (did you mean it?). To read it: -r image:=/camera/image',
        ),
        (['/cam/image_rect', '/x'], 'here: /cam/image_rect (did you mean it?), /x. To read'),
        (['/x', '/y'], 'nobody publishes /cam/image_raw; image topics here: /x, /y'),
        ([f'/{letter}' for letter in 'abcdefgh'], '/f and 2 more'),
    ],
)
def test_who_reads_what_nobody_publishes_is_told_what_there_is(
    cameras: list[str], words: str
) -> None:
    assert words in nobody_publishes('/cam/image_raw', cameras)


def speeds(watch: SpeedWatch, sent_hz: float, done_hz: float, seconds: float = 8.0) -> list[str]:
    """Returns what is to be logged while frames come and are processed at these rates."""
    looks = (at * 0.25 for at in range(int(seconds / 0.25)))
    return [
        news
        for at_s in looks
        if (news := watch.look(at_s, int(at_s * sent_hz), int(at_s * done_hz), 0.1, 0.5))
    ]


def test_a_machine_that_is_too_slow_for_the_stop_is_told_so_once() -> None:
    watch = SpeedWatch()
    (said,) = speeds(watch, sent_hz=15.0, done_hz=2.0)
    assert re.match(r'this machine infers at [12]\.\d Hz while the camera sends 1\d\.\d', said)
    assert 'stop.stale_timeout_s is 0.5: take a smaller network_size' in said
    assert watch.problem


def test_a_camera_that_is_too_slow_for_the_stop_is_told_so_and_a_fast_one_is_not() -> None:
    (said,) = speeds(SpeedWatch(), sent_hz=2.0, done_hz=2.0)
    assert re.match(r'the camera sends [12]\.\d images a second', said)
    watch = SpeedWatch()
    assert speeds(watch, sent_hz=10.0, done_hz=10.0) == []
    assert speeds(SpeedWatch(), sent_hz=10.0, done_hz=0.0) == []  # nobody wants a result
    assert not watch.problem


def test_images_that_arrive_old_are_no_slow_machine_and_no_slow_camera() -> None:
    watch = SpeedWatch()
    looks = [watch.look(0.25 * at, 5 * at, 5 * at, 0.02, 0.5, late_s=0.45) for at in range(40)]
    (said,) = filter(None, looks)
    assert said.startswith('images are 0.45 s old by their stamps when they arrive, so that')
    assert 'shorten their way from the camera' in said


@pytest.mark.parametrize(
    ('late_s', 'is_sim_time', 'words'),
    [
        (0.45, False, ''),
        (-0.05, False, ''),
        (7200.0, False, '7200.00 s old by their stamps when they arrive: let the driver stamp'),
        (-3600.0, False, '3600.00 s ahead by their stamps when they arrive: let the driver'),
        (-1.7e9, True, 'use_sim_time is true, so let whoever stamps them follow /clock, too'),
    ],
)
def test_stamps_of_another_clock_are_told_with_what_to_do(
    late_s: float, is_sim_time: bool, words: str
) -> None:
    said = wrong_stamps(late_s, 0.5, 0.1, is_sim_time=is_sim_time)
    assert words in said
    assert bool(said) == bool(words)


def test_a_camera_that_begins_late_is_no_slow_machine() -> None:
    watch = SpeedWatch()
    for at_s in range(12):  # nothing comes, as while a driver starts
        assert not watch.look(float(at_s), 0, 0, 0.0, 0.5)
    for at_s in range(12, 30):
        frames = 10 * (at_s - 11)
        assert not watch.look(float(at_s), frames, frames, 0.1, 0.5)
    assert not watch.problem


def test_that_nobody_publishes_the_images_is_the_same_sentence_everywhere(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.publisher(Image, '/front/image')
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.node(**canned(engine, silence_warn_s=0.2))
    sentence = nobody_publishes('/image', ['/front/image'])
    said = ''

    def logged() -> int:
        nonlocal said
        said += capfd.readouterr().err
        return said.count(f'Camera camera: {sentence}.')

    wait_for(logged, 'the warning')
    wait_for(
        lambda: status and status[-1].message == f'no frame has been seen yet: {sentence}',
        'the status of the stop',
    )
    wait_for(
        lambda: latest_status(diagnostics).message == sentence[0].upper() + sentence[1:],
        'the diagnostics',
    )
    count = len(status)
    wait_for(lambda: len(status) > count + 20, 'a second more')
    assert logged() == 1


@pytest.mark.parametrize(
    ('offset_s', 'kind'), [(-7200.0, 'stale'), (3600.0, 'future_stamp')], ids=['old', 'ahead']
)
def test_a_stop_by_stamps_of_another_clock_says_what_to_do_and_is_logged_once(
    offset_s: float, kind: str, graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    graph.node(**canned(engine))
    drive = Drive(graph, offset_s=offset_s)
    words = 'by their stamps when they arrive: let the driver stamp them by the time of this'
    try:
        wait_for(lambda: status and words in status[-1].message, 'the sentence')
        assert values_of(status[-1])['kind'] == kind
        count = len(status)
        wait_for(lambda: len(status) > count + 20, 'a second more')
    finally:
        drive.close()
    assert len(re.findall(rf'Camera camera: .*{words}', capfd.readouterr().err)) == 1


def test_images_that_cannot_be_read_are_no_slow_machine(graph: Graph, engine: Path) -> None:
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.node(**canned(engine))
    drive = Drive(graph)
    words = "images come, but cannot be read. The encoding 'h264' is not known"
    try:
        wait_for(lambda: status and values_of(status[-1])['kind'] == 'clear', 'go')
        drive.encoding = 'h264'
        wait_for(lambda: words in status[-1].message, 'the sentence')
        assert values_of(status[-1])['kind'] == 'stale'
        wait_for(lambda: words[1:] in latest_status(diagnostics).message, 'the diagnostics')
        drive.encoding = 'rgb8'
        wait_for(lambda: values_of(status[-1])['kind'] == 'clear', 'go again')
    finally:
        drive.close()


def test_images_that_nobody_wants_looked_at_are_told_once(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.node(**canned(engine, silence_warn_s=0.2))
    drive = Drive(graph)
    said = ''

    def logged() -> int:
        nonlocal said
        said += capfd.readouterr().err
        return said.count('images come, but nobody subscribes to a result yet')

    try:
        wait_for(logged, 'the sentence')
        status = graph.collect(DiagnosticArray, '/diagnostics')
        wait_for(lambda: len(status) > 2, 'some more diagnostics')
    finally:
        drive.close()
    assert logged() == 1


def test_without_a_mounting_one_warning_says_what_stays_silent_and_go_names_its_zone(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    graph.node(**canned(engine, silence_warn_s=0.2))
    drive = Drive(graph, info=camera_info())
    said = ''

    def logged(words: str) -> int:
        nonlocal said
        said += capfd.readouterr().err
        return said.count(words)

    try:
        wait_for(lambda: logged('Two lines mend it:\n  lens: publish sensor'), 'the warning')
        wait_for(lambda: logged('Go: the way is proven clear (image zone).'), 'go')
    finally:
        drive.close()
    assert logged('Two lines mend it') == 1
    assert 'mount.z is not set and there is no TF, so that nothing is known in metres: ' in said
    assert (
        'the stop guesses its zone in the picture (geometry guessed: image, not corridor)' in said
    )
    assert '\n  place: -p mount.z:=[METRES] (the lens above the ground), or TF from ' in said


def test_go_and_stop_that_take_turns_are_not_logged_again_and_again(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    beats = itertools.count()
    kinds = (StopKind.STALE, StopKind.CLEAR)

    def decide(now_ns: int) -> VehicleDecision:
        kind = StopKind.PERSON if (beat := next(beats)) == 40 else kinds[beat % 2]
        decision = StopDecision(kind is not StopKind.CLEAR, kind, kind.meaning, None, 'x', now_ns)
        return VehicleDecision(decision, '', {})

    heartbeat = StopHeartbeat(graph.peer, 100.0, decide)
    wait_for(lambda: next(beats) > 60, 'some beats')
    heartbeat.destroy()
    said = capfd.readouterr().err
    assert said.count('Stop: the newest frame is too old') <= 2
    assert said.count('Stop: a person is in the zone') <= 1
    assert said.count('Go: the way is proven clear (x)') <= 2
