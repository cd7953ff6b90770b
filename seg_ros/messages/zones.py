# SPDX-License-Identifier: Apache-2.0
"""The watched zones of one camera: two topics a zone, and one limit of the speed for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seg_ros.core.watched_zones.config import WatchedZone
from seg_ros.core.watched_zones.monitor import ZoneState
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.reused import ReusedStatus
from seg_ros.messages.types import Bool, DiagnosticStatus, Header, message_type

__all__ = ['FULL_SPEED', 'SPEED_LIMIT', 'speed_limit', 'zone_alarm', 'zone_status']

SPEED_LIMIT = 'nav2_msgs/msg/SpeedLimit'

FULL_SPEED = 100.0  # percent; Nav2 takes 0 for "no limit", so that 0 is never sent


def zone_alarm(name: str) -> Callable[[Header, FrameDecisions], Bool | None]:
    """Returns what makes the alarm of a zone."""

    def make(_header: Header, decisions: FrameDecisions) -> Bool | None:
        state = state_of(name, decisions)
        return None if state is None else Bool(data=state.alarm)

    return make


def zone_status(name: str) -> Callable[[Header, FrameDecisions], DiagnosticStatus | None]:
    """Returns what makes the status of a zone."""
    status = ReusedStatus()

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
        level = DiagnosticStatus.WARN if state.alarm else DiagnosticStatus.OK
        return status.filled(level, f'zone {name}, {header.frame_id}', state.reason, values)

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
