# SPDX-License-Identifier: Apache-2.0
"""What happened on a leg of a course, frame by frame, and the figures of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seg_ros.core.stop.config import StopConfig
from seg_ros.sim.encounters import is_touched, people_near
from seg_ros.sim.frame import SimFrame
from seg_ros.sim.vehicle import HALF_WIDTH_M

__all__ = ['LegRecord', 'Sample', 'figures_of']

SAMPLE_M = 1.0  # between two places of the picture
MOVES_MPS = 0.1
GOES_MPS = 1.0
NEAR_S = 0.5  # how long somebody who has left may still be the reason, beside the hold time


class Sample(NamedTuple):
    """A place of the drive.

    Attributes:
        s_m: Along the road.
        x_m: World.
        y_m: World.
        offset_m: Left of the lane's middle.
        room_m: How far to either side of the middle the vehicle is still in the lane.
        braked: There was a stop, or no path, since the place before.
    """

    s_m: float
    x_m: float
    y_m: float
    offset_m: float
    room_m: float
    braked: bool


@dataclass
class LegRecord:
    """Counts while a leg is driven.

    Attributes:
        stop: The numbers of the stop, for its true zone.
        period_s: Between two frames.
        frames: Driven.
        way_m: Driven.
        departures: How often a side of the vehicle went beyond the lane.
        square_m2: Sum of the squared offsets from the lane's middle, over the driven frames.
        moving: Frames in which the vehicle moved.
        worst_m: The largest offset.
        met: Ids of the people on foot who truly were in the stop zone or about to step into it.
        hit: Ids of the people whom the moving vehicle has touched.
        stops: How often the signal stopped the vehicle; one that comes back before the vehicle
            has gone on is the same.
        resumes: How often the vehicle went on after that.
        falsely_stopped_s: Time of the stop without anybody in or about the zone.
        pathless_s: Time in which the vehicle braked because no path came.
        unanswered: Frames that the node left without an answer.
        stuck: The vehicle stood for so long that the leg was given up.
        samples: A place every metre, for the picture.
    """

    stop: StopConfig
    period_s: float
    frames: int = 0
    way_m: float = 0.0
    departures: int = 0
    square_m2: float = 0.0
    moving: int = 0
    worst_m: float = 0.0
    met: set[int] = field(default_factory=set)
    hit: set[int] = field(default_factory=set)
    stops: int = 0
    resumes: int = 0
    falsely_stopped_s: float = 0.0
    pathless_s: float = 0.0
    unanswered: int = 0
    stuck: bool = False
    samples: list[Sample] = field(default_factory=list)
    _from_m: float | None = None
    _was_outside: bool = False
    _was_stop: bool = False
    _to_resume: bool = False
    _near_s: float = -math.inf

    @property
    def is_stopping(self) -> bool:
        """Whether a stop has not been followed by a resume yet."""
        return self._to_resume

    def add(self, frame: SimFrame, *, stop: bool, pathless: bool, answered: bool) -> None:
        """Takes a frame and what came of it.

        Args:
            frame: The truth.
            stop: The signal that the node gave to this frame.
            pathless: The vehicle brakes because no path came.
            answered: The node has answered in time.
        """
        ego = frame.ego
        self.frames += 1
        if self._from_m is None:
            self._from_m = ego.road_s_m
        self.way_m = ego.road_s_m - self._from_m
        self.unanswered += not answered
        self._add_place(frame)
        self._add_people(frame, stop)
        begins = stop and not self._was_stop and not self._to_resume
        if begins and ego.speed_mps > GOES_MPS:
            self.stops += 1
            self._to_resume = True
        if self._to_resume and not stop and ego.speed_mps > GOES_MPS:
            self.resumes += 1
            self._to_resume = False
        self._was_stop = stop
        if pathless and not stop:
            self.pathless_s += self.period_s
        braked = stop or pathless
        if not self.samples or ego.road_s_m - self.samples[-1].s_m >= SAMPLE_M:
            room_m = 0.5 * frame.lane_width_m - HALF_WIDTH_M
            self.samples.append(
                Sample(ego.road_s_m, ego.x_m, ego.y_m, frame.lane_offset_m, room_m, braked)
            )
        elif braked:
            self.samples[-1] = self.samples[-1]._replace(braked=True)

    def as_dict(self) -> dict[str, Any]:
        """Returns everything that ``figures_of`` and the picture need, for JSON."""
        return {
            'frames': self.frames,
            'way_m': self.way_m,
            'departures': self.departures,
            'square_m2': self.square_m2,
            'moving': self.moving,
            'worst_m': self.worst_m,
            'met': len(self.met),
            'hit': len(self.hit),
            'stops': self.stops,
            'resumes': self.resumes,
            'ends_stopped': self.is_stopping,
            'falsely_stopped_s': round(self.falsely_stopped_s, 3),
            'pathless_s': round(self.pathless_s, 3),
            'unanswered': self.unanswered,
            'stuck': self.stuck,
            'samples': [
                [round(value, 3) for value in sample[:-1]] + [sample.braked]
                for sample in self.samples
            ],
        }

    def _add_place(self, frame: SimFrame) -> None:
        offset_m = frame.lane_offset_m
        if frame.ego.speed_mps > MOVES_MPS:  # else a long stop would count for much
            self.moving += 1
            self.square_m2 += offset_m**2
        self.worst_m = max(self.worst_m, abs(offset_m))
        outside = abs(offset_m) + HALF_WIDTH_M > 0.5 * frame.lane_width_m
        self.departures += outside and not self._was_outside
        self._was_outside = outside

    def _add_people(self, frame: SimFrame, stop: bool) -> None:
        near = people_near(frame, self.stop)
        self.met |= {person.id for person in near if person in frame.people}
        if frame.ego.speed_mps > MOVES_MPS:
            self.hit |= {person.id for person in frame.people if is_touched(person)}
        now_s = self.frames * self.period_s
        if near:
            self._near_s = now_s
        if stop and now_s - self._near_s > self.stop.hold_s + NEAR_S:
            self.falsely_stopped_s += self.period_s


def figures_of(legs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the figures of legs taken together, each as ``LegRecord.as_dict`` gave it."""
    rows = list(legs)

    def total(name: str) -> Any:
        return sum(row[name] for row in rows)

    moving = total('moving')
    return {
        'km': round(total('way_m') / 1000.0, 4),
        'departures': total('departures'),
        'lateral_rms_m': math.sqrt(total('square_m2') / moving) if moving else None,
        'lateral_max_m': max((row['worst_m'] for row in rows), default=None),
        'persons_met': total('met'),
        'persons_hit': total('hit'),
        'stops': total('stops'),
        'resumes': total('resumes'),
        # A leg of a course that an older version began says nothing of it
        'legs_that_end_stopped': sum(row.get('ends_stopped', False) for row in rows),
        'falsely_stopped_s': round(total('falsely_stopped_s'), 2),
        'pathless_s': round(total('pathless_s'), 2),
        'legs_given_up': total('stuck'),
        'frames': total('frames'),
        'frames_unanswered': total('unanswered'),
    }
