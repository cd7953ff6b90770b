# SPDX-License-Identifier: Apache-2.0
"""One recording in, one bag out: what is in it, and that it is the same every time."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import config_from_values
from seg_ros.messages.conversions import stamp_ns_of
from seg_ros.messages.plain import typestore
from seg_ros.recordings.recording import RecordedSpan
from seg_ros.replay.job import ReplayJob, ReplaySummary
from seg_ros.replay.outputs import ON_REQUEST, output_names
from seg_ros.replay.replay import ReplayProgress, replay
from test.replay.recordings import (
    BEGIN_NS,
    CHATTER,
    IMAGE,
    INFO,
    LATE_NS,
    ODOMETRY,
    PERIOD_NS,
    PERSON,
    ROAD,
    SKY,
    drive_rows,
    image_row,
    messages_of,
    picture,
    rows_of,
    write_bag,
)

STOP, STATUS = '/segmentation/pedestrian_stop', '/segmentation/pedestrian_stop/status'


@pytest.fixture(scope='session')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds; somebody stands on the road in the middle one."""
    return write_bag(tmp_path_factory.mktemp('bags') / 'drive', drive_rows(30, range(10, 20)))


def replayed(bag: Path, output: Path, config: NodeConfig, **options: Any) -> ReplaySummary:
    return replay(ReplayJob(bag, output, config, **options))


def bytes_of(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def kinds(bag: Path) -> list[tuple[float, str]]:
    """Returns time (s after the begin) and kind of every heartbeat."""
    found = [row for row in rows_of(bag) if row.topic == STATUS]
    messages = [typestore().deserialize_cdr(row.data, row.type_name) for row in found]
    return [
        ((row.recorded_ns - BEGIN_NS) / 1e9, {v.key: v.value for v in message.values}['kind'])
        for row, message in zip(found, messages, strict=True)
    ]


def test_everything_the_node_would_publish_is_in_the_bag(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    summary = replayed(bag, tmp_path / 'out', config)
    rows = rows_of(tmp_path / 'out')
    names = set(output_names(config)) - set(ON_REQUEST)
    never = {'lane_track', 'lane_track/left', 'lane_track/right', 'lane_track/pose'}  # no lines
    topics = {row.topic.removeprefix('/segmentation/') for row in rows}
    assert names - never <= topics
    assert summary.frames == 30
    assert summary.skipped == 0
    assert summary.written == len(rows)


def test_labels_are_those_of_the_images_under_their_stamps(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    replayed(bag, tmp_path / 'out', config)
    labels = messages_of(tmp_path / 'out', '/segmentation/label')
    assert [stamp_ns_of(message.header) for message in labels] == [
        BEGIN_NS + number * PERIOD_NS - LATE_NS for number in range(30)
    ]
    pixels = labels[15].data.reshape(labels[15].height, labels[15].width)
    assert labels[15].header.frame_id == 'camera_optical'
    assert (pixels[0, 0], pixels[-1, 0], pixels[40, 64]) == (SKY, ROAD, PERSON)


def test_inputs_that_are_used_are_copied_byte_for_byte_and_others_on_request(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    replayed(bag, tmp_path / 'used', config)
    replayed(bag, tmp_path / 'all', config, copied=('all',))
    replayed(bag, tmp_path / 'none', config, copied=('none',))
    recorded = sorted(rows_of(bag))
    ours = [row for row in recorded if row.topic != CHATTER]

    def copies(name: str) -> list[Any]:
        rows = rows_of(tmp_path / name)
        return sorted(row for row in rows if not row.topic.startswith('/segmentation/'))

    assert copies('all') == recorded
    assert copies('used') == ours
    assert copies('none') == []


def test_the_stop_is_judged_at_the_times_of_the_recording(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    replayed(bag, tmp_path / 'out', config)
    found = kinds(tmp_path / 'out')
    assert [round(at_s, 9) for at_s, _ in found[:3]] == [0.0, 0.05, 0.1]
    assert len(found) == 59  # 20 Hz until the last message, which is at 2.95 s
    kind = dict(found)
    assert kind[0.15] == 'unproven'
    assert kind[0.95] == 'clear'
    assert kind[1.5] == 'person'
    assert kind[2.5] == 'hold'
    assert [message.data for message in messages_of(tmp_path / 'out', STOP)] == [
        row != 'clear' for _, row in found
    ]


def test_a_camera_that_dies_is_a_stop_while_other_messages_go_on(
    tmp_path: Path, config: NodeConfig
) -> None:
    rows = [
        row
        for row in drive_rows(30)
        if row.topic != IMAGE or row.recorded_ns <= BEGIN_NS + 10 * PERIOD_NS
    ]
    replayed(write_bag(tmp_path / 'drive', rows), tmp_path / 'out', config)
    kind = dict(kinds(tmp_path / 'out'))
    assert kind[1.45] == 'clear'
    assert kind[1.5] == 'stale'  # 0.52 s after the stamp of the last image


def test_stamps_can_be_the_clock(tmp_path: Path, config: NodeConfig) -> None:
    """As where a recording was made of another recording, days later."""
    rows = [
        row._replace(recorded_ns=row.recorded_ns + 86_400_000_000_000) for row in drive_rows(10)
    ]
    bag = write_bag(tmp_path / 'drive', rows)
    replayed(bag, tmp_path / 'recording', config)
    replayed(bag, tmp_path / 'stamps', config, by_stamps=True)
    assert 'clear' not in {kind for _, kind in kinds(tmp_path / 'recording')}
    assert 'clear' in {kind for _, kind in kinds(tmp_path / 'stamps')}


def test_transforms_of_the_recording_give_the_geometry(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    replayed(bag, tmp_path / 'out', config)
    poses = messages_of(tmp_path / 'out', '/segmentation/pedestrians')
    people = [message for message in poses if len(message.poses)]
    assert people
    assert all(message.header.frame_id == 'base_link' for message in people)
    assert 1.0 < people[0].poses[0].position.x < 10.0


def test_a_calibration_file_counts_instead_of_the_camera_info(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    lens = tmp_path / 'lens.yaml'
    lens.write_text(
        'image_width: 128\nimage_height: 64\ndistortion_model: plumb_bob\n'
        'camera_matrix: {rows: 3, cols: 3, data: [300, 0, 64, 0, 300, 32, 0, 0, 1]}\n'
        'distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}\n'
    )
    replayed(bag, tmp_path / 'recorded', config)
    replayed(bag, tmp_path / 'given', config, lens=lens)

    def distance_m(name: str) -> float:
        poses = messages_of(tmp_path / name, '/segmentation/pedestrians')
        return float(next(row for row in poses if len(row.poses)).poses[0].position.x)

    assert distance_m('given') > 2.0 * distance_m('recorded')


RECTIFIED_LENS = (
    'image_width: 256\nimage_height: 128\ndistortion_model: plumb_bob\n'
    'camera_matrix: {rows: 3, cols: 3, data: [90, 0, 127.5, 0, 90, 63.5, 0, 0, 1]}\n'
    'distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.1, 0, 0, 0]}\n'
    'projection_matrix: {rows: 3, cols: 4, '
    'data: [600, 0, 127.5, 0, 0, 600, 63.5, 0, 0, 0, 1, 0]}\n'
)


def test_a_calibration_file_goes_by_the_rule_of_a_camera_info(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    """Of twice the size, and of a rectified image: as the plain file of the test above."""
    plain, rectified = tmp_path / 'plain.yaml', tmp_path / 'rectified.yaml'
    rectified.write_text(RECTIFIED_LENS)
    plain.write_text(
        'image_width: 128\nimage_height: 64\ndistortion_model: ""\n'
        'camera_matrix: {rows: 3, cols: 3, data: [300, 0, 63.5, 0, 300, 31.5, 0, 0, 1]}\n'
        'distortion_coefficients: {rows: 1, cols: 0, data: []}\n'
    )
    replayed(bag, tmp_path / 'a', config, lens=plain)
    is_rectified = config_from_values(config, {'image_is_rectified': True})
    replayed(bag, tmp_path / 'b', is_rectified, lens=rectified)

    def places(name: str) -> list[tuple[float, float]]:
        poses = messages_of(tmp_path / name, '/segmentation/pedestrians')
        return [(pose.position.x, pose.position.y) for row in poses for pose in row.poses]

    assert places('a')
    np.testing.assert_allclose(places('b'), places('a'), rtol=1e-5)


def test_a_calibration_of_another_image_is_a_stop_that_is_told(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    lens = tmp_path / 'lens.yaml'
    lens.write_text(RECTIFIED_LENS.replace('128', '256'))
    summary = replayed(bag, tmp_path / 'out', config, lens=lens)
    assert {kind for _, kind in kinds(tmp_path / 'out')} <= {'no_frame', 'no_geometry'}
    (sentence,) = summary.trouble
    assert '128x64' in sentence
    assert '256x256' in sentence


def test_a_calibration_of_zeros_is_refused(bag: Path, tmp_path: Path, config: NodeConfig) -> None:
    lens = tmp_path / 'lens.yaml'
    lens.write_text(RECTIFIED_LENS.replace('90', '0').replace('600', '0'))
    with pytest.raises(ConfigurationError, match='is of no calibrated camera'):
        replayed(bag, tmp_path / 'out', config, lens=lens)


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_two_runs_with_other_thread_counts_write_the_same_bytes(
    bag: Path, tmp_path: Path, config: NodeConfig, backend: str
) -> None:
    pytest.importorskip(backend)
    sums = []
    for threads in (1, 2):
        real = replace(config, backend=backend, inference_threads=threads)
        sums.append(replayed(bag, tmp_path / str(threads) / 'out', real).sha256_labels)
    assert sums[0] == sums[1]
    assert bytes_of(tmp_path / '1' / 'out') == bytes_of(tmp_path / '2' / 'out')


def test_the_sum_of_the_labels_changes_with_them(tmp_path: Path, config: NodeConfig) -> None:
    sums = {
        replayed(
            write_bag(tmp_path / f'in{number}', drive_rows(5, person)),
            tmp_path / f'out{number}',
            config,
        ).sha256_labels
        for number, person in enumerate(((), (2,), (3,)))
    }
    assert len(sums) == 3


def test_the_input_stays_as_it_was(bag: Path, tmp_path: Path, config: NodeConfig) -> None:
    def state() -> list[tuple[str, int, str]]:
        return [
            (path.name, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(bag.iterdir())
        ]

    before = state()
    replayed(bag, tmp_path / 'out', config)
    assert state() == before


def test_an_output_that_exists_is_refused(bag: Path, tmp_path: Path, config: NodeConfig) -> None:
    (tmp_path / 'out').mkdir()
    with pytest.raises(ConfigurationError, match='exists and is not overwritten'):
        replayed(bag, tmp_path / 'out', config)


def test_part_of_a_recording_still_has_its_transforms_and_lens(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    summary = replayed(bag, tmp_path / 'out', config, span=RecordedSpan(1.0, 1.0), every=2)
    assert summary.frames == 5
    poses = messages_of(tmp_path / 'out', '/segmentation/pedestrians')
    assert len(poses[-1].poses) == 1  # who is there in metres only with a geometry
    topics = {row.topic for row in rows_of(tmp_path / 'out')}
    assert {INFO, ODOMETRY, '/tf_static'} <= topics


def test_a_part_without_images_is_refused_and_leaves_nothing(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    with pytest.raises(ConfigurationError, match='no image to segment'):
        replayed(bag, tmp_path / 'out', config, span=RecordedSpan(2.92))
    assert not list(tmp_path.iterdir())


def test_chosen_outputs_are_all_that_is_written(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    options: dict[str, Any] = {
        'copied': ('none',),
        'outputs': ('overlay*', 'label/color', 'confidence'),
    }
    replayed(bag, tmp_path / 'out', config, **options)
    rows = rows_of(tmp_path / 'out')
    assert {row.topic.removeprefix('/segmentation/') for row in rows} == set(ON_REQUEST)
    overlay = messages_of(tmp_path / 'out', '/segmentation/overlay')[0]
    assert overlay.encoding == 'rgb8'
    with pytest.raises(ConfigurationError, match='--outputs lanes: there is none'):
        replayed(bag, tmp_path / 'other', config, outputs=('lanes',))


def test_a_broken_message_is_reported_with_its_number_and_skipped(
    tmp_path: Path, config: NodeConfig
) -> None:
    rows = list(drive_rows(10))
    images = [index for index, row in enumerate(rows) if row.topic == IMAGE]
    rows[images[4]] = rows[images[4]]._replace(data=rows[images[4]].data[:50])
    cut = image_row(rows[images[6]].recorded_ns, picture())
    rows[images[6]] = cut._replace(data=cut.data.replace(b'rgb8', b'rgbX'))
    summary = replayed(write_bag(tmp_path / 'drive', rows), tmp_path / 'out', config)
    assert (summary.frames, summary.skipped) == (8, 2)
    assert f'Message 4 of {IMAGE}' in summary.trouble[0]
    assert f'Message 6 of {IMAGE}' in summary.trouble[1]
    assert len(messages_of(tmp_path / 'out', '/segmentation/label')) == 8


def test_several_cameras_have_their_topics_and_one_stop(
    tmp_path: Path, config: NodeConfig
) -> None:
    rows = []
    for row in drive_rows(10):
        rows.append(row)
        if row.topic == IMAGE:
            rows.append(image_row(row.recorded_ns, picture(1000), '/rear/image'))
    both = config_from_values(
        config, {'camera_names': ('front', 'rear'), 'image_topics': (IMAGE[1:], 'rear/image')}
    )
    summary = replayed(write_bag(tmp_path / 'drive', rows), tmp_path / 'out', both)
    topics = {row.topic for row in rows_of(tmp_path / 'out')}
    assert summary.frames == 20
    assert {'/segmentation/front/label', '/segmentation/rear/label', STOP} <= topics
    assert '/segmentation/rear/pedestrian_stop/status' in topics


def test_a_recorded_node_is_not_copied_but_done_anew(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    replayed(bag, tmp_path / 'first', config)
    summary = replayed(tmp_path / 'first', tmp_path / 'second', config, copied=('all',))
    first, second = rows_of(tmp_path / 'first'), rows_of(tmp_path / 'second')
    assert summary.trouble == ()
    assert [row for row in second if row.topic == '/segmentation/label'] == [
        row for row in first if row.topic == '/segmentation/label'
    ]


def test_progress_goes_to_the_end(bag: Path, tmp_path: Path, config: NodeConfig) -> None:
    told: list[ReplayProgress] = []
    replay(ReplayJob(bag, tmp_path / 'out', config), told.append)
    shares = [row.share for row in told]
    assert shares == sorted(shares)
    assert shares[-1] > 0.95
    assert told[-1].frames == 30


def test_bare_inference_is_measured_on_request(
    bag: Path, tmp_path: Path, config: NodeConfig
) -> None:
    summary = replayed(bag, tmp_path / 'out', config, measure=True)
    assert summary.over_bare_rate is not None
    assert summary.over_bare_rate > 0.0
    assert 0.0 <= summary.io_share <= 1.0
    assert np.isfinite(summary.frames_per_s)
