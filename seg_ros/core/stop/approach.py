# SPDX-License-Identifier: Apache-2.0
"""Time to zone: when each person will be in the zone, if it walks on as it does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.stop.tracking import LEAST_WALK_MPS, TrackedPerson, sure_velocities
from seg_ros.core.stop.zones import CorridorZone, GroundZone

__all__ = ['CUT_STEPS', 'HORIZON_S', 'keeps_to_the_pavement', 'times_to_zone_s']

Float64Array = NDArray[np.float64]

HORIZON_S = 3.0  # the most that stop.anticipate_s may be
# Every 0.15 s: at 2 m/s a step of 0.3 m, which skips no zone that is 0.5 m wide.
AHEAD_S = np.linspace(0.0, HORIZON_S, 21)
# At most so much nearer than it seems, less than stop.margin_m. Tuned on the synthetic crossings.
RANGE_DOUBT_M = 2.0
# Of the distance by which lost legs may bring somebody nearer. Without the limit, specks 30 m
# ahead stopped the vehicle: 3 false stops in the first quiet minute of roadsynth, none with it.
LEGS_SHARE = 0.15
# Of one frame's standard deviation that no filter takes away: the network loses the same foot in
# the next frame. Tuned on recorded labels, see
# test_who_seems_just_beyond_the_end_counts_as_inside.
FRAME_DOUBT = 0.6
# Of half the corridor's width: a car's half, 0.9 m, of 1.5 m. Ground that is taken for pavement
# there is a wrong label or a way that robots share with people.
MIDDLE_SHARE = 0.6
PAVEMENT_LOOK_S = 0.5  # a step: so far ahead somebody on the pavement must not come nearer
CUT_STEPS = 17  # places that are looked at where feet are cut: every 0.3 m or closer
# Standard deviations along the line of sight from where somebody was followed to
CUT_GATE = 3.0
# So long the place counts at which the feet were seen last: who is passed at 0.6 m/s goes from the
# lower border of the picture to the bumper, 2 m, meanwhile
FEET_COUNT_S = 3.0
# So far behind the bumper whoever walks in may as well walk in front of it: the doubt of somebody
# who was followed out of the picture
BESIDE_M = 1.0
INF = float('inf')


def times_to_zone_s(
    people: Sequence[TrackedPerson], zone: GroundZone, front_m: float = 0.0
) -> list[float]:
    """Seconds until each person is in the zone: 0 inside, infinite for who is not going there.

    A velocity counts only as far as it is certain. A range is seen too long rather than too
    short, because networks lose feet; so everybody is also looked for somewhat nearer, and who
    may have lost its legs where it would stand with them. Whose feet are below the picture may be
    anywhere on the way there.

    Args:
        people: Who.
        zone: Where to.
        front_m: The front bumper: nobody walks into a corridor through the vehicle.
    """
    if not people:
        return []
    places = _places(people)
    velocities = _sure_velocities(people)
    distances = np.maximum(np.hypot(places[:, 0], places[:, 1]), 1e-6)
    offsets = np.zeros((3, *places.shape))
    offsets[1, :, 0] = _doubts(people, places, distances)
    offsets[2] = _legs(people, places, distances)
    # Who stands is where it is
    count, walking = len(people), np.flatnonzero(velocities.any(axis=1))
    ahead = places[walking, None] + velocities[walking, None] * AHEAD_S[1:, None]
    later = (ahead - offsets[:, walking, None]).reshape(len(offsets), -1, 2)
    found = _is_inside(zone, np.concatenate([places - offsets, later], axis=1))
    inside = np.zeros((count, len(AHEAD_S)), np.bool_)
    inside[:, 0] = found[:count]
    inside[walking, 1:] = found[count:].reshape(ahead.shape[:2])
    if isinstance(zone, CorridorZone):
        inside[walking, 1:] &= ahead[..., 0] >= front_m - BESIDE_M
    for row, person in enumerate(people):
        if person.seen.cut_way is not None and not person.is_coasting:
            inside[row, 0] |= zone.contains(_on_cut_way(person, person.seen.cut_way)).any()
    first = inside.argmax(axis=1).tolist()
    return [float(AHEAD_S[step]) if inside[row, step] else INF for row, step in enumerate(first)]


def _is_inside(zone: GroundZone, places: Float64Array) -> NDArray[np.bool_]:
    """Whether any of the places along the first axis is in the zone."""
    inside = zone.contains(places.reshape(-1, 2)).reshape(places.shape[:-1])
    return np.asarray(inside.any(axis=0))


def keeps_to_the_pavement(person: TrackedPerson, zone: CorridorZone) -> bool:
    """Whether a person stands on the pavement and does not walk towards the middle of the way.

    Who is in the middle of the way, as wide as the vehicle, keeps to no pavement.
    """
    if person.is_coasting or not person.seen.on_pavement:
        return False
    place = _places([person])
    later = place + PAVEMENT_LOOK_S * _sure_velocities([person])
    _, offset_m = zone.locate(np.concatenate([place, later]))
    if abs(offset_m[0]) < MIDDLE_SHARE * zone.half_width_m:
        return False
    return bool(abs(offset_m[0]) - abs(offset_m[1]) < LEAST_WALK_MPS * PAVEMENT_LOOK_S)


def _places(people: Sequence[TrackedPerson]) -> Float64Array:
    return np.array([(person.x_m, person.y_m) for person in people])


def _doubts(
    people: Sequence[TrackedPerson], places: Float64Array, distances: Float64Array
) -> Float64Array:
    """``(N,)`` metres by which people may be nearer, forward only.

    To the side the bearing decides, which is good to a few centimetres.
    """
    doubts = np.array([max(p.sigma_along_m, FRAME_DOUBT * p.seen.sigma_along_m) for p in people])
    doubts = np.minimum(doubts, RANGE_DOUBT_M)
    forward = places[:, 0] / distances
    nearer = np.minimum(doubts * np.abs(forward), 0.5 * np.abs(places[:, 0]))
    return np.asarray(np.sign(forward) * nearer)


def _on_cut_way(person: TrackedPerson, way: tuple[float, float, float, float]) -> Float64Array:
    """``(N, 2)`` places where feet that are cut may stand, by this frame and those before.

    Where none of those showed the feet, many make it no surer than one: all err alike.
    """
    sigma_m = person.sigma_along_m
    if person.feet_age_s > FEET_COUNT_S:
        sigma_m = max(sigma_m, FRAME_DOUBT * person.seen.sigma_along_m)
    share = np.linspace(0.0, 1.0, CUT_STEPS)[:, None]
    places = (1.0 - share) * np.array(way[:2]) + share * np.array(way[2:])
    off_m = np.hypot(places[:, 0] - person.x_m, places[:, 1] - person.y_m)
    return np.asarray(places[off_m <= CUT_GATE * sigma_m])


def _legs(
    people: Sequence[TrackedPerson], places: Float64Array, distances: Float64Array
) -> Float64Array:
    """``(N, 2)`` metres along the line of sight to where people may stand by the newest frame.

    Feet that are seen once count more than those that were lost a few times before.
    """
    newest = np.array([INF if p.is_coasting else p.seen.distance_m for p in people])
    nearest = np.minimum(distances, newest) - [person.seen.nearer_m for person in people]
    share = np.minimum(np.maximum(1.0 - nearest / distances, 0.0), LEGS_SHARE)
    return np.asarray(share[:, None] * places)


def _sure_velocities(people: Sequence[TrackedPerson]) -> Float64Array:
    """``(N, 2)`` velocities, less what may be noise; 0 for who does not walk.

    Nobody sees that who has left the picture walks on less surely than before.
    """
    velocities = np.array([(person.vx_mps, person.vy_mps) for person in people])
    doubts = np.array(
        [
            (0.0, 0.0) if person.has_left else (person.sigma_vx_mps, person.sigma_vy_mps)
            for person in people
        ]
    )
    return sure_velocities(velocities, doubts)
