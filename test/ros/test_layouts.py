# SPDX-License-Identifier: Apache-2.0
"""What RViz and Foxglove are set up to show is what the node publishes, by name and by type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from seg_ros.commands.demo.topics import IMAGE_COMPRESSED, RECORDED
from seg_ros.messages.types import message_type
from test.paths import REPOSITORY
from test.ros.graph import Graph, wait_for
from test.ros.nodes import canned

CONFIG = REPOSITORY / 'config'
CAMERA = {'/camera/image': 'sensor_msgs/msg/Image'}  # what the launch files listen to
DEMO_CAMERA = {IMAGE_COMPRESSED: 'sensor_msgs/msg/CompressedImage'}
SHOWN_BY_RVIZ = {
    'Image': 'sensor_msgs/msg/Image',
    'LaserScan': 'sensor_msgs/msg/LaserScan',
    'Map': 'nav_msgs/msg/OccupancyGrid',
    'MarkerArray': 'visualization_msgs/msg/MarkerArray',
    'Path': 'nav_msgs/msg/Path',
    'PointCloud2': 'sensor_msgs/msg/PointCloud2',
    'PoseArray': 'geometry_msgs/msg/PoseArray',
}
SHOWN_IN_3D = set(SHOWN_BY_RVIZ.values()) - {'sensor_msgs/msg/Image'}
AT_A_GLANCE = {'overlay', 'markers', 'lane_track', 'scan', 'obstacles', 'drivable', 'costmap/mask'}


@pytest.fixture
def published(graph: Graph, engine: Path) -> dict[str, str]:
    """The type of every topic of the node."""
    ours = {row.topic_name for row in graph.node(**canned(engine)).publishers}

    def seen() -> dict[str, str]:
        found = graph.peer.get_topic_names_and_types()
        return {topic: types[0] for topic, types in found if topic in ours}

    wait_for(lambda: seen().keys() == ours, 'every topic is seen')
    return seen()


def rviz_displays(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield row
        yield from rviz_displays(row.get('Displays', []))


def panels_of(layout: Any) -> Iterator[str]:
    if isinstance(layout, str):
        yield layout
    else:
        yield from panels_of(layout['first'])
        yield from panels_of(layout['second'])


def test_rviz_shows_what_the_node_publishes(published: dict[str, str]) -> None:
    text = (CONFIG / 'rviz/segmentation.rviz').read_text()
    manager = yaml.safe_load(text)['Visualization Manager']
    shown = {
        row['Topic']['Value']: SHOWN_BY_RVIZ[row['Class'].rpartition('/')[2]]
        for row in rviz_displays(manager['Displays'])
        if 'Topic' in row
    }
    assert {topic: {**published, **CAMERA}.get(topic) for topic in shown} == shown
    assert {*CAMERA, *(f'/segmentation/{name}' for name in AT_A_GLANCE)} <= shown.keys()
    assert manager['Global Options']['Fixed Frame'] == 'base_link'


def test_foxglove_shows_what_the_node_publishes_and_the_demo_records(
    published: dict[str, str],
) -> None:
    layout = json.loads((CONFIG / 'foxglove/segmentation.json').read_text())
    panels = layout['configById']
    assert sorted(panels_of(layout['layout'])) == sorted(panels)
    types = {**published, **DEMO_CAMERA}
    images, paths, shown = set(), set(), set(panels['3D!ground']['topics'])
    for panel in panels.values():
        images.add(panel.get('imageMode', {}).get('imageTopic'))
        paths |= {panel.get('path'), panel.get('topicPath')}
        paths |= {row['value'] for row in panel.get('paths', [])}
    images, paths = images - {None}, paths - {None}
    assert {types.get(topic) for topic in shown} <= SHOWN_IN_3D
    assert {types.get(topic) for topic in images} <= {
        'sensor_msgs/msg/Image',
        'sensor_msgs/msg/CompressedImage',
    }
    for path in paths:
        topic, _, field = path.rpartition('.')
        assert field in message_type(types[topic]).get_fields_and_field_types()
        shown.add(topic)
    shown |= images
    assert '/segmentation/overlay/compressed' in images
    assert {f'/segmentation/{name}' for name in AT_A_GLANCE - {'overlay'}} <= shown
    assert shown - {'/segmentation/costmap/points'} <= set(RECORDED)
