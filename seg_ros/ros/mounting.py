"""Where the cameras are, from TF where tf2_ros is installed, else from parameters."""

from __future__ import annotations

import importlib
from typing import Any

from rclpy.node import Node
from rclpy.time import Time

from seg_ros.core.config import NodeConfig
from seg_ros.core.errors import ConfigurationError
from seg_ros.messages.mounting import LookUp, Mounting, wants_transforms

__all__ = ['node_mounting']


def node_mounting(node: Node, config: NodeConfig) -> Mounting:
    """Returns the mounting that the parameters ask for.

    Raises:
        ConfigurationError: TF is asked for, but tf2_ros is not installed.
    """
    look_up = None
    if wants_transforms(config):
        look_up = _tf_look_up(node, required=config.mount.source == 'tf')
    return Mounting(config, look_up)


def _tf_look_up(node: Node, *, required: bool) -> LookUp | None:
    try:
        tf2_ros = importlib.import_module('tf2_ros')
    except ImportError as error:
        if required:
            raise ConfigurationError(
                f'mount.source is tf, but tf2_ros cannot be imported: {error}. Install '
                'ros-<distribution>-tf2-ros-py, or give mount.x to mount.yaw.'
            ) from error
        return None
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, node)

    def look_up(base_frame: str, frame_id: str, _listener: Any = listener) -> Any:
        return buffer.lookup_transform(base_frame, frame_id, Time())

    return look_up
