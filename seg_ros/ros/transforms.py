"""TF in the node, where tf2_ros is installed."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.lane.track import LaneTrack
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.messages.lane import placed_lane
from seg_ros.messages.mounting import Mounting, wants_transforms

__all__ = ['NodeTransforms', 'lane_placing', 'node_mounting', 'node_transforms']

WAIT_S = 0.05  # odometry may be a little later than the camera


class NodeTransforms:
    """Listens to TF for all who ask.

    Raises:
        ImportError: tf2_ros is not installed.
    """

    def __init__(self, node: Node) -> None:
        tf2_ros = importlib.import_module('tf2_ros')
        self._clock_type = node.get_clock().clock_type
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def newest(self, frame: str, of_frame: str) -> Any:
        """Returns the newest TransformStamped of a frame in another; raises without one."""
        return self._buffer.lookup_transform(frame, of_frame, Time())

    def at(self, frame: str, of_frame: str, stamp_ns: int) -> Any:
        """Returns that of a time, and waits for it a little; not for the executor's thread."""
        stamp = Time(nanoseconds=stamp_ns, clock_type=self._clock_type)
        return self._buffer.lookup_transform(frame, of_frame, stamp, Duration(seconds=WAIT_S))


def node_transforms(node: Node, config: NodeConfig) -> NodeTransforms | None:
    """Returns TF where the parameters ask for it, and where it is welcome and there.

    Raises:
        ConfigurationError: TF is asked for, but tf2_ros is not installed.
    """
    if not (wants_transforms(config) or config.lane.frame):
        return None
    try:
        return NodeTransforms(node)
    except ImportError as error:
        for asked, instead in (
            (config.mount.source == 'tf', 'mount.source is tf: give mount.x to mount.yaw'),
            (config.lane.frame, f'lane.frame is {config.lane.frame}: leave it empty'),
        ):
            if asked:
                raise ConfigurationError(
                    f'{instead}, or install ros-<distribution>-tf2-ros-py; tf2_ros cannot be '
                    f'imported: {error}.'
                ) from error
        return None


def node_mounting(config: NodeConfig, transforms: NodeTransforms | None) -> Mounting:
    """Returns where the cameras are, from TF or from parameters, as the parameters say."""
    if transforms is None or not wants_transforms(config):
        return Mounting(config, None)
    return Mounting(config, transforms.newest)


def lane_placing(
    config: NodeConfig, transforms: NodeTransforms | None
) -> Callable[[LaneTrack], LaneTrack] | None:
    """Returns what puts a lane into ``lane.frame``; None where that is the base frame."""
    if transforms is None or not config.lane.frame:
        return None
    return functools.partial(
        placed_lane,
        frame=config.lane.frame,
        base_frame=config.base_frame,
        look_up=transforms.at,
    )
