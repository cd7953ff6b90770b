"""A replay of what the node has seen says what the node has said, byte for byte."""

from __future__ import annotations

from pathlib import Path

from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2

from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import config_from_values
from seg_ros.messages.conversions import stamp_ns_of
from seg_ros.messages.plain import serialised
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.replay import replay
from test.replay.recordings import Row, rows_of, write_bag
from test.ros.drive import Drive
from test.ros.graph import Graph, wait_for
from test.ros.test_geometry import WHERE, camera_info
from test.ros.test_segmentation_node import canned, street

# What is made of one frame alone: the node may have dropped others, on a busy machine.
TOPICS = {
    'label': Image,
    'confidence': Image,
    'obstacles': PointCloud2,
    'scan': LaserScan,
    'drivable': OccupancyGrid,
    'costmap/mask': Image,
    'costmap/points': PointCloud2,
}
FRAMES = 5


def test_node_and_replay_say_the_same_about_a_frame(
    graph: Graph, engine: Path, tmp_path: Path
) -> None:
    images = graph.collect(Image, '/image')
    said = {name: graph.collect(kind, f'/segmentation/{name}') for name, kind in TOPICS.items()}
    graph.node(**canned(engine, **WHERE))
    drive = Drive(graph, image=street()[0], info=camera_info())
    try:
        wait_for(lambda: all(len(row) >= FRAMES for row in said.values()), 'some frames')
    finally:
        drive.close()
    assert drive.info is not None
    rows = [_row('/camera_info', stamp_ns_of(images[0].header), drive.info)]
    rows += [_row('/image', stamp_ns_of(message.header), message) for message in images]
    values = {name: tuple(value) for name, value in WHERE.items()}
    config = config_from_values(
        NodeConfig(), {'engine': str(engine), 'backend': 'canned', **values}
    )
    bag = write_bag(tmp_path / 'drive', rows)
    replay(ReplayJob(bag, tmp_path / 'out', config, outputs=('all',)))
    replayed = {(row.topic, row.recorded_ns): row for row in rows_of(tmp_path / 'out')}
    recorded = {row.recorded_ns for row in rows}
    for name, messages in said.items():
        both = [row for row in messages if stamp_ns_of(row.header) in recorded]
        assert both
        for message in both:
            found = replayed[f'/segmentation/{name}', stamp_ns_of(message.header)]
            assert serialised(message, found.type_name) == found.data, name


def _row(topic: str, recorded_ns: int, message: Image | CameraInfo) -> Row:
    kind = f'sensor_msgs/msg/{type(message).__name__}'
    return Row(topic, recorded_ns, kind, serialised(message, kind))
