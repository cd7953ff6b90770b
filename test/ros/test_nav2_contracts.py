# SPDX-License-Identifier: Apache-2.0
"""Nav2's plugins, with the parameters of config/nav2, fed by the node over DDS.

The canned backend gives an image in the engine's colours exactly those labels, so that everybody
knows where everything is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from nav_msgs.msg import OccupancyGrid
from numpy.typing import NDArray
from sensor_msgs.msg import Image, LaserScan, PointCloud2

from seg_ros.core.navigation.autoware_mask import AUTOWARE_IDS, AutowareMask
from test.core.navigation.autoware_decoder import decoded
from test.paths import REPOSITORY
from test.ros.drive import Drive
from test.ros.graph import Graph, graph_of, pixels_of, wait_for
from test.ros.nav2_consumers import (
    SENSOR_DATA_50,
    CollisionMonitor,
    ObstacleLayer,
    SemanticLayer,
    parameters,
    stamp_s,
    xyz_of,
)
from test.ros.nodes import canned
from test.ros.painted_road import (
    CAMERA,
    COLOURS,
    IDS,
    LAYER,
    PERSON_M,
    SIZE_WH,
    SPEC,
    camera_info,
    picture,
)
from test.tiny_onnx import network, write_engine

ENGINES = sorted((REPOSITORY / 'engines').glob('*/spec.yaml'))
TOPICS = {
    'obstacles': PointCloud2,
    'scan': LaserScan,
    'drivable': OccupancyGrid,
    'costmap/mask': Image,
    'costmap/confidence': Image,
    'costmap/points': PointCloud2,
    'autoware/mask': Image,
    'instances': Image,
}


class Robot(NamedTuple):
    """A node, its camera, and what was published."""

    graph: Graph
    drive: Drive
    messages: dict[str, list[Any]]

    def see(self, image: NDArray[np.uint8], frames: int = 1) -> dict[str, list[Any]]:
        """Shows a picture; returns the messages about it by topic, of the same frames."""
        self.drive.image = image
        self.drive.running = True
        since_s = self.graph.peer.get_clock().now().nanoseconds * 1e-9 + 0.1

        def stamps() -> list[float]:
            rows = [
                {stamp_s(message) for message in list(row) if stamp_s(message) > since_s}
                for row in self.messages.values()
            ]
            return sorted(set.intersection(*rows))

        wait_for(lambda: len(stamps()) >= frames, f'{frames} frames on every topic')
        chosen = set(stamps()[:frames])
        return {
            topic: sorted((row for row in list(rows) if stamp_s(row) in chosen), key=stamp_s)
            for topic, rows in self.messages.items()
        }

    def now_s(self) -> float:
        return float(self.graph.peer.get_clock().now().nanoseconds * 1e-9)


@pytest.fixture(scope='module')
def robot(domain_id: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    engine = write_engine(
        tmp_path_factory.mktemp('nav2') / 'tiny',
        network(SIZE_WH, classes=len(IDS)),
        network_size=list(SIZE_WH),
        classes=SPEC['classes'],
    )
    mount = {f'mount.{name}': [getattr(CAMERA.mount, name)] for name in ('x', 'z', 'pitch')}
    with graph_of(domain_id) as graph:
        messages = {
            topic: graph.collect(kind, f'/segmentation/{topic}', SENSOR_DATA_50)
            for topic, kind in TOPICS.items()
        }
        graph.node(**canned(engine, **mount))
        drive = Drive(graph, image=picture(), info=camera_info())
        try:
            wait_for(lambda: all(messages.values()), 'every topic reaches a best-effort reader')
            yield Robot(graph, drive, messages)
        finally:
            drive.close()


@pytest.fixture(scope='module')
def person(robot: Robot) -> dict[str, list[Any]]:
    return robot.see(picture(PERSON_M), frames=3)


@pytest.fixture(scope='module')
def empty(robot: Robot) -> dict[str, list[Any]]:
    return robot.see(picture(), frames=20)


@pytest.fixture(scope='module')
def far(robot: Robot) -> Any:
    return robot.see(picture((15.0, 0.0)))['obstacles'][0]


def assert_it_is_the_person(marks: NDArray[np.float64], cell_m: float) -> None:
    """Within 10 cm laterally and 5 % along; a cell's centre is up to 0.7 cells from its points."""
    x, y = PERSON_M
    slack = math.sqrt(0.5) * cell_m
    assert len(marks)
    assert abs(marks[:, 0] - x).max() <= 0.05 * x + slack
    assert abs(0.5 * (marks[:, 1].min() + marks[:, 1].max()) - y) <= 0.1
    assert abs(marks[:, 1] - y).max() <= 0.25 + 0.1 + slack


class TestEveryMessage:
    def test_has_the_stamp_of_the_image_and_all_of_a_frame_the_same(
        self, person: dict[str, list[Any]]
    ) -> None:
        stamps = {tuple(stamp_s(row) for row in rows) for rows in person.values()}
        assert len(stamps) == 1

    def test_is_in_the_base_frame_and_pictures_in_the_cameras(
        self, person: dict[str, list[Any]]
    ) -> None:
        frames = {topic: rows[0].header.frame_id for topic, rows in person.items()}
        for topic in ('obstacles', 'scan', 'drivable', 'costmap/points'):
            assert frames[topic] == 'base_link'
        for topic in ('costmap/mask', 'costmap/confidence', 'autoware/mask'):
            assert frames[topic] == 'camera_optical'

    def test_of_a_picture_is_packed_and_all_three_have_one_size(
        self, person: dict[str, list[Any]]
    ) -> None:
        mask, sure, cloud = (
            person[f'costmap/{name}'][0] for name in ('mask', 'confidence', 'points')
        )
        for image in (mask, sure):
            assert (image.encoding, image.step) == ('mono8', image.width)
            assert len(image.data) == image.width * image.height
        assert (mask.width, mask.height) == (sure.width, sure.height) == (160, 90)
        assert (cloud.width, cloud.height) == (mask.width, mask.height)
        assert cloud.row_step == cloud.point_step * cloud.width


class TestObstacleLayer:
    @pytest.fixture(params=['costmap_obstacle_layer.yaml', 'costmap_voxel_layer.yaml'])
    def layer(self, request: pytest.FixtureRequest) -> ObstacleLayer:
        values = parameters(request.param, *LAYER)
        return ObstacleLayer(values[values['plugins'][0]], values['resolution'])

    def test_the_cloud_marks_a_person_where_it_stands(
        self, layer: ObstacleLayer, person: dict[str, list[Any]]
    ) -> None:
        layer.on_cloud('obstacles', person['obstacles'][0], 0.0)
        assert_it_is_the_person(layer.marks(), layer.resolution_m)

    def test_the_scan_marks_a_person_where_it_stands_and_clears_what_is_free(
        self, layer: ObstacleLayer, person: dict[str, list[Any]]
    ) -> None:
        layer.on_scan('scan', person['scan'][0], 0.0)
        marks = layer.marks()
        road = marks[np.abs(marks[:, 1]) < 4.5]
        assert_it_is_the_person(road, layer.resolution_m)
        assert np.abs(marks[:, 1]).max() < 5.3  # the pavement is where it begins
        assert layer.cost_at(6.0, 0.0) == 0
        assert layer.cost_at(15.0, -1.0) == 0
        assert layer.cost_at(1.0, 0.0) is None  # below the image

    def test_an_empty_road_marks_nothing(
        self, layer: ObstacleLayer, empty: dict[str, list[Any]]
    ) -> None:
        for cloud in empty['obstacles']:
            layer.on_cloud('obstacles', cloud, 0.0)
        assert len(layer.marks()) == 0
        layer.on_scan('scan', empty['scan'][0], 0.0)
        assert not (np.abs(layer.marks()[:, 1]) < 4.5).any()

    def test_a_person_who_left_is_cleared_by_the_scan(
        self,
        layer: ObstacleLayer,
        person: dict[str, list[Any]],
        empty: dict[str, list[Any]],
    ) -> None:
        layer.on_cloud('obstacles', person['obstacles'][0], 0.0)
        layer.on_scan('scan', empty['scan'][0], 0.1)
        marks = layer.marks()
        assert not (np.abs(marks[:, 1]) < 4.5).any()

    def test_a_late_camera_makes_the_layer_not_current(
        self, layer: ObstacleLayer, person: dict[str, list[Any]]
    ) -> None:
        layer.on_cloud('obstacles', person['obstacles'][0], 10.0)
        layer.on_scan('scan', person['scan'][0], 10.0)
        assert layer.is_current(10.4)
        assert not layer.is_current(10.6)


class TestCollisionMonitor:
    @pytest.fixture(params=['jazzy', 'humble'])
    def monitor(self, request: pytest.FixtureRequest) -> CollisionMonitor:
        values = parameters(
            f'collision_monitor_{request.param}.yaml', 'collision_monitor', 'ros__parameters'
        )
        return CollisionMonitor(values, ignores_stale=request.param == 'humble')

    def test_a_person_in_the_zone_is_a_stop(
        self, monitor: CollisionMonitor, person: dict[str, list[Any]]
    ) -> None:
        for cloud in person['obstacles']:
            monitor.on_cloud(cloud)
            assert monitor.action(stamp_s(cloud) + 0.1) == 'stop'

    def test_an_empty_road_lets_the_robot_go_frame_after_frame(
        self, monitor: CollisionMonitor, empty: dict[str, list[Any]]
    ) -> None:
        assert len(empty['obstacles']) == 20
        for cloud in empty['obstacles']:
            assert (cloud.width, len(cloud.data)) == (0, 0)
            monitor.on_cloud(cloud)
            assert monitor.action(stamp_s(cloud) + 0.1) == 'go'

    def test_a_stale_camera_is_a_stop_except_on_humble_which_needs_the_gate(
        self, monitor: CollisionMonitor, empty: dict[str, list[Any]]
    ) -> None:
        monitor.on_cloud(empty['obstacles'][0])
        later_s = stamp_s(empty['obstacles'][0]) + 0.6
        assert monitor.action(later_s) == ('go' if monitor.ignores_stale else 'stop')
        if monitor.ignores_stale:
            assert monitor.values['cmd_vel_in_topic'] == 'cmd_vel_gated'

    def test_a_person_further_away_is_a_slow_down(
        self, monitor: CollisionMonitor, far: PointCloud2
    ) -> None:
        monitor.on_cloud(far)
        assert monitor.action(stamp_s(far)) == 'slowdown'


class TestSemanticLayer:
    @pytest.fixture
    def layer(self) -> SemanticLayer:
        values = parameters('costmap_semantic_layer.yaml', *LAYER)
        return SemanticLayer(values[values['plugins'][0]], values['resolution'], IDS)

    @pytest.mark.parametrize('spec', ENGINES, ids=lambda path: path.parent.name)
    def test_every_class_of_the_engine_is_in_the_parameters(
        self, layer: SemanticLayer, spec: Path
    ) -> None:
        rows = yaml.safe_load(spec.read_text())['classes']
        layer.class_ids = {row['name']: row['id'] for row in rows}
        assert layer.critical_errors() == set()

    def test_all_four_topics_are_of_one_namespace(self, layer: SemanticLayer) -> None:
        source = layer.values['camera']
        topics = {name: value for name, value in source.items() if name.endswith('_topic')}
        assert {topic.rpartition('/')[0] for topic in topics.values()} == {'/segmentation/costmap'}
        assert len(topics) == 4

    def test_a_person_costs_where_it_stands_and_the_road_is_free(
        self, layer: SemanticLayer, person: dict[str, list[Any]]
    ) -> None:
        images = zip(*(person[f'costmap/{name}'] for name in ('mask', 'confidence', 'points')),
                     strict=True)  # fmt: skip
        for mask, confidence, cloud in images:
            layer.on_images(mask, confidence, cloud)
        assert layer.dropped == 0
        tiles = list(layer.costs())
        lethal = np.array([centre for centre, _, cost in tiles if cost == 254])
        assert_it_is_the_person(lethal, layer.resolution_m)
        people = {cost for _, class_id, cost in tiles if class_id == IDS['pedestrian']}
        assert people == {254}
        roads = {cost for _, class_id, cost in tiles if class_id == IDS['road']}
        assert roads == {0}
        pavement = {cost for _, class_id, cost in tiles if class_id == IDS['pavement']}
        assert 150 in pavement
        assert pavement <= {100, 150}

    def test_the_sky_costs_nothing_anywhere(
        self, layer: SemanticLayer, empty: dict[str, list[Any]]
    ) -> None:
        mask, cloud = empty['costmap/mask'][0], empty['costmap/points'][0]
        layer.on_images(mask, None, cloud)
        assert IDS['sky'] not in {class_id for _, class_id, _ in layer.costs()}
        finite = np.isfinite(xyz_of(cloud)).all(axis=1)
        labels = pixels_of(mask).ravel()
        assert (labels == IDS['sky']).any()
        assert not (finite & (labels == IDS['sky'])).any()


class TestDrivable:
    def test_the_grid_lies_in_the_base_frame_and_shows_person_and_road(
        self, person: dict[str, list[Any]]
    ) -> None:
        grid = person['drivable'][0]
        info = grid.info
        cells = np.array(grid.data, np.int8).reshape(info.height, info.width)
        assert (info.origin.position.x, info.origin.position.y) == (0.0, -10.0)
        rows, columns = np.nonzero(cells == 100)
        x = info.origin.position.x + info.resolution * (columns + 0.5)
        y = info.origin.position.y + info.resolution * (rows + 0.5)
        road = np.abs(y) < 4.5
        assert_it_is_the_person(np.column_stack([x, y])[road], info.resolution)
        assert cells[round((0.0 + 10.0) / 0.1), round(6.0 / 0.1)] == 0


class TestAutoware:
    def test_the_fusion_node_decodes_the_person(self, person: dict[str, list[Any]]) -> None:
        message = person['autoware/mask'][0]
        assert message.encoding == 'mono8'
        mask = decoded(AutowareMask((message.width, message.height), bytes(message.data)))
        truth = (picture(PERSON_M) == COLOURS[IDS['pedestrian']]).all(axis=2)
        np.testing.assert_array_equal(mask == AUTOWARE_IDS['PERSON'], truth)
        assert AUTOWARE_IDS['UNKNOWN'] not in mask


class TestInstances:
    def test_the_person_has_a_number(self, person: dict[str, list[Any]]) -> None:
        message = person['instances'][0]
        assert (message.encoding, message.step) == ('16UC1', 2 * message.width)
        image = np.frombuffer(message.data, '<u2').reshape(message.height, message.width)
        truth = (picture(PERSON_M) == COLOURS[IDS['pedestrian']]).all(axis=2)
        np.testing.assert_array_equal(image == 1000 * IDS['pedestrian'] + 1, truth)
        assert (image[~truth] % 1000 == 0).all()


class TestSilence:
    """While nothing can be known nothing is said; what was said grows old."""

    def test_a_camera_that_stops_leaves_no_new_message(self, robot: Robot) -> None:
        robot.drive.running = False
        self.silent(robot)
        robot.see(picture())

    def test_a_covered_lens_is_silence_and_no_empty_cloud(self, robot: Robot) -> None:
        robot.drive.image = np.full((*SIZE_WH[::-1], 3), COLOURS[IDS['road']], np.uint8)
        self.silent(robot)
        robot.see(picture())

    def test_a_failed_network_is_silence(self, robot: Robot) -> None:
        chosen = robot.graph.nodes[-1].chosen
        assert chosen is not None
        backend: Any = chosen.backend
        backend.fail()
        self.silent(robot)
        backend.recover()
        robot.see(picture())

    def silent(self, robot: Robot) -> None:
        for rows in robot.messages.values():
            wait_for(lambda rows=rows: robot.now_s() - stamp_s(rows[-1]) > 0.6, 'silence')
        values = parameters('collision_monitor_jazzy.yaml', 'collision_monitor', 'ros__parameters')
        monitor = CollisionMonitor(values, ignores_stale=False)
        monitor.on_cloud(robot.messages['obstacles'][-1])
        assert monitor.action(robot.now_s()) == 'stop'
