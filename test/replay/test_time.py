# SPDX-License-Identifier: Apache-2.0
"""Clocks as other people have them: set while recording, standing still, at zero."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.messages.plain import plain_type, serialised, typestore
from seg_ros.replay.job import ReplayJob, ReplaySummary
from seg_ros.replay.replay import replay
from test.replay.recordings import (
    BEGIN_NS,
    IMAGE,
    PERIOD_NS,
    Row,
    drive_rows,
    header,
    image_row,
    info_row,
    picture,
    rows_of,
    write_bag,
)

STOP = '/segmentation/pedestrian_stop'
DAY_NS = 24 * 3600 * 10**9
IMAGES = 10

Stamp = Callable[[int], int]


def stamped(rows: list[Row], stamp_of: Stamp) -> list[Row]:
    """Returns the rows with other header stamps, by the times of their recording."""
    made = []
    for item in rows:
        message = typestore().deserialize_cdr(item.data, item.type_name)
        if hasattr(message, 'header'):
            stamp_ns = stamp_of(item.recorded_ns)
            time = message.header.stamp
            time.sec, time.nanosec = divmod(stamp_ns, 10**9)
            data = bytes(typestore().serialize_cdr(message, item.type_name))
            item = item._replace(data=data)
        made.append(item)
    return made


def run(tmp_path: Path, config: NodeConfig, rows: list[Row], **options: Any) -> ReplaySummary:
    bag = write_bag(tmp_path / 'drive', rows)
    outputs = ('label', 'pedestrian_stop', 'pedestrian_stop/status')
    return replay(ReplayJob(bag, tmp_path / 'out', config, outputs=outputs, **options))


def beats(tmp_path: Path) -> list[tuple[int, bool]]:
    return [
        (item.recorded_ns, bool(item.data[4])) for item in rows_of(tmp_path / 'out')
        if item.topic == STOP
    ]  # fmt: skip


@pytest.mark.parametrize('gap_ns', [60 * 10**9, DAY_NS, BEGIN_NS - 100 * 10**9])
@pytest.mark.parametrize('by_stamps', [False, True])
def test_a_gap_is_one_beat_that_says_unproven_and_is_told(
    tmp_path: Path, config: NodeConfig, gap_ns: int, by_stamps: bool
) -> None:
    rows = list(drive_rows(IMAGES))
    late = list(drive_rows(IMAGES))[2:]
    early = [item._replace(recorded_ns=item.recorded_ns - gap_ns) for item in rows]
    early = stamped(early, lambda recorded_ns: recorded_ns)
    late = stamped(late, lambda recorded_ns: recorded_ns)
    summary = run(tmp_path, config, [*early, *late], by_stamps=by_stamps)
    assert summary.frames == 2 * IMAGES
    assert 'are missing before message' in ' '.join(summary.trouble)
    end_of_early = BEGIN_NS - gap_ns + IMAGES * PERIOD_NS
    found = beats(tmp_path)
    assert len(found) < 2 * IMAGES * 3
    through = [stop for at_ns, stop in found if end_of_early - PERIOD_NS // 2 < at_ns <= BEGIN_NS]
    assert through[:1] == [True]
    assert len(through) <= 2  # that of the gap, and the first behind it


@pytest.mark.parametrize(
    'name', ['zero', 'first zero', 'middle zero', 'standing', 'since boot', 'back']
)
def test_by_the_stamps_there_is_always_a_heartbeat_and_what_is_wrong_is_told(
    tmp_path: Path, config: NodeConfig, name: str
) -> None:
    middle_ns = BEGIN_NS + 5 * PERIOD_NS
    stamp_of: Stamp = {
        'zero': lambda _: 0,
        'first zero': lambda at_ns: 0 if at_ns == BEGIN_NS else at_ns,
        'middle zero': lambda at_ns: 0 if at_ns == middle_ns else at_ns,
        'standing': lambda _: BEGIN_NS,
        'back': lambda at_ns: at_ns if at_ns < middle_ns else at_ns - 60 * 10**9,
        'since boot': lambda at_ns: at_ns - BEGIN_NS + 5000 * 10**9,
    }[name]
    rows = [item for item in stamped(list(drive_rows(IMAGES)), stamp_of) if item.topic == IMAGE]
    summary = run(tmp_path, config, rows, by_stamps=True)
    assert summary.frames == IMAGES
    found = beats(tmp_path)
    assert len(found) == 1 if name == 'standing' else 10 <= len(found) <= 30
    told = ' '.join(summary.trouble)
    assert ('stamp of zero' in told) == ('zero' in name)
    assert ('go back by 5' in told) == (name == 'back')
    assert ('stands still' in told) == (name == 'standing')
    if name == 'zero':
        assert all(stop for _, stop in found)


@pytest.mark.parametrize('back_ms', [20, 150, 900])
def test_a_camera_whose_stamps_step_back_a_little_is_told_once(
    tmp_path: Path, config: NodeConfig, back_ms: int
) -> None:
    at = [BEGIN_NS + number * PERIOD_NS for number in range(IMAGES)]
    shift_ns = PERIOD_NS + back_ms * 10**6  # of every image from the sixth on
    rows = [item for item in drive_rows(IMAGES) if item.topic == IMAGE]
    rows = stamped(rows, lambda at_ns: at_ns - shift_ns * (at_ns >= at[5]))
    summary = run(tmp_path, config, rows, by_stamps=True)
    assert summary.frames == IMAGES
    (told,) = [sentence for sentence in summary.trouble if 'go back' in sentence]
    assert f'stamps of {IMAGE} go back, first by {back_ms / 1000:.3f} s at message 5' in told


def test_where_nothing_could_be_read_the_known_reason_is_in_the_refusal(
    tmp_path: Path, config: NodeConfig
) -> None:
    kind = 'sensor_msgs/msg/CompressedImage'
    video = plain_type(kind)(
        header=header(BEGIN_NS), format='h264', data=np.frombuffer(b'\0\0\0\1gabc', np.uint8)
    )
    rows = [
        Row('/camera/image/compressed', BEGIN_NS + n, kind, serialised(video, kind))
        for n in range(5)
    ]
    with pytest.raises(ConfigurationError, match=r'h264(?s:.)*There are 2 more'):
        run(tmp_path, config, rows)


def test_a_camera_without_camera_info_is_told_once(tmp_path: Path, config: NodeConfig) -> None:
    rows = [image_row(BEGIN_NS + n * PERIOD_NS, picture(n)) for n in range(3)]
    summary = run(tmp_path, config, rows)
    (sentence,) = summary.as_json()['notes']
    assert f'There is no CameraInfo for {IMAGE}' in sentence


def test_a_camera_info_of_zeros_is_told_once(tmp_path: Path, config: NodeConfig) -> None:
    info = info_row(BEGIN_NS)
    message = typestore().deserialize_cdr(info.data, info.type_name)
    message.k = np.zeros(9)
    info = info._replace(data=serialised(message, info.type_name))
    rows = [info, *(image_row(BEGIN_NS + n * PERIOD_NS, picture(n)) for n in range(3))]
    (sentence,) = run(tmp_path, config, rows).as_json()['notes']
    assert sentence == (
        'Camera camera: the camera is not calibrated, k and p of its CameraInfo are zero'
    )


def test_with_a_camera_info_nothing_is_told(tmp_path: Path, config: NodeConfig) -> None:
    rows = [info_row(BEGIN_NS), image_row(BEGIN_NS + 1, picture())]
    assert run(tmp_path, config, rows).as_json()['notes'] == []
