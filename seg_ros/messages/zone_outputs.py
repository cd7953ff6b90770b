"""The watched zones of one camera: two topics a zone, and one limit of the speed for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seg_ros.core.watched_zones.config import WatchedZone, ZoneConfig
from seg_ros.core.watched_zones.monitor import ZoneState
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.decision_output import DecisionOutput
from seg_ros.messages.types import message_type

__all__ = ['zone_outputs']

Header = message_type('std_msgs/msg/Header')
Bool = message_type('std_msgs/msg/Bool')
DiagnosticStatus = message_type('diagnostic_msgs/msg/DiagnosticStatus')
KeyValue = message_type('diagnostic_msgs/msg/KeyValue')
SPEED_LIMIT = 'nav2_msgs/msg/SpeedLimit'

FULL_SPEED = 100.0  # percent; Nav2 takes 0 for "no limit", so that 0 is never sent


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


def zone_alarm(name: str) -> Callable[[Header, FrameDecisions], Bool | None]:
    """Returns what makes the alarm of a zone."""

    def make(_header: Header, decisions: FrameDecisions) -> Bool | None:
        state = state_of(name, decisions)
        return None if state is None else Bool(data=state.alarm)

    return make


def zone_status(name: str) -> Callable[[Header, FrameDecisions], DiagnosticStatus | None]:
    """Returns what makes the status of a zone."""

    def make(header: Header, decisions: FrameDecisions) -> DiagnosticStatus | None:
        state = state_of(name, decisions)
        if state is None:
            return None
        values = {
            'alarm': str(state.alarm).lower(),
            'share': f'{state.share:.4f}',
            'min_share': f'{state.min_share:.4f}',
            'max_share': f'{state.max_share:.4f}',
        }
        return DiagnosticStatus(
            level=DiagnosticStatus.WARN if state.alarm else DiagnosticStatus.OK,
            name=f'zone {name}, {header.frame_id}',
            message=state.reason,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )

    return make


def speed_limit(zones: tuple[WatchedZone, ...]) -> Callable[[Header, FrameDecisions], Any]:
    """Returns what makes the limit of the slowest zone that has an alarm, or is not known."""

    def make(header: Header, decisions: FrameDecisions) -> Any:
        calm = {state.name for state in decisions.zones if not state.alarm}
        percents = [zone.speed_percent for zone in zones if zone.name not in calm]
        limit = min(percents, default=FULL_SPEED)
        return message_type(SPEED_LIMIT)(header=header, percentage=True, speed_limit=limit)

    return make


def state_of(name: str, decisions: FrameDecisions) -> ZoneState | None:
    return next((state for state in decisions.zones if state.name == name), None)
