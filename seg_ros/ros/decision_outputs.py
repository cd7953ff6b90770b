"""The publishers of everything that is decided about a camera's frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header

from seg_ros.core.lane.track import LaneTrack
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.outputs import DecisionOutput
from seg_ros.messages.types import has_type, message_type

__all__ = ['DecisionOutputs']

QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)


class DecisionOutputs:
    """The publishers of one camera's decisions.

    Args:
        node: Creates the publishers.
        prefix: ``~`` or ``~/<camera>``.
        base_frame: Frame of what is published in metres.
        rows: What is published.
        place: Puts a lane into the frame of its paths; None leaves them in the base frame.

    What needs a package that is not installed is left out, and the log says so.
    """

    def __init__(
        self,
        node: Node,
        prefix: str,
        base_frame: str,
        rows: tuple[DecisionOutput, ...],
        place: Callable[[LaneTrack], LaneTrack] | None = None,
    ) -> None:
        self._node = node
        self._place = place
        self._base_frame = base_frame
        self._publishers = [
            (row, node.create_publisher(message_type(row.type_name), f'{prefix}/{row.topic}', QOS))
            for row in rows
            if self._is_possible(row)
        ]

    def wanted(self) -> set[str]:
        """Returns what must be decided for those who subscribe."""
        return {
            need
            for row, publisher in self._publishers
            if publisher.get_subscription_count() > 0
            for need in row.needs
        }

    def publish(self, camera_header: Header, decisions: FrameDecisions) -> None:
        """Publishes under the stamp of the image."""
        headers = {
            'base': Header(stamp=camera_header.stamp, frame_id=self._base_frame),
            'camera': camera_header,
        }
        lane = decisions.lane
        if self._place is not None and lane is not None and lane.valid and self._is_lane_wanted():
            decisions = replace(decisions, lane=self._place(lane))
        for row, publisher in self._publishers:
            if publisher.get_subscription_count() > 0:
                message = row.make(headers[row.frame], decisions)
                if message is not None:
                    publisher.publish(message)

    def publish_silence(self) -> None:
        """Tells those who would believe the last message for ever that no frame is judged."""
        stamp = self._node.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id=self._base_frame)
        for row, publisher in self._publishers:
            if row.when_silent and publisher.get_subscription_count() > 0:
                publisher.publish(row.make(header, FrameDecisions()))

    def _is_lane_wanted(self) -> bool:
        return any(
            row.topic.startswith('lane_track') and publisher.get_subscription_count() > 0
            for row, publisher in self._publishers
        )

    def _is_possible(self, row: DecisionOutput) -> bool:
        if has_type(row.type_name):
            return True
        package = row.type_name.partition('/')[0]
        self._node.get_logger().warning(
            f'There is no {row.topic}, because {package} is not installed. Install '
            f'ros-$ROS_DISTRO-{package.replace("_", "-")} and start the node again.'
        )
        return False

    def destroy(self) -> None:
        """Removes the publishers from the graph."""
        for _, publisher in self._publishers:
            self._node.destroy_publisher(publisher)
