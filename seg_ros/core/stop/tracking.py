# SPDX-License-Identifier: Apache-2.0
"""Kalman tracker of people on the ground: constant velocity, gated nearest neighbours, ids.

Positions are in the base frame and move with it; velocities are over ground where odometry is
given, and against the vehicle where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from seg_ros.core.stop.evidence import Evidence
from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.stop.person_state import MeasuredPlace, PersonState, WalkNoise
from seg_ros.core.units import NS_PER_S

__all__ = ['LEAST_WALK_MPS', 'EgoStep', 'PeopleTracker', 'TrackedPerson', 'sure_velocity']

GATE = 13.8  # squared Mahalanobis distance; chi-square, 2 degrees: refuses 1 right pair in 1000
# The same across the line of sight, 1 degree, 3 sigma: the bearing alone must fit, however unsure
# the range; see test_somebody_at_another_bearing_is_not_taken_for_who_was_lost_half_a_second_ago.
GATE_ACROSS = 9.0
# Of the nearer of two ranges: one estimate of both may not be nearer. Who walks across the line of
# sight stays above it up to 90 degrees between two frames (cos 45 degrees is 0.71).
LEAST_FUSED = 0.7
# From frame to frame nobody becomes four times as tall in the picture: that takes a person from
# 4 m to 1 m. It keeps a hand far away from somebody near (test_tracking).
GATE_HEIGHT = 4.0
# Added to the cost of a pair, 2 sigma squared: an old track wins against one not yet confirmed.
UNCONFIRMED_COST = 4.0
LEAST_WALK_MPS = 0.3  # a quarter of a walk; slower is swaying, or what noise leaves
# Standard deviations that are taken off a velocity before it is believed: noise alone exceeds
# them in 7 of 100 either way, and LEAST_WALK_MPS takes most of these. Tuned on the synthetic
# crossings (evaluate --task stop); see test_range_noise_far_away_makes_neither_speed_nor_people.
VELOCITY_DOUBT = 1.5


class EgoStep(NamedTuple):
    """How the vehicle moved from one frame to the next, in the base frame of the former.

    Attributes:
        x_m: Forward.
        y_m: Left.
        yaw_rad: Turned left.
    """

    x_m: float = 0.0
    y_m: float = 0.0
    yaw_rad: float = 0.0


class TrackedPerson(NamedTuple):
    """A person that was seen in one or more frames.

    Attributes:
        id: Stays the same from frame to frame.
        x_m: Base frame, forward.
        y_m: Base frame, left.
        vx_mps: Velocity along the base frame's x axis; over ground where odometry is known.
        vy_mps: The same along y.
        sigma_along_m: Standard deviation of the position along the line of sight.
        sigma_vx_mps: Of the velocity.
        sigma_vy_mps: Of the velocity.
        is_confirmed: Seen often enough to be believed.
        is_coasting: Out of sight in the newest frame.
        seen: How it looked when it was last seen.
        has_left: It has walked out of the picture at its side.
        feet_age_s: Since its feet were not cut by the border; infinite if they always were.
    """

    id: int
    x_m: float
    y_m: float
    vx_mps: float
    vy_mps: float
    sigma_along_m: float
    sigma_vx_mps: float
    sigma_vy_mps: float
    is_confirmed: bool
    is_coasting: bool
    seen: SeenPerson
    has_left: bool = False
    feet_age_s: float = float('inf')

    @property
    def distance_m(self) -> float:
        """From the base origin."""
        return math.hypot(self.x_m, self.y_m)


class _Sighting(NamedTuple):
    """A person of the newest frame, and where that is."""

    person: SeenPerson
    place: MeasuredPlace


class _Match(NamedTuple):
    """Which sighting is taken for a track, by its number, and what is known with it."""

    column: int
    state: PersonState


@dataclass
class _Track:
    """Somebody who is followed.

    Attributes:
        id: Of nobody else.
        state: Where it is.
        seen: How it looked when it was last seen.
        seen_ns: When that was.
        feet_ns: When its feet were seen last, None if never.
        evidence: That it is there.
        gone: Frames in which its place was plainly empty.
        leaves: It walked at the side of the picture when it was last seen.
    """

    id: int
    state: PersonState
    seen: SeenPerson
    seen_ns: int
    feet_ns: int | None
    evidence: Evidence = field(default_factory=Evidence)
    gone: int = 0
    leaves: bool = False

    @property
    def has_left(self) -> bool:
        """Whether it has walked out of the picture."""
        return self.leaves and self.evidence.misses > 0

    def take(self, person: SeenPerson, state: PersonState, stamp_ns: int) -> None:
        """Takes in how it looks now, and what is known of it with that."""
        self.state, self.seen, self.seen_ns, self.gone = state, person, stamp_ns, 0
        if person.feet != 'truncated':
            self.feet_ns = stamp_ns
        self.leaves = person.at_side and self._walks()

    def told(self, stamp_ns: int) -> TrackedPerson:
        """What others are told of it."""
        state = self.state
        sigma_m = _sigma(state.xx if abs(state.x) >= abs(state.y) else state.yy)
        feet_age_s = math.inf if self.feet_ns is None else (stamp_ns - self.feet_ns) / NS_PER_S
        return TrackedPerson(
            id=self.id,
            x_m=state.x,
            y_m=state.y,
            vx_mps=state.vx,
            vy_mps=state.vy,
            sigma_along_m=sigma_m,
            sigma_vx_mps=_sigma(state.vx_vx),
            sigma_vy_mps=_sigma(state.vy_vy),
            is_confirmed=self.evidence.is_enough,
            is_coasting=self.evidence.misses > 0,
            seen=self.seen,
            has_left=self.has_left,
            feet_age_s=feet_age_s,
        )

    def _walks(self) -> bool:
        """Whether somebody surely does not stand."""
        state = self.state
        sigmas = _sigma(state.vx_vx), _sigma(state.vy_vy)
        return any(sure_velocity(state.vx, state.vy, *sigmas))


class PeopleTracker:
    """Follows people from frame to frame.

    Args:
        confirm_frames: Frames, 50 ms apart, in which a person must be seen before it is believed;
            fewer where they are further apart (``Evidence``).
        coast_s: How long a believed person is followed out of sight.
        coast_out_of_view_s: The same of who has walked out of the picture at its side, at least
            ``coast_s``.
    """

    def __init__(
        self, confirm_frames: int = 3, coast_s: float = 0.7, coast_out_of_view_s: float = 6.0
    ) -> None:
        self.confirm_frames = confirm_frames
        self.coast_s = coast_s
        self.coast_out_of_view_s = coast_out_of_view_s
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        """Forgets everybody; ids are not used again."""
        self._stamp_ns: int | None = None
        self._tracks: list[_Track] = []

    def update(
        self,
        people: Sequence[SeenPerson],
        stamp_ns: int,
        ego: EgoStep | None = None,
        is_gone: Callable[[SeenPerson], bool] | None = None,
    ) -> tuple[TrackedPerson, ...]:
        """Everybody who is followed after a frame.

        Args:
            people: Those of the frame; who has no ground point is left out.
            stamp_ns: Of the frame, not before that of the last one.
            ego: How the vehicle moved since the last frame, None if nobody knows.
            is_gone: Whether the place where somebody was last seen is plainly empty now; who is
                gone for ``confirm_frames`` frames is forgotten before ``coast_s`` is over.
        """
        dt_s = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) / NS_PER_S
        self._stamp_ns = stamp_ns
        sightings = [
            _Sighting(person, _place_of(person))
            for person in people
            if math.isfinite(person.x_m + person.y_m)
        ]
        self._predict(max(dt_s, 0.0), ego)
        matches = self._associate(
            {row: track.state for row, track in enumerate(self._tracks)},
            dict(enumerate(sightings)),
        )
        matches |= self._runners(matches, sightings, stamp_ns)
        for row, track in enumerate(self._tracks):
            if row in matches:
                column, state = matches[row]
                person = sightings[column].person
                track.evidence.seen(dt_s, self.confirm_frames, person.weight)
                track.take(person, state, stamp_ns)
            else:
                track.evidence.missed(dt_s)
                # Nobody sees the place of who has left the picture
                if is_gone is not None and not track.leaves:
                    track.gone += is_gone(track.seen)
        self._tracks = [track for track in self._tracks if self._is_kept(track, stamp_ns)]
        used = {match.column for match in matches.values()}
        for column, sighting in enumerate(sightings):
            if column not in used:
                self._start(sighting, stamp_ns)
        return tuple(track.told(stamp_ns) for track in self._tracks)

    def _predict(self, dt_s: float, ego: EgoStep | None) -> None:
        """Moves every track to the time and the base frame of now."""
        noise = WalkNoise.of(dt_s, ego is not None)
        for track in self._tracks:
            track.state = track.state.after(dt_s, noise)
            if ego is not None:
                track.state = track.state.seen_from(*ego)

    def _associate(
        self, states: Mapping[int, PersonState], sightings: Mapping[int, _Sighting]
    ) -> dict[int, _Match]:
        """Which tracks and sightings belong together, the surest first.

        Args:
            states: Of the tracks that are asked, by their rows.
            sightings: That are asked for, by their columns.

        Returns:
            By the rows of the tracks.
        """
        matches: dict[int, _Match] = {}
        taken: set[int] = set()
        for _, row, column in sorted(self._near(states, sightings)):
            if row in matches or column in taken:
                continue
            corrected = states[row].corrected(sightings[column].place)
            if _may_be(self._tracks[row], states[row], sightings[column], corrected):
                matches[row] = _Match(column, corrected)
                taken.add(column)
        return matches

    def _near(
        self, states: Mapping[int, PersonState], sightings: Mapping[int, _Sighting]
    ) -> Iterator[tuple[float, int, int]]:
        """The pairs whose places fit, by row and column, with the cost of each."""
        spots = [
            (column, place.x, place.y, place.xx + place.yy)
            for column, (_, place) in sightings.items()
        ]
        for row, state in states.items():
            x, y, spread = state.x, state.y, state.xx + state.yy
            more = 0.0 if self._tracks[row].evidence.is_enough else UNCONFIRMED_COST
            for column, to_x, to_y, its_spread in spots:
                dx, dy = to_x - x, to_y - y
                # In no direction it is less sure than in all: of many most are too far away
                if dx * dx + dy * dy > GATE * (spread + its_spread):
                    continue
                _, _, a, b, d = state.innovation(sightings[column].place)
                determinant = a * d - b * b
                # Squared Mahalanobis distance, times the determinant
                distance = d * dx * dx - 2.0 * b * dx * dy + a * dy * dy
                if 0.0 <= distance < GATE * determinant:
                    # Neither a wide gate nor a newcomer may win against a narrow or an old one
                    yield distance / determinant + math.log(determinant) + more, row, column

    def _runners(
        self, matches: Mapping[int, _Match], sightings: Sequence[_Sighting], stamp_ns: int
    ) -> dict[int, _Match]:
        """Matches of who was seen once with people whom only a run could have brought there."""
        taken = {match.column for match in matches.values()}
        left = {i: sighting for i, sighting in enumerate(sightings) if i not in taken}
        if not left:
            return {}
        new = {
            row: track.state.running((stamp_ns - track.seen_ns) / NS_PER_S)
            for row, track in enumerate(self._tracks)
            if track.evidence.sightings == 1 and row not in matches
        }
        return self._associate(new, left)

    def _is_kept(self, track: _Track, stamp_ns: int) -> bool:
        """Whether somebody is followed on."""
        if not track.evidence.is_enough:
            return not track.evidence.is_over
        coast_s = self.coast_s
        if track.leaves:
            coast_s = max(coast_s, self.coast_out_of_view_s)
        out_of_sight_s = (stamp_ns - track.seen_ns) / NS_PER_S
        return out_of_sight_s <= coast_s and track.gone < self.confirm_frames

    def _start(self, sighting: _Sighting, stamp_ns: int) -> None:
        """Follows somebody from now on."""
        person, state = sighting.person, PersonState.first(sighting.place)
        feet_ns = None if person.feet == 'truncated' else stamp_ns
        track = _Track(self._next_id, state, person, stamp_ns, feet_ns)
        track.evidence.seen(0.0, self.confirm_frames, person.weight)
        self._tracks.append(track)
        self._next_id += 1


def sure_velocity(vx: float, vy: float, sigma_x: float, sigma_y: float) -> tuple[float, float]:
    """A velocity, less what may be noise; 0 for who does not walk."""
    sure_x = math.copysign(max(abs(vx) - VELOCITY_DOUBT * sigma_x, 0.0), vx)
    sure_y = math.copysign(max(abs(vy) - VELOCITY_DOUBT * sigma_y, 0.0), vy)
    return (sure_x, sure_y) if math.hypot(sure_x, sure_y) >= LEAST_WALK_MPS else (0.0, 0.0)


def _may_be(
    track: _Track, state: PersonState, sighting: _Sighting, corrected: PersonState
) -> bool:
    """Whether a track whose place fits a sighting is that person by all else that is seen.

    Args:
        track: The track.
        state: Where it is.
        sighting: Of the person.
        corrected: The state with that sighting taken in.
    """
    person = sighting.person
    # Who has left the picture comes back at its side
    if track.has_left and not person.at_side:
        return False
    was, looks = _height_px(track.seen), _height_px(person)
    if max(was, looks) >= GATE_HEIGHT * min(was, looks):
        return False
    # Across the line of sight
    dx, dy, a, b, d = state.innovation(sighting.place)
    bearing = math.atan2(person.y_m, person.x_m)
    sin, cos = math.sin(bearing), math.cos(bearing)
    variance = a * sin * sin - 2.0 * b * sin * cos + d * cos * cos
    if (cos * dy - sin * dx) ** 2 >= GATE_ACROSS * variance:
        return False
    # Where a pair would put them: two lines of sight cross at the eye, where nobody stands
    nearer_m = min(person.distance_m, math.hypot(state.x, state.y))
    return math.hypot(corrected.x, corrected.y) > LEAST_FUSED * nearer_m


def _height_px(person: SeenPerson) -> int:
    return person.bbox[3] - person.bbox[1]


def _sigma(variance: float) -> float:
    return math.sqrt(max(variance, 0.0))


def _place_of(person: SeenPerson) -> MeasuredPlace:
    """Where somebody is seen, less surely along the line of sight than across it."""
    x, y = person.x_m, person.y_m
    distance_m = max(person.distance_m, 1e-6)
    sight_x, sight_y = x / distance_m, y / distance_m
    across = person.sigma_across_m**2
    more = person.sigma_along_m**2 - across
    return MeasuredPlace(
        x,
        y,
        more * sight_x * sight_x + across,
        more * sight_x * sight_y,
        more * sight_y * sight_y + across,
    )
