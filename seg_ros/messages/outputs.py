# SPDX-License-Identifier: Apache-2.0
"""Every topic of a camera: a row says its type, what it needs, and who makes its message.

The node publishes these rows, and a replay writes them. What makes a message keeps it and fills
it anew (``reused.py``); a topic of a single number is not worth it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.watched_zones.config import ZoneConfig
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.lane import departure_message, lane_path, lane_pose, lane_status
from seg_ros.messages.markers import markers_message
from seg_ros.messages.navigation import (
    autoware_mask,
    costmap_confidence,
    costmap_mask,
    costmap_points,
    drivable_message,
    instances_message,
    obstacles_message,
    scan_message,
)
from seg_ros.messages.people import boxes_message, people_message, places_message
from seg_ros.messages.types import has_type
from seg_ros.messages.zones import (
    FULL_SPEED,
    SPEED_LIMIT,
    speed_limit,
    zone_alarm,
    zone_status,
)

__all__ = [
    'IMAGE_OUTPUTS',
    'DecisionOutput',
    'ImageOutput',
    'decision_outputs',
    'detection_outputs',
    'navigation_outputs',
    'zone_outputs',
]


class ImageOutput(NamedTuple):
    """A topic with an image that the pipeline makes.

    Attributes:
        topic: Name below the node, or below the camera where there are several.
        image: Which image of ``pipeline.IMAGES`` it carries.
        encoding: Its pixels; jpeg is published as CompressedImage.
    """

    topic: str
    image: str
    encoding: str

    @property
    def type_name(self) -> str:
        return f'sensor_msgs/msg/{"CompressedImage" if self.encoding == "jpeg" else "Image"}'


class DecisionOutput(NamedTuple):
    """A topic with something that is decided about a frame.

    Attributes:
        topic: Name below the node, or below the camera where there are several.
        type_name: Its type, like ``sensor_msgs/msg/Image``.
        needs: What must be decided for it, out of ``decisions.DECISIONS``.
        make: Returns the message, or None when there is nothing to say. It may be the same
            message the next time, so that one caller has it at a time: each asks for rows of its
            own.
        frame: Whose header it gets: that of the ``base`` frame or of the ``camera``.
        when_silent: Whether it is also made of no decisions at all, while no frame is judged: for
            consumers that believe the last message for ever. Another thread may ask then, so
            that such a message is made anew.
    """

    topic: str
    type_name: str
    needs: tuple[str, ...]
    make: Callable[[Any, FrameDecisions], Any]
    frame: str = 'base'
    when_silent: bool = False


IMAGE_OUTPUTS: Mapping[str, ImageOutput] = {
    row.topic: row
    for row in (
        ImageOutput('label', 'label', 'mono8'),
        ImageOutput('label/color', 'color', 'rgb8'),
        ImageOutput('confidence', 'confidence', 'mono8'),
        ImageOutput('overlay', 'overlay', 'rgb8'),
        ImageOutput('overlay/compressed', 'overlay', 'jpeg'),
    )
}


def navigation_outputs() -> tuple[DecisionOutput, ...]:
    """Returns the rows of what stands in the way, and of where it is free."""
    return (
        DecisionOutput(
            'obstacles', 'sensor_msgs/msg/PointCloud2', ('obstacles',), obstacles_message()
        ),
        DecisionOutput('scan', 'sensor_msgs/msg/LaserScan', ('scan',), scan_message()),
        DecisionOutput(
            'drivable', 'nav_msgs/msg/OccupancyGrid', ('drivable',), drivable_message()
        ),
        DecisionOutput(
            'costmap/mask', 'sensor_msgs/msg/Image', ('costmap',), costmap_mask(), frame='camera'
        ),
        DecisionOutput(
            'costmap/confidence',
            'sensor_msgs/msg/Image',
            ('costmap',),
            costmap_confidence(),
            frame='camera',
        ),
        DecisionOutput(
            'costmap/points', 'sensor_msgs/msg/PointCloud2', ('costmap',), costmap_points()
        ),
        DecisionOutput(
            'instances',
            'sensor_msgs/msg/Image',
            ('instances',),
            instances_message(),
            frame='camera',
        ),
        DecisionOutput(
            'autoware/mask',
            'sensor_msgs/msg/Image',
            ('autoware',),
            autoware_mask(),
            frame='camera',
        ),
    )


def unconditional_outputs() -> tuple[DecisionOutput, ...]:
    """Returns the rows that there are whatever the parameters say."""
    return (
        DecisionOutput(
            'pedestrians', 'geometry_msgs/msg/PoseArray', ('stop', 'lane'), people_message()
        ),
        DecisionOutput('lane_track', 'nav_msgs/msg/Path', ('lane',), lane_path('centre')),
        DecisionOutput('lane_track/left', 'nav_msgs/msg/Path', ('lane',), lane_path('left')),
        DecisionOutput('lane_track/right', 'nav_msgs/msg/Path', ('lane',), lane_path('right')),
        DecisionOutput(
            'lane_track/pose',
            'geometry_msgs/msg/PoseWithCovarianceStamped',
            ('lane',),
            lane_pose(),
        ),
        DecisionOutput(
            'lane_track/status', 'diagnostic_msgs/msg/DiagnosticStatus', ('lane',), lane_status()
        ),
        DecisionOutput(
            'markers', 'visualization_msgs/msg/MarkerArray', ('stop', 'lane'), markers_message()
        ),
        *navigation_outputs(),
    )


def decision_outputs(config: NodeConfig) -> tuple[DecisionOutput, ...]:
    """Returns the rows of a camera, for the node and for a replay alike.

    Where a package is missing that only a row needs which the user asked for, the row is among
    them all the same: whoever publishes says what to install.
    """
    return (
        *unconditional_outputs(),
        *detection_outputs(),
        *lane_outputs(config.lane),
        *zone_outputs(config.zones),
    )


def lane_outputs(config: LaneConfig) -> tuple[DecisionOutput, ...]:
    """Returns the row of ``lane_track/departure``, where there is a warning time."""
    if not config.departure_s:
        return ()
    return (
        DecisionOutput('lane_track/departure', 'std_msgs/msg/Bool', ('lane',), departure_message),
    )


def detection_outputs() -> tuple[DecisionOutput, ...]:
    """Returns the rows of the detections; none where vision_msgs is not installed."""
    boxes, places = 'vision_msgs/msg/Detection2DArray', 'vision_msgs/msg/Detection3DArray'
    if not (has_type(boxes) and has_type(places)):
        return ()
    needs = ('stop', 'lane', 'detections')
    return (
        DecisionOutput('detections_2d', boxes, needs, boxes_message(), 'camera'),
        DecisionOutput('detections_3d', places, needs, places_message()),
    )


def zone_outputs(config: ZoneConfig) -> tuple[DecisionOutput, ...]:
    """Returns the rows of the zones: ``zone/<name>`` and ``zone/<name>/status``.

    ``speed_limit`` is among them where a zone limits the speed.
    """
    zones = config.zones()
    slow = tuple(zone for zone in zones if zone.speed_percent < FULL_SPEED)
    limits = (
        DecisionOutput(
            'speed_limit', SPEED_LIMIT, ('zones',), speed_limit(slow), when_silent=True
        ),
    )
    return (limits if slow else ()) + tuple(
        row
        for zone in zones
        for row in (
            DecisionOutput(
                f'zone/{zone.name}', 'std_msgs/msg/Bool', ('zones',), zone_alarm(zone.name)
            ),
            DecisionOutput(
                f'zone/{zone.name}/status',
                'diagnostic_msgs/msg/DiagnosticStatus',
                ('zones',),
                zone_status(zone.name),
            ),
        )
    )
