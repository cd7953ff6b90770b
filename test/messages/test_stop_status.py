# SPDX-License-Identifier: Apache-2.0
"""What the status of the stop says of how it knows."""

from __future__ import annotations

import pytest

from seg_ros.core.stop.decision import StopDecision, StopKind
from seg_ros.messages.stop_status import stop_status


@pytest.mark.parametrize(
    ('guess', 'geometry'),
    [('', 'known'), ('no calibration has come', 'guessed: no calibration has come')],
)
def test_the_status_says_whether_the_geometry_is_guessed_and_why(
    guess: str, geometry: str
) -> None:
    decision = StopDecision(False, StopKind.CLEAR, 'clear', None, 'image zone', 0, guess=guess)
    status = stop_status('stop', decision, 0)
    assert {row.key: row.value for row in status.values}['geometry'] == geometry


def test_the_status_says_what_a_zone_in_the_picture_was_built_by() -> None:
    decision = StopDecision(False, StopKind.CLEAR, 'clear', None, 'image zone', 0, zone_by='lines')
    values = {row.key: row.value for row in stop_status('stop', decision, 0).values}
    assert values['zone_by'] == 'lines'
    on_ground = StopDecision(False, StopKind.CLEAR, 'clear', None, 'corridor', 0)
    assert 'zone_by' not in {row.key for row in stop_status('stop', on_ground, 0).values}
