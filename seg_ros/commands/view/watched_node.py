# SPDX-License-Identifier: Apache-2.0
"""Watched node: a segmentation node on the graph, listened to while somebody looks at it.

Its subscriptions keep the newest message alone, and are looked at as often as the page is drawn:
what comes in between costs nothing here.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import OccupancyGrid, Odometry
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, PointCloud2
from std_msgs.msg import Bool, String
from visualization_msgs.msg import MarkerArray

from seg_ros.commands.view.audience import LiveView
from seg_ros.commands.view.scene import Heard, scene_of
from seg_ros.core.errors import SegRosError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import config_from_values, options_of
from seg_ros.ros.vehicle_geometry import (
    CameraGeometry,
    NodeTransforms,
    node_mounting,
    node_transforms,
)

__all__ = ['NodeName', 'WatchedNode', 'nodes_on']

STOP = 'pedestrian_stop'
OF_NODE = {STOP: Bool, f'{STOP}/status': DiagnosticStatus}
OF_CAMERA = {
    'overlay/compressed': CompressedImage,
    'markers': MarkerArray,
    'drivable': OccupancyGrid,
    'obstacles': PointCloud2,
    'lane_track/status': DiagnosticStatus,
    'classes': String,
}
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
ASK_AGAIN_S = 2.0  # for parameters that nobody has told yet
SPEED_OLD_S = 1.0

NodeName = str
"""Its full name, like ``/segmentation``."""


def nodes_on(node: Node) -> list[NodeName]:
    """Returns the segmentation nodes of the graph: whoever has a stop."""
    return sorted(
        topic.removesuffix(f'/{STOP}')
        for topic, types in node.get_topic_names_and_types()
        if topic.endswith(f'/{STOP}')
        and 'std_msgs/msg/Bool' in types
        and node.count_publishers(topic) > 0
    )


class WatchedNode:
    """Listens to one camera of one node.

    Args:
        node: Creates the subscriptions.
        name: Of the node that is watched.
        camera: One of its cameras; empty for the first one.
        with_motion: Whether its odometry is listened to, too.
    """

    def __init__(self, node: Node, name: NodeName, camera: str, *, with_motion: bool) -> None:
        self._node = node
        self.name = name
        self.camera = camera
        self.config: NodeConfig | None = None
        self._with_motion = with_motion
        self._heard = Heard()
        self._taken = 0
        self._geometry: CameraGeometry | None = None
        self._transforms: NodeTransforms | None = None
        self._subscriptions = [self._listen(topic, kind, name) for topic, kind in OF_NODE.items()]
        self._listens_to_camera = False
        self._elsewhere: set[str] = set()
        self._parameters = node.create_client(GetParameters, f'{name}/get_parameters')
        self._answer: Any = None
        self._asked_s = -ASK_AGAIN_S

    @property
    def taken(self) -> int:
        """How many messages have been heard."""
        return self._taken

    def refresh(self) -> None:
        """Follows the graph: topics that have come, parameters that have changed."""
        self._ask_for_parameters()
        if self.config is None:
            return
        if not self._listens_to_camera:
            self._listens_to_camera = True
            names = self.config.camera_names
            self.camera = self.camera if self.camera in names else names[0]
            prefix = self.name if len(names) == 1 else f'{self.name}/{self.camera}'
            self._subscriptions += [
                self._listen(topic, kind, prefix) for topic, kind in OF_CAMERA.items()
            ]
        self._listen_elsewhere()
        if self._geometry is None:
            self._follow_geometry()
        else:
            self._geometry.watch()

    def view(self) -> LiveView:
        """Returns what is shown now."""
        now_s = time.monotonic()
        picture = self._heard.messages.get('overlay/compressed')
        data = b'' if picture is None else bytes(picture.data)
        heard_s = self._heard.at_s.get('overlay/compressed')
        scene = {
            'node': self.name,
            'camera': self.camera,
            'cameras': list(self.config.camera_names) if self.config is not None else [],
            **scene_of(self._heard, self._camera(data, picture), self.config, now_s),
            'picture_age_s': None if heard_s is None else round(now_s - heard_s, 2),
            'speed_mps': self.speed_mps(now_s),
            'geometry': self._geometry.reason if self._geometry is not None else '',
        }
        number = 0 if heard_s is None else round(heard_s * 1e3)
        return LiveView(scene=scene, picture=data, picture_number=number)

    def speed_mps(self, now_s: float) -> float | None:
        """Returns how fast the vehicle is; None while nobody says."""
        odometry = self._heard.fresh('odometry', now_s, SPEED_OLD_S)
        return None if odometry is None else round(abs(odometry.twist.twist.linear.x), 2)

    def forget_parameters(self) -> None:
        """Asks for them again: somebody has changed some."""
        self._answer, self._asked_s = None, -ASK_AGAIN_S
        if self._geometry is not None:
            self._geometry.destroy()
            self._geometry = None

    def destroy(self) -> None:
        """Listens no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        if self._geometry is not None:
            self._geometry.destroy()
        if self._transforms is not None:
            self._transforms.destroy()
        self._node.destroy_client(self._parameters)

    def _listen(self, topic: str, kind: Any, prefix: str) -> Any:
        qos = LATCHED if topic == 'classes' else NEWEST
        return self._node.create_subscription(
            kind, f'{prefix}/{topic}', functools.partial(self._take, topic), qos
        )

    def _take(self, topic: str, message: Any) -> None:
        self._taken += 1
        self._heard.take(topic, message, time.monotonic())

    def _listen_elsewhere(self) -> None:
        """Subscribes to what is not below the node: its diagnostics, and what it drives by."""
        wanted: list[tuple[str, Any, Iterable[str], QoSProfile]] = [
            (
                'diagnostics',
                DiagnosticArray,
                self._topics(
                    self._node.get_publisher_names_and_types_by_node,
                    'diagnostic_msgs/msg/DiagnosticArray',
                ),
                NEWEST,
            )
        ]
        if self._with_motion:
            wanted.append(
                (
                    'odometry',
                    Odometry,
                    self._topics(
                        self._node.get_subscriber_names_and_types_by_node,
                        'nav_msgs/msg/Odometry',
                    ),
                    QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
                )
            )
        for what, kind, topics, qos in wanted:
            for topic in topics if what not in self._elsewhere else ():
                self._elsewhere.add(what)
                take = self._take_diagnostics if what == 'diagnostics' else self._take
                self._subscriptions.append(
                    self._node.create_subscription(kind, topic, functools.partial(take, what), qos)
                )
                break

    def _take_diagnostics(self, topic: str, message: DiagnosticArray) -> None:
        """Of a topic that all nodes share only what this one says."""
        own = self.name.rpartition('/')[2]
        message.status = [row for row in message.status if row.name.startswith(f'{own}: ')]
        if message.status:
            self._take(topic, message)

    def _topics(self, of_node: Callable[[str, str], Any], type_name: str) -> Iterator[str]:
        namespace, _, name = self.name.rpartition('/')
        with suppress(Exception):  # rclpy raises where the node has just gone
            for topic, types in of_node(name, namespace or '/'):
                if type_name in types:
                    yield topic

    def _ask_for_parameters(self) -> None:
        now_s = time.monotonic()
        if self._answer is not None and self._answer.done():
            answer, self._answer = self._answer.result(), None
            if answer is not None:
                names = [name for name, _, _ in options_of(NodeConfig)]
                self.config = _config_of(zip(names, answer.values, strict=False))
        elif self._answer is None and now_s - self._asked_s >= ASK_AGAIN_S:
            is_first = self.config is None or self._asked_s < 0.0
            if is_first and self._parameters.service_is_ready():
                self._asked_s = now_s
                names = [name for name, _, _ in options_of(NodeConfig)]
                self._answer = self._parameters.call_async(GetParameters.Request(names=names))

    def _follow_geometry(self) -> None:
        """Once the node has said which topic its camera is on."""
        config, topic = self.config, self._image_topic()
        if config is None or not topic:
            return
        if self._transforms is None:
            with suppress(SegRosError):
                self._transforms = node_transforms(self._node, config)
        mounting = node_mounting(config, self._transforms)
        self._geometry = CameraGeometry(self._node, self.camera, topic, config, mounting)

    def _image_topic(self) -> str:
        message = self._heard.messages.get('diagnostics')
        for status in message.status if message is not None else ():
            values = {row.key: row.value for row in status.values}
            topic = values.get('input', '').partition(' (')[0]
            if values.get('camera') == self.camera and topic.startswith('/'):
                return topic
        return ''

    def _camera(self, jpeg: bytes, picture: Any) -> Any:
        if self._geometry is None or not jpeg:
            return None
        size_wh = jpeg_size_wh(jpeg)
        return self._geometry.camera(size_wh, picture.header.frame_id) if size_wh else None


def jpeg_size_wh(data: bytes) -> tuple[int, int] | None:
    """Returns the size that the header of a JPEG tells, without decoding it; None if none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], 'big')
        # ITU T.81, table B.1: a start of frame, but not the tables among their numbers
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(data[at + i : at + i + 2], 'big') for i in (5, 7))
            return width, height
        at += 2 + length
    return None


def _config_of(values: Iterable[tuple[str, Any]]) -> NodeConfig | None:
    """The parameters of the node as far as this version knows them."""
    known: dict[str, Any] = {}
    for name, message in values:
        value = Parameter.from_parameter_msg(ParameterMessage(name=name, value=message)).value
        if value is not None:
            is_plain = isinstance(value, (bool, int, float, str))
            known[name] = value if is_plain else tuple(value)
    with suppress(SegRosError, TypeError):
        return config_from_values(NodeConfig(), known)
    return None
