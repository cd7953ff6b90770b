# SPDX-License-Identifier: Apache-2.0
"""The pedestrian stop as a status."""

from __future__ import annotations

from seg_ros.core.stop.decision import Cause, StopDecision
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.conversions import stamp_text
from seg_ros.messages.types import DiagnosticStatus, KeyValue

__all__ = ['stop_status']

LEVELS = {
    Cause.CLEAR: DiagnosticStatus.OK,
    Cause.PERSON: DiagnosticStatus.WARN,
    Cause.START: DiagnosticStatus.ERROR,
    Cause.FAULT: DiagnosticStatus.ERROR,
}


def stop_status(name: str, decision: StopDecision, now_ns: int) -> DiagnosticStatus:
    """Returns a decision as a status: OK is go, WARN a person, ERROR a fault."""
    values = {
        'stop': str(decision.stop).lower(),
        'kind': decision.kind.value,
        'zone': decision.zone,
        'geometry': f'guessed: {decision.guess}' if decision.guess else 'known',
        'for_s': f'{max(0, now_ns - decision.since_ns) / NS_PER_S:.2f}',
    }
    if decision.zone_by:
        values['zone_by'] = decision.zone_by
    if decision.frame_ns is not None:
        values['frame_stamp'] = stamp_text(decision.frame_ns)
    if decision.delay_s is not None:
        values['expected_delay_s'] = f'{decision.delay_s:.2f}'
    if decision.person is not None:
        values['nearest.id'] = str(decision.person.id)
        values['nearest.distance_m'] = f'{decision.person.distance_m:.2f}'
        values['nearest.lateral_m'] = f'{decision.person.lateral_m:.2f}'
        values['nearest.time_to_zone_s'] = f'{decision.person.time_to_zone_s:.2f}'
    return DiagnosticStatus(
        level=LEVELS[decision.kind.cause],
        name=name,
        message=decision.reason,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
