"""What a row of a table of topics says, for everything that is decided about a frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from seg_ros.decisions import FrameDecisions

__all__ = ['DecisionOutput']


class DecisionOutput(NamedTuple):
    """One topic.

    Attributes:
        topic: Name below the node, or below the camera where there are several.
        type_name: Its type, like ``sensor_msgs/msg/Image``.
        needs: What must be decided for it, out of ``decisions.DECISIONS``.
        make: Returns the message, or None when there is nothing to say.
        frame: Whose header it gets: that of the ``base`` frame or of the ``camera``.
        when_silent: Whether it is also made of no decisions at all, while no frame is judged: for
            consumers that believe the last message for ever.
    """

    topic: str
    type_name: str
    needs: tuple[str, ...]
    make: Callable[[Any, FrameDecisions], Any]
    frame: str = 'base'
    when_silent: bool = False
