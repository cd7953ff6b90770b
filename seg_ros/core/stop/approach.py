# SPDX-License-Identifier: Apache-2.0
"""Time to zone: when each person will be in the zone, if it walks on as it does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.stop.tracking import LEAST_WALK_MPS, TrackedPerson, sure_velocity
from seg_ros.core.stop.zones import CorridorZone, GroundBox, GroundZone

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
# Whose feet are hidden is placed by the width, and its bearing is good to so much: the middle of
# what is seen is not that of who stands there. Of the places of near_who 10 cm inside the edge a
# wheelchair is found at 0.989 with this, as without a limit, at 0.933 with 0.15, 0.917 without.
# Without a limit who passes 1 m beside the way stops, four times in ten minutes of quiet drives
ASIDE_M = 0.3
# Of one frame's standard deviation that no filter takes away: the network loses the same foot in
# the next frame. Tuned on recorded labels, see
# test_who_seems_just_beyond_the_end_counts_as_inside.
FRAME_DOUBT = 0.6
# Of half the corridor's width: a car's half, 0.9 m, of 1.5 m, and the vehicle's where it is wider.
# Ground that is taken for pavement there is a wrong label or a way that robots share with people.
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
    times_s = [INF] * len(people)
    rows = [_row(person) for person in people]
    near = [index for index, row in enumerate(rows) if _may_get_into(zone.box, row)]
    if near:
        found_s = _walking_times_s(np.array([rows[index] for index in near]), zone, front_m)
        for index, time_s in zip(near, found_s, strict=True):
            times_s[index] = time_s
    for index, person in enumerate(people):
        way = None if person.is_coasting else person.seen.cut_way
        if way is not None and zone.contains(_on_cut_way(person, way)).any():
            times_s[index] = 0.0
    return times_s


def _may_get_into(box: GroundBox, row: tuple[float, ...]) -> bool:
    """Whether any of its places until the horizon is in a box; most people keep far from it."""
    x, y, vx, vy, nearer_x, nearer_y, legs_x, legs_y = row
    way_x, way_y = HORIZON_S * vx, HORIZON_S * vy
    return (
        x + max(way_x, 0.0) - min(nearer_x, legs_x, 0.0) >= box.x0
        and x + min(way_x, 0.0) - max(nearer_x, legs_x, 0.0) <= box.x1
        and y + max(way_y, 0.0) - min(nearer_y, legs_y, 0.0) >= box.y0
        and y + min(way_y, 0.0) - max(nearer_y, legs_y, 0.0) <= box.y1
    )


def _walking_times_s(rows: Float64Array, zone: GroundZone, front_m: float) -> list[float]:
    """Of people as ``_row`` tells of them, wherever on their way they are in the zone."""
    places, velocities = rows[:, :2], rows[:, 2:4]
    offsets = np.zeros((3, len(rows), 2))
    offsets[1], offsets[2] = rows[:, 4:6], rows[:, 6:]
    # Who stands is where it is, who walks is asked for later as well
    count, walking = len(rows), np.flatnonzero(velocities.any(axis=1))
    ahead = places[walking, None] + velocities[walking, None] * AHEAD_S[1:, None]
    later = (ahead - offsets[:, walking, None]).reshape(len(offsets), -1, 2)
    found = _is_inside(zone, np.concatenate([places - offsets, later], axis=1))
    inside = np.zeros((count, len(AHEAD_S)), np.bool_)
    inside[:, 0] = found[:count]
    inside[walking, 1:] = found[count:].reshape(ahead.shape[:2])
    if isinstance(zone, CorridorZone):
        inside[walking, 1:] &= ahead[..., 0] >= front_m - BESIDE_M
    first = inside.argmax(axis=1).tolist()
    return [float(AHEAD_S[step]) if inside[row, step] else INF for row, step in enumerate(first)]


def _is_inside(zone: GroundZone, places: Float64Array) -> NDArray[np.bool_]:
    """Whether any of the places along the first axis is in the zone."""
    inside = zone.contains(places.reshape(-1, 2)).reshape(places.shape[:-1])
    return np.asarray(inside.any(axis=0))


def keeps_to_the_pavement(
    person: TrackedPerson, zone: CorridorZone, half_width_m: float = 0.0
) -> bool:
    """Whether a person stands on the pavement and does not walk towards the middle of the way.

    Who is in the middle of the way, as wide as the vehicle, keeps to no pavement.

    Args:
        person: Who.
        zone: The way, as far as it can be guessed.
        half_width_m: Of the vehicle.
    """
    if person.is_coasting or not person.seen.on_pavement:
        return False
    vx, vy = _sure_velocity(person)
    later = person.x_m + PAVEMENT_LOOK_S * vx, person.y_m + PAVEMENT_LOOK_S * vy
    _, offset_m = zone.locate(np.array([(person.x_m, person.y_m), later]))
    if abs(offset_m[0]) < max(MIDDLE_SHARE * zone.half_width_m, half_width_m):
        return False
    return bool(abs(offset_m[0]) - abs(offset_m[1]) < LEAST_WALK_MPS * PAVEMENT_LOOK_S)


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


def _row(person: TrackedPerson) -> tuple[float, ...]:
    """Place, velocity, and two ways in metres by which it may be nearer: ``(x, y)`` each.

    In numbers, not in arrays of all people: for a dozen these cost more than all that is computed.
    """
    x, y = person.x_m, person.y_m
    distance = max(math.hypot(x, y), 1e-6)
    # Forward only: to the side the bearing decides, which is good to a few centimetres, but of
    # whose feet are hidden
    doubt = min(max(person.sigma_along_m, FRAME_DOUBT * person.seen.sigma_along_m), RANGE_DOUBT_M)
    nearer = math.copysign(min(doubt * abs(x) / distance, 0.5 * abs(x)), x)
    aside = 0.0
    if person.seen.feet == 'occluded' and x:
        aside = max(-ASIDE_M, min(nearer * y / x, ASIDE_M))
    # Along the line of sight to where it may stand by the newest frame: feet that are seen once
    # count more than those that were lost a few times before
    newest = INF if person.is_coasting else person.seen.distance_m
    nearest = min(distance, newest) - person.seen.nearer_m
    legs = min(max(1.0 - nearest / distance, 0.0), LEGS_SHARE)
    return (x, y, *_sure_velocity(person), nearer, aside, legs * x, legs * y)


def _sure_velocity(person: TrackedPerson) -> tuple[float, float]:
    """Its velocity, less what may be noise; 0 for who does not walk.

    Nobody sees that who has left the picture walks on less surely than before.
    """
    if person.has_left:
        return sure_velocity(person.vx_mps, person.vy_mps, 0.0, 0.0)
    return sure_velocity(person.vx_mps, person.vy_mps, person.sigma_vx_mps, person.sigma_vy_mps)
