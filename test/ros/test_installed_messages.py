# SPDX-License-Identifier: Apache-2.0
"""vision_msgs and nav2_msgs themselves, on the graph, where they are installed; PyPI has none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sensor_msgs.msg import CameraInfo

from test.ros.drive import Drive
from test.ros.graph import LATCHED, Graph, graph_of, wait_for
from test.ros.nav2_consumers import SENSOR_DATA_50
from test.ros.nodes import canned
from test.ros.painted_road import CAMERA, IDS, PERSON_M, SIZE_WH, SPEC, picture
from test.tiny_onnx import network, write_engine

vision_msgs = pytest.importorskip('vision_msgs.msg')
nav2_msgs = pytest.importorskip('nav2_msgs.msg')

ZONE = {
    'zones.names': ['slow'],
    'zones.polygons': ['ground 5 2 12 2 12 -2 5 -2'],
    'zones.max_share': [0.001],
    'zones.hold_s': [0.2],
    'zones.speed_percent': [40.0],
}


@pytest.fixture
def watched(domain_id: int, tmp_path: Path) -> Iterator[tuple[Graph, Drive]]:
    engine = write_engine(
        tmp_path / 'tiny',
        network(SIZE_WH, classes=len(IDS)),
        network_size=list(SIZE_WH),
        classes=SPEC['classes'],
    )
    mount = {f'mount.{name}': [getattr(CAMERA.mount, name)] for name in ('x', 'z', 'pitch')}
    with graph_of(domain_id) as graph:
        graph.node(**canned(engine, **mount, **ZONE))
        lens = CAMERA.intrinsics
        info = CameraInfo(width=lens.width, height=lens.height, distortion_model='plumb_bob')
        info.k, info.d = lens.k.reshape(-1).tolist(), [0.0] * 5
        drive = Drive(graph, image=picture(PERSON_M), info=info)
        try:
            yield graph, drive
        finally:
            drive.close()


def test_a_person_is_detected_and_slows_the_controller_down(
    watched: tuple[Graph, Drive],
) -> None:
    graph, drive = watched
    labels = graph.collect(vision_msgs.LabelInfo, '/segmentation/costmap/label_info', LATCHED)
    boxes = graph.collect(
        vision_msgs.Detection2DArray, '/segmentation/detections_2d', SENSOR_DATA_50
    )
    places = graph.collect(
        vision_msgs.Detection3DArray, '/segmentation/detections_3d', SENSOR_DATA_50
    )
    limits = graph.collect(nav2_msgs.SpeedLimit, '/segmentation/speed_limit')
    wait_for(lambda: places and places[-1].detections and boxes and labels, 'detections')
    (box,), (place,) = boxes[-1].detections, places[-1].detections
    names = {str(row.class_id): row.class_name for row in labels[-1].class_map}
    assert names[box.results[0].hypothesis.class_id] == 'pedestrian'
    assert box.id == place.id != ''
    where = place.bbox.center.position
    assert (where.x, where.y) == pytest.approx(PERSON_M, abs=0.4)
    wait_for(lambda: limits and limits[-1].speed_limit == 40.0, 'a limit')
    drive.image = picture()
    wait_for(lambda: limits[-1].speed_limit == 100.0, 'all of the speed again')
    wait_for(lambda: not boxes[-1].detections and not places[-1].detections, 'nobody is left')
    drive.running = False
    wait_for(lambda: limits[-1].speed_limit == 40.0, 'the limit of a camera that is silent')
    assert all(row.percentage and row.speed_limit > 0.0 for row in limits)
