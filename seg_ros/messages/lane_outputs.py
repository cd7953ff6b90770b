"""What is published about the lane only where the configuration asks for it."""

from __future__ import annotations

from seg_ros.core.lane.config import LaneConfig
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.decision_output import DecisionOutput
from seg_ros.messages.types import message_type

__all__ = ['lane_outputs']

Header = message_type('std_msgs/msg/Header')
Bool = message_type('std_msgs/msg/Bool')


def lane_outputs(config: LaneConfig) -> tuple[DecisionOutput, ...]:
    """Returns the row of ``lane_track/departure``, where there is a warning time."""
    if not config.departure_s:
        return ()
    return (
        DecisionOutput('lane_track/departure', 'std_msgs/msg/Bool', ('lane',), departure_message),
    )


def departure_message(_header: Header, decisions: FrameDecisions) -> Bool | None:
    """Returns whether the vehicle is about to cross a line; nothing where that is not known."""
    lane = decisions.lane
    if lane is None or lane.departure is None:
        return None
    return Bool(data=bool(lane.departure))
