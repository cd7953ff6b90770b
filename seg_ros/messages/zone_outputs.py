"""The watched zones of one camera: two topics a zone."""

from __future__ import annotations

from collections.abc import Callable

from seg_ros.core.zone_config import ZoneConfig
from seg_ros.core.zone_monitor import ZoneState
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.decision_output import DecisionOutput
from seg_ros.messages.types import message_type

__all__ = ['zone_outputs']

Header = message_type('std_msgs/msg/Header')
Bool = message_type('std_msgs/msg/Bool')
DiagnosticStatus = message_type('diagnostic_msgs/msg/DiagnosticStatus')
KeyValue = message_type('diagnostic_msgs/msg/KeyValue')


def zone_outputs(config: ZoneConfig) -> tuple[DecisionOutput, ...]:
    """Returns the rows of the zones: ``zone/<name>`` and ``zone/<name>/status``."""
    return tuple(
        row
        for zone in config.zones()
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


def state_of(name: str, decisions: FrameDecisions) -> ZoneState | None:
    return next((state for state in decisions.zones if state.name == name), None)
