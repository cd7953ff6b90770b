"""When each person will be in the zone, if it walks on as it does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.tracking import TrackedPerson
from seg_ros.core.zones import CorridorZone, GroundZone

__all__ = ['HORIZON_S', 'keeps_to_the_pavement', 'times_to_zone_s']

Float64Array = NDArray[np.float64]

HORIZON_S = 3.0
STEPS = 20
LEAST_APPROACH_MPS = 0.3  # slower is swaying, or noise
VELOCITY_DOUBT = 1.5  # standard deviations that are taken off a velocity before it is believed
RANGE_DOUBT_M = 2.0  # at most so much nearer than it seems, by its standard deviation
PAVEMENT_LOOK_S = 0.5


def times_to_zone_s(people: Sequence[TrackedPerson], zone: GroundZone) -> list[float]:
    """Seconds until each person is in the zone: 0 inside, infinite for who is not going there.

    A velocity counts only as far as it is certain. So that noise of the range hides nobody, a
    person is also inside where it would be one standard deviation nearer.
    """
    if not people:
        return []
    places = _places(people)
    ahead_s = np.linspace(0.0, HORIZON_S, STEPS + 1)
    ahead = places[:, None] + _sure_velocities(people)[:, None] * ahead_s[:, None]
    distance = np.maximum(np.hypot(places[:, 0], places[:, 1]), 1e-6)
    doubt = np.minimum([person.sigma_along_m for person in people], RANGE_DOUBT_M)
    nearer = places * (1.0 - np.minimum(doubt / distance, 0.5))[:, None]
    points = np.concatenate([ahead, nearer[:, None]], axis=1)
    inside = zone.contains(points.reshape(-1, 2)).reshape(len(people), -1)
    inside[:, 0] |= inside[:, -1]
    walked_in = inside[:, :-1]
    first = np.argmax(walked_in, axis=1).tolist()
    return [
        float(ahead_s[step]) if walked_in[row, step] else float('inf')
        for row, step in enumerate(first)
    ]


def keeps_to_the_pavement(person: TrackedPerson, zone: CorridorZone) -> bool:
    """Whether a person stands on the pavement and does not walk towards the middle of the way."""
    if person.is_coasting or not person.seen.on_pavement:
        return False
    place = _places([person])
    later = place + PAVEMENT_LOOK_S * _sure_velocities([person])
    _, offset_m = zone.locate(np.concatenate([place, later]))
    return bool(abs(offset_m[0]) - abs(offset_m[1]) < LEAST_APPROACH_MPS * PAVEMENT_LOOK_S)


def _places(people: Sequence[TrackedPerson]) -> Float64Array:
    return np.array([(person.x_m, person.y_m) for person in people])


def _sure_velocities(people: Sequence[TrackedPerson]) -> Float64Array:
    """``(N, 2)`` velocities, less what may be noise; 0 for who does not walk."""
    velocities = np.array([(person.vx_mps, person.vy_mps) for person in people])
    doubts = np.array([(person.sigma_vx_mps, person.sigma_vy_mps) for person in people])
    sure = np.maximum(np.abs(velocities) - VELOCITY_DOUBT * doubts, 0.0) * np.sign(velocities)
    sure[np.hypot(sure[:, 0], sure[:, 1]) < LEAST_APPROACH_MPS] = 0.0
    return np.asarray(sure)
