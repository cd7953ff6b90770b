# SPDX-License-Identifier: Apache-2.0
"""Several robots in one bag: each camera goes with the odometry and transforms of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.recording import RecordedSpan
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.replay import replay
from seg_ros.replay.roles import roles_of
from test.replay.recordings import (
    BEGIN_NS,
    CHATTER,
    IMAGE,
    drive_rows,
    image_row,
    info_row,
    messages_of,
    picture,
    row,
    write_bag,
)

IMAGES = 30


def bag_of(path: Path, *namespaces: str, more: tuple[str, ...] = ()) -> Path:
    """Writes the same drive under each namespace; ``more`` are transforms of nobody's camera."""
    rows = [item for item in drive_rows(IMAGES, range(5, IMAGES)) if item.topic != CHATTER]
    made = [item._replace(topic=name + item.topic) for item in rows for name in namespaces]
    for topic in more:
        kind = 'nav_msgs/msg/Odometry' if 'odom' in topic else 'tf2_msgs/msg/TFMessage'
        made.append(row(topic, BEGIN_NS, kind))
    return write_bag(path, made)


@pytest.mark.parametrize(
    ('namespaces', 'more', 'image', 'expected'),
    [
        (
            ('/a', '/b'), (), '/b/camera/image',
            {'/b/tf_static': 'tf_static', '/b/odom': 'odometry'},
        ),
        (
            ('/fleet/a', '/fleet/b'), ('/tf', '/fleet/a/tf'), '/fleet/a/camera/image',
            {'/fleet/a/tf': 'tf', '/fleet/a/tf_static': 'tf_static', '/fleet/a/odom': 'odometry'},
        ),
        (
            ('',), ('/a/tf', '/tf', '/a/odom'), '/camera/image',
            {'/tf': 'tf', '/tf_static': 'tf_static', '/odom': 'odometry'},
        ),
        (
            ('/a',), ('/b/tf_static', '/b/tf', '/tf', '/a/wheels/odom'), '/a/camera/image',
            {'/tf': 'tf', '/a/tf_static': 'tf_static', '/a/odom': 'odometry'},
        ),
    ],
)  # fmt: skip
def test_a_camera_goes_with_what_is_nearest_to_its_namespace(
    namespaces: tuple[str, ...],
    more: tuple[str, ...],
    image: str,
    expected: dict[str, str],
    tmp_path: Path,
) -> None:
    recording = BagRecording(bag_of(tmp_path / 'bag', *namespaces, more=more))
    roles = roles_of(recording, NodeConfig(), [image], '', ['none'])
    assert {name: role for name, role in roles.others.items() if role != 'lens'} == expected
    for topic in expected:
        is_default = topic in ('/tf', '/tf_static', '/odom')
        names = [word.strip('.') for said in recording.trouble for word in said.split()]
        assert (topic in names) is not is_default


def test_which_of_several_cameras_is_taken_is_told(tmp_path: Path) -> None:
    """Also where only one of them has a CameraInfo, and where the parameters name none of them."""
    at_ns = BEGIN_NS
    rows = [
        image_row(at_ns, picture(), '/a/depth'),
        info_row(at_ns),
        image_row(at_ns, picture()),
    ]
    bag = write_bag(tmp_path / 'bag', rows)
    recording = BagRecording(bag)
    assert list(roles_of(recording, NodeConfig(), [], '', ['none']).cameras) == [IMAGE]
    assert f'{IMAGE} is taken. --topic takes another: /a/depth' in recording.trouble[0]
    recording = BagRecording(bag)
    config = replace(NodeConfig(), image_topics=('/front/image',))
    assert list(roles_of(recording, config, [], '', ['none']).cameras) == [IMAGE]
    assert f'has no /front/image, as the parameters have it; {IMAGE} is taken' in ' '.join(
        recording.trouble
    )
    recording = BagRecording(bag)
    roles_of(recording, NodeConfig(), [IMAGE], '', ['none'])
    assert recording.trouble == []


def test_transforms_that_could_be_of_any_robot_are_not_guessed(tmp_path: Path) -> None:
    bag = bag_of(tmp_path / 'bag', '/a', more=('/b/tf', '/c/tf'))
    recording = BagRecording(bag)
    roles = roles_of(recording, NodeConfig(), ['/a/camera/image'], '', ['none'])
    assert 'tf' not in roles.others.values()
    assert any('None of /b/tf, /c/tf is taken' in said for said in recording.trouble)


def test_the_mounting_of_a_robot_in_a_namespace_is_known_also_from_the_middle_on(
    tmp_path: Path, config: NodeConfig
) -> None:
    bag = bag_of(tmp_path / 'bag', '/robot1')
    span = RecordedSpan(1.0, 1.0)  # its transforms are published once, at the begin
    job = ReplayJob(bag, tmp_path / 'out', config, topics=('/robot1/camera/image',), span=span)
    summary = replay(job)
    assert 'Transforms are taken from /robot1/tf_static.' in summary.trouble
    poses = messages_of(tmp_path / 'out', '/segmentation/pedestrians')
    assert len(poses[-1].poses) == 1  # who is there in metres only with a geometry
