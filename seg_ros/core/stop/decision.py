"""What a stop signal says: whether to stop, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ['KINDS', 'NearestPerson', 'StopDecision']

KINDS = {
    'clear': 'the way is proven clear',
    'person': 'a person is in the zone',
    'approaching': 'a person is walking into the zone',
    'hold': 'a person was in the zone a moment ago',
    'no_frame': 'no frame has been seen yet',
    'unproven': 'too few good frames since the start or the last fault',
    'stale': 'the newest frame is too old',
    'future_stamp': 'the newest frame comes from the future',
    'failed': 'the newest frame could not be judged',
    'no_geometry': 'nobody knows where the ground is',
    'low_confidence': 'the network is unsure about the whole picture',
    'low_contrast': 'the picture shows nothing',
    'frozen': 'the same picture comes again and again',
    'no_odometry': 'odometry is missing',
    'clock_stopped': 'the clock stands still',
    'no_camera': 'no camera is watched',
    'inactive': 'the node is not active',
}
"""What a decision may be about, and what each means. Every row but ``clear`` is a stop."""


class NearestPerson(NamedTuple):
    """The person that matters most.

    Attributes:
        id: Of its track, 0 in an image zone.
        distance_m: From the base origin; NaN in an image zone.
        lateral_m: To the left of the base origin; NaN in an image zone.
        time_to_zone_s: 0 inside; infinite for somebody who is not walking there.
    """

    id: int
    distance_m: float
    lateral_m: float
    time_to_zone_s: float


@dataclass(frozen=True)
class StopDecision:
    """Whether to stop, and why.

    Attributes:
        stop: False only while the way is proven clear.
        kind: A row of ``KINDS``.
        reason: In words, with the numbers.
        person: The nearest one in the zone, else the first one to get there, else the nearest
            one anywhere; None if nobody is seen.
        zone: Name of the zone that was judged; empty before the first frame.
        since_ns: Since when ``stop`` has been what it is.
        frame_ns: Stamp of the newest frame that was judged, None before the first.
    """

    stop: bool
    kind: str
    reason: str
    person: NearestPerson | None
    zone: str
    since_ns: int
    frame_ns: int | None = None
