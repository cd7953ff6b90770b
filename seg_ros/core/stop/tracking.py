# SPDX-License-Identifier: Apache-2.0
"""Kalman tracker of people on the ground: constant velocity, gated nearest neighbours, ids.

The state of a track is ``(x, y, vx, vy)``. Positions are in the base frame and move with it;
velocities are over ground where odometry is given, and against the vehicle where it is not. All
tracks are one batch of small matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.stop.evidence import Evidence
from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.units import NS_PER_S

__all__ = ['LEAST_WALK_MPS', 'EgoStep', 'PeopleTracker', 'TrackedPerson', 'sure_velocity']

Float64Array = NDArray[np.float64]

# Standard deviation of a velocity that nobody has measured yet: people walk at 1.34 m/s
# (Weidmann, Transporttechnik der Fussgaenger, 1993), in any direction.
WALKING_SIGMA_MPS = 1.3
# The same of who runs: 7 m/s are less than three. A second sighting further away than walking
# explains is taken for a runner, with this.
RUNNING_SIGMA_MPS = 3.0
# Process noise: from standing to walking, 1.3 m/s, in about a second.
ACCELERATION_MPS2 = 1.2
# The same without odometry, where the vehicle's own braking (2.5 m/s^2) is in it.
UNKNOWN_EGO_MPS2 = 3.0
# The noise is a velocity's random walk: it has the variance of that acceleration over steps of
# this length, whatever the frame rate.
NOISE_STEP_S = 0.1
LEAST_STEP_S = 0.01  # two frames closer than this are one as far as the noise goes
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
SAME = np.eye(4)


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


class _Pair(NamedTuple):
    """A track and a person: how far apart, and the covariance of that with its determinant."""

    dx_m: float
    dy_m: float
    xx: float
    xy: float
    yy: float
    determinant: float


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
        return float(np.hypot(self.x_m, self.y_m))


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
        self._states: Float64Array = np.zeros((0, 4))
        self._covariances: Float64Array = np.zeros((0, 4, 4))
        self._ids: list[int] = []
        self._evidence: list[Evidence] = []
        self._gone: list[int] = []  # frames since it was last seen
        self._leaves: list[bool] = []  # walked at the side of the picture when it was last seen
        self._seen_ns: list[int] = []
        self._seen: list[SeenPerson] = []
        self._feet_ns: list[int | None] = []  # when its feet were seen last

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
        people = [person for person in people if math.isfinite(person.x_m + person.y_m)]
        if self._ids:
            self._predict(max(dt_s, 0.0), ego)
        places, noises = _measurements(people)
        pairs = self._associate(people, places, noises)
        pairs += self._runners(pairs, people, places, noises)
        self._correct(pairs, places, noises)
        matched = dict(pairs)
        for row in range(len(self._ids)):
            if row in matched:
                self._evidence[row].seen(dt_s, self.confirm_frames, people[matched[row]].weight)
                self._gone[row] = 0
                self._seen_ns[row] = stamp_ns
                self._seen[row] = people[matched[row]]
                if self._seen[row].feet != 'truncated':
                    self._feet_ns[row] = stamp_ns
                self._leaves[row] = people[matched[row]].at_side and self._walks(row)
            else:
                self._evidence[row].missed(dt_s)
                # Nobody sees the place of who has left the picture
                if is_gone is not None and not self._leaves[row]:
                    self._gone[row] += is_gone(self._seen[row])
        self._delete_lost(stamp_ns)
        used = set(matched.values())
        self._start([i for i in range(len(people)) if i not in used], people, places, noises)
        return self._tracks()

    def _predict(self, dt_s: float, ego: EgoStep | None) -> None:
        """Moves every state and covariance to the time and the base frame of now."""
        acceleration = ACCELERATION_MPS2 if ego is not None else UNKNOWN_EGO_MPS2
        place, both, velocity = 0.25 * dt_s**4, 0.5 * dt_s**3, dt_s**2
        noise = np.array(
            (
                (place, 0.0, both, 0.0),
                (0.0, place, 0.0, both),
                (both, 0.0, velocity, 0.0),
                (0.0, both, 0.0, velocity),
            )
        )
        noise *= acceleration**2 * NOISE_STEP_S / max(dt_s, LEAST_STEP_S)
        cos, sin = (1.0, 0.0) if ego is None else (math.cos(ego.yaw_rad), math.sin(ego.yaw_rad))
        # On at its velocity, and turned
        step = np.array(
            (
                (cos, sin, cos * dt_s, sin * dt_s),
                (-sin, cos, -sin * dt_s, cos * dt_s),
                (0.0, 0.0, cos, sin),
                (0.0, 0.0, -sin, cos),
            )
        )
        self._states = self._states @ step.T
        if ego is not None:
            self._states[:, :2] -= step[:2, :2] @ (ego.x_m, ego.y_m)
        self._covariances = step @ self._covariances @ step.T + noise

    def _associate(
        self,
        people: Sequence[SeenPerson],
        places: Float64Array,
        noises: Float64Array,
        among: Collection[int] | None = None,
    ) -> list[tuple[int, int]]:
        """Rows of tracks and people that belong together, the surest first.

        Args:
            people: Of the frame.
            places: Where they are.
            noises: How surely.
            among: Rows that are asked, None for all.
        """
        if not len(places) or not self._ids:
            return []
        innovation = places[None] - self._states[:, None, :2]
        covariance = self._covariances[:, None, :2, :2] + noises[None]
        a, b, d = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
        determinant = a * d - b * b
        dx, dy = innovation[..., 0], innovation[..., 1]
        # Squared Mahalanobis distance
        distance = (d * dx * dx - 2.0 * b * dx * dy + a * dy * dy) / determinant
        rows, columns = (distance < GATE).nonzero()
        # A wide gate must not win against a narrow one, nor a newcomer against an old track
        cost = distance[rows, columns] + np.log(determinant[rows, columns])
        more = [0.0 if evidence.is_enough else UNCONFIRMED_COST for evidence in self._evidence]
        cost += np.array(more)[rows]
        order = cost.argsort(kind='stable')
        pairs: list[tuple[int, int]] = []
        taken_rows: set[int] = set()
        taken_columns: set[int] = set()
        for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            if row in taken_rows or column in taken_columns:
                continue
            if among is not None and row not in among:
                continue
            # Few pairs get here, and numbers cost less than arrays of all pairs do
            found = (dx, dy, a, b, d, determinant)
            pair = _Pair(*(values.item(row, column) for values in found))
            if self._may_be(row, people[column], pair):
                taken_rows.add(row)
                taken_columns.add(column)
                pairs.append((row, column))
        return pairs

    def _may_be(self, row: int, person: SeenPerson, pair: _Pair) -> bool:
        """Whether a track whose place fits is that person by all else that is seen."""
        # Who has left the picture comes back at its side
        if self._has_left(row) and not person.at_side:
            return False
        was, looks = _height_px(self._seen[row]), _height_px(person)
        if max(was, looks) >= GATE_HEIGHT * min(was, looks):
            return False
        dx, dy, a, b, d, determinant = pair
        # Across the line of sight
        bearing = math.atan2(person.y_m, person.x_m)
        sin, cos = math.sin(bearing), math.cos(bearing)
        variance = a * sin * sin - 2.0 * b * sin * cos + d * cos * cos
        if (cos * dy - sin * dx) ** 2 >= GATE_ACROSS * variance:
            return False
        # Where a pair would put them: two lines of sight cross at the eye, where nobody stands
        along_x, along_y = (d * dx - b * dy) / determinant, (a * dy - b * dx) / determinant
        x, y = self._states[row, :2].tolist()
        (xx, xy), (yx, yy) = self._covariances[row, :2, :2].tolist()
        fused_m = math.hypot(x + xx * along_x + xy * along_y, y + yx * along_x + yy * along_y)
        return fused_m > LEAST_FUSED * min(person.distance_m, math.hypot(x, y))

    def _runners(
        self,
        pairs: list[tuple[int, int]],
        people: Sequence[SeenPerson],
        places: Float64Array,
        noises: Float64Array,
    ) -> list[tuple[int, int]]:
        """Pairs of who was seen once and people whom only a run could have brought there.

        These tracks take the uncertainty of a runner's velocity; the rest stays as it is.
        """
        taken_rows, taken = {row for row, _ in pairs}, {column for _, column in pairs}
        left = [column for column in range(len(people)) if column not in taken]
        new = [
            row
            for row, evidence in enumerate(self._evidence)
            if evidence.sightings == 1 and row not in taken_rows
        ]
        if not new or not left or self._stamp_ns is None:
            return []
        walking = self._covariances
        self._covariances = walking.copy()
        more = RUNNING_SIGMA_MPS**2 - WALKING_SIGMA_MPS**2
        for row in new:
            gap_s = (self._stamp_ns - self._seen_ns[row]) / NS_PER_S
            step = np.array([[gap_s * gap_s, gap_s], [gap_s, 1.0]])
            self._covariances[row] += more * np.kron(step, np.eye(2))
        found = self._associate([people[i] for i in left], places[left], noises[left], new)
        for row in set(new).difference(row for row, _ in found):
            self._covariances[row] = walking[row]
        return [(row, left[column]) for row, column in found]

    def _correct(
        self, pairs: list[tuple[int, int]], places: Float64Array, noises: Float64Array
    ) -> None:
        """Takes in what was measured, in the order of the pairs."""
        if not pairs:
            return
        rows, columns = np.array(pairs).T
        states, covariances = self._states[rows], self._covariances[rows]
        innovation_covariances = covariances[:, :2, :2] + noises[columns]
        gain = covariances[:, :, :2] @ np.linalg.inv(innovation_covariances)
        innovations = places[columns] - states[:, :2]
        step = gain[..., 0] * innovations[:, :1] + gain[..., 1] * innovations[:, 1:]
        self._states[rows] = states + step
        # The position is seen, the velocity is not
        kept = np.empty_like(covariances)
        kept[:] = SAME
        kept[:, :, :2] -= gain
        corrected = kept @ covariances
        self._covariances[rows] = 0.5 * (corrected + corrected.transpose(0, 2, 1))

    def _walks(self, row: int) -> bool:
        """Whether somebody surely does not stand."""
        variances = self._covariances[row].diagonal()[2:].tolist()
        sigmas = [math.sqrt(max(variance, 0.0)) for variance in variances]
        return any(sure_velocity(*self._states[row, 2:].tolist(), *sigmas))

    def _has_left(self, row: int) -> bool:
        return self._leaves[row] and self._evidence[row].misses > 0

    def _feet_age_s(self, row: int) -> float:
        feet_ns = self._feet_ns[row]
        if feet_ns is None or self._stamp_ns is None:
            return float('inf')
        return (self._stamp_ns - feet_ns) / NS_PER_S

    def _delete_lost(self, stamp_ns: int) -> None:
        kept = []
        for row, evidence in enumerate(self._evidence):
            if evidence.is_enough:
                out_of_sight_s = (stamp_ns - self._seen_ns[row]) / NS_PER_S
                coast_s = self.coast_s
                if self._leaves[row]:
                    coast_s = max(coast_s, self.coast_out_of_view_s)
                keep = out_of_sight_s <= coast_s and self._gone[row] < self.confirm_frames
            else:
                keep = not evidence.is_over
            if keep:
                kept.append(row)
        if len(kept) == len(self._ids):
            return
        self._states, self._covariances = self._states[kept], self._covariances[kept]
        self._ids = [self._ids[row] for row in kept]
        self._evidence = [self._evidence[row] for row in kept]
        self._gone = [self._gone[row] for row in kept]
        self._leaves = [self._leaves[row] for row in kept]
        self._seen_ns = [self._seen_ns[row] for row in kept]
        self._seen = [self._seen[row] for row in kept]
        self._feet_ns = [self._feet_ns[row] for row in kept]

    def _start(
        self,
        new: list[int],
        people: Sequence[SeenPerson],
        places: Float64Array,
        noises: Float64Array,
    ) -> None:
        if not new or self._stamp_ns is None:
            return
        states = np.zeros((len(new), 4))
        states[:, :2] = places[new]
        covariances = np.zeros((len(new), 4, 4))
        covariances[:, :2, :2] = noises[new]
        covariances[:, 2, 2] = covariances[:, 3, 3] = WALKING_SIGMA_MPS**2
        self._states = np.concatenate([self._states, states])
        self._covariances = np.concatenate([self._covariances, covariances])
        for index in new:
            self._ids.append(self._next_id)
            self._next_id += 1
            self._evidence.append(Evidence())
            self._evidence[-1].seen(0.0, self.confirm_frames, people[index].weight)
            self._gone.append(0)
            self._leaves.append(False)
            self._seen_ns.append(self._stamp_ns)
            self._seen.append(people[index])
            is_cut = people[index].feet == 'truncated'
            self._feet_ns.append(None if is_cut else self._stamp_ns)

    def _tracks(self) -> tuple[TrackedPerson, ...]:
        variances = self._covariances.diagonal(axis1=1, axis2=2)
        sigmas = np.sqrt(np.maximum(variances, 0.0)).tolist()
        tracks = []
        for row, (x, y, vx, vy) in enumerate(self._states.tolist()):
            sigma_x, sigma_y, sigma_vx, sigma_vy = sigmas[row]
            tracks.append(
                TrackedPerson(
                    id=self._ids[row],
                    x_m=x,
                    y_m=y,
                    vx_mps=vx,
                    vy_mps=vy,
                    sigma_along_m=sigma_x if abs(x) >= abs(y) else sigma_y,
                    sigma_vx_mps=sigma_vx,
                    sigma_vy_mps=sigma_vy,
                    is_confirmed=self._evidence[row].is_enough,
                    is_coasting=self._evidence[row].misses > 0,
                    seen=self._seen[row],
                    has_left=self._has_left(row),
                    feet_age_s=self._feet_age_s(row),
                )
            )
        return tuple(tracks)


def sure_velocity(vx: float, vy: float, sigma_x: float, sigma_y: float) -> tuple[float, float]:
    """A velocity, less what may be noise; 0 for who does not walk."""
    sure_x = math.copysign(max(abs(vx) - VELOCITY_DOUBT * sigma_x, 0.0), vx)
    sure_y = math.copysign(max(abs(vy) - VELOCITY_DOUBT * sigma_y, 0.0), vy)
    return (sure_x, sure_y) if math.hypot(sure_x, sure_y) >= LEAST_WALK_MPS else (0.0, 0.0)


def _height_px(person: SeenPerson) -> int:
    return person.bbox[3] - person.bbox[1]


def _measurements(people: Sequence[SeenPerson]) -> tuple[Float64Array, Float64Array]:
    """``(N, 2)`` places and ``(N, 2, 2)`` covariances, long along the line of sight."""
    rows = np.array(
        [(p.x_m, p.y_m, p.sigma_along_m, p.sigma_across_m) for p in people], dtype=np.float64
    ).reshape(-1, 4)
    places = rows[:, :2]
    sight = places / np.maximum(np.hypot(places[:, 0], places[:, 1]), 1e-6)[:, None]
    along, across = rows[:, 2] ** 2, rows[:, 3] ** 2
    noises = (along - across)[:, None, None] * sight[:, :, None] * sight[:, None, :]
    return places, noises + across[:, None, None] * SAME[:2, :2]
