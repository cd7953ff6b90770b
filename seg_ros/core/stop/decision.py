# SPDX-License-Identifier: Apache-2.0
"""Stop decision: whether to stop and why, and the table of every kind of reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

__all__ = ['Cause', 'Fault', 'NearestPerson', 'StopDecision', 'StopKind']

Rgb = tuple[int, int, int]

GREEN: Rgb = (46, 125, 80)
RED: Rgb = (229, 57, 53)
ORANGE: Rgb = (255, 152, 0)
GREY: Rgb = (96, 106, 122)
PURPLE: Rgb = (171, 71, 188)


class Cause(Enum):
    """What a kind of a decision comes from."""

    CLEAR = 'clear'  # the only one that is no stop
    PERSON = 'person'
    START = 'start'  # every drive begins with it: nothing has been proven yet
    FAULT = 'fault'


class StopKind(str, Enum):
    """What a decision may be about. A member is its name in status messages, a text.

    Attributes:
        meaning: In words.
        cause: What it comes from.
        colour_rgb: In reports.
        rank: Which camera speaks for the vehicle if several stop: the least one.
        judges_people: Whether people were looked for in the newest frame; else those who are
            followed are of an older one.
    """

    meaning: str
    cause: Cause
    colour_rgb: Rgb
    rank: int
    judges_people: bool

    def __new__(  # noqa: PYI034  Python 3.10 has no Self
        cls,
        name: str,
        meaning: str,
        cause: Cause,
        colour_rgb: Rgb,
        rank: int = 3,
        judges_people: bool = True,
    ) -> StopKind:
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.meaning, kind.cause, kind.colour_rgb = meaning, cause, colour_rgb
        kind.rank, kind.judges_people = rank, judges_people
        return kind

    # fmt: off
    CLEAR = 'clear', 'the way is proven clear', Cause.CLEAR, GREEN
    PERSON = 'person', 'a person is in the zone', Cause.PERSON, RED, 0
    APPROACHING = 'approaching', 'a person is walking into the zone', Cause.PERSON, RED, 1
    HOLD = 'hold', 'a person was in the zone a moment ago', Cause.PERSON, ORANGE, 2
    NO_FRAME = 'no_frame', 'no frame has been seen yet', Cause.START, GREY
    UNPROVEN = (
        'unproven', 'too few good frames since the start or the last fault', Cause.START, GREY,
    )
    INACTIVE = 'inactive', 'the node is not active', Cause.START, GREY
    MEASURING = 'measuring', 'it is measured what is fastest here', Cause.START, GREY
    DISABLED = 'disabled', 'somebody switched it off with ~/enable', Cause.START, GREY
    STALE = 'stale', 'the newest frame is too old', Cause.FAULT, PURPLE
    FUTURE_STAMP = (
        'future_stamp', 'the newest frame comes from the future', Cause.FAULT, PURPLE, 3, False,
    )
    FAILED = 'failed', 'the newest frame could not be judged', Cause.FAULT, PURPLE, 3, False
    NO_GEOMETRY = (
        'no_geometry', 'nobody knows where the ground is', Cause.FAULT, PURPLE, 3, False,
    )
    ZONE_NOT_IN_VIEW = (
        'zone_not_in_view', 'the zone is not in the picture', Cause.FAULT, PURPLE,
    )
    GROUND_NOT_SEEN = (
        'ground_not_seen', 'the zone is not seen as ground', Cause.FAULT, PURPLE,
    )
    LOW_CONFIDENCE = (
        'low_confidence', 'the network is unsure about the whole picture', Cause.FAULT, PURPLE, 3,
        False,
    )
    LOW_CONTRAST = 'low_contrast', 'the picture shows nothing', Cause.FAULT, PURPLE, 3, False
    PICTURE_BLIND = (
        'picture_blind', 'the zone is noise or white in the picture', Cause.FAULT, PURPLE, 3,
        False,
    )
    OUT_OF_DOMAIN = (
        'out_of_domain', 'the network knows no such pictures', Cause.FAULT, PURPLE, 3, False,
    )
    NO_DETAIL = 'no_detail', 'the ground ahead has no detail', Cause.FAULT, PURPLE, 3, False
    COLOURS_DISAGREE = (
        'colours_disagree', 'the colours of the picture show different things', Cause.FAULT,
        PURPLE, 3, False,
    )
    PICTURE_TURNED = (
        'picture_turned', 'sky and buildings are not above the ground', Cause.FAULT, PURPLE, 3,
        False,
    )
    FEW_SHADES = (
        'few_shades', 'the picture has no shades between a few', Cause.FAULT, PURPLE, 3, False,
    )
    PICTURE_NEGATIVE = (
        'picture_negative', 'bright and dark are exchanged in the picture', Cause.FAULT, PURPLE,
        3, False,
    )
    PICTURE_DOUBLED = (
        'picture_doubled', 'the picture shows everything twice', Cause.FAULT, PURPLE, 3, False,
    )
    ROWS_SHIFTED = (
        'rows_shifted', 'the rows of the picture do not go on in each other', Cause.FAULT, PURPLE,
        3, False,
    )
    OUT_OF_FOCUS = (
        'out_of_focus', 'the outlines of the picture are soft', Cause.FAULT, PURPLE, 3, False,
    )
    PARTLY_COVERED = (
        'partly_covered', 'much of the picture is one smooth shade', Cause.FAULT, PURPLE, 3,
        False,
    )
    FROZEN = 'frozen', 'the same picture comes again and again', Cause.FAULT, PURPLE, 3, False
    NO_ODOMETRY = 'no_odometry', 'odometry is missing', Cause.FAULT, PURPLE
    ODOMETRY_IMPLAUSIBLE = (
        'odometry_implausible', 'odometry says what the vehicle cannot do', Cause.FAULT, PURPLE,
    )
    TWO_PUBLISHERS = (
        'two_publishers', 'a topic that must have one publisher has several', Cause.FAULT, PURPLE,
    )
    CLOCK_STOPPED = 'clock_stopped', 'the clock stands still', Cause.FAULT, PURPLE
    NO_CAMERA = 'no_camera', 'no camera is watched', Cause.FAULT, PURPLE
    NODE_SILENT = (
        'node_silent', "the node's process has ended, stands still, or is held up", Cause.FAULT,
        PURPLE,
    )
    # fmt: on

    # Its name in every text (what an Enum of texts becomes there differs between Pythons)
    __str__ = str.__str__

    @classmethod
    def named(cls, name: str) -> StopKind:
        """Returns the kind that a recording names; one that is not known here is a fault."""
        return cls._value2member_map_.get(name, cls.FAILED)  # type: ignore[return-value]


class Fault(NamedTuple):
    """Why a frame proves nothing.

    Attributes:
        kind: What it is.
        reason: In words, with the numbers.
    """

    kind: StopKind
    reason: str


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
        kind: What it is about.
        reason: In words, with the numbers.
        person: The nearest one in the zone, else the first one to get there, else the nearest
            one anywhere; None if nobody is seen.
        zone: Name of the zone that was judged; empty before the first frame.
        since_ns: Since when ``stop`` has been what it is.
        frame_ns: Stamp of the newest frame that was judged, None before the first.
        delay_s: How long at most somebody new in the zone is seen before it stops, at the present
            rate of frames; None before the second frame.
        guess: Why the geometry is guessed, so that the zone is one in the picture; empty where it
            is known, and where a zone in the picture was asked for.
        zone_by: What the zone in the picture was built by; empty for one on the ground.
    """

    stop: bool
    kind: StopKind
    reason: str
    person: NearestPerson | None
    zone: str
    since_ns: int
    frame_ns: int | None = None
    delay_s: float | None = None
    guess: str = ''
    zone_by: str = ''

    @classmethod
    def without_frame(cls, kind: StopKind, since_ns: int, reason: str = '') -> StopDecision:
        """Returns a stop that no frame is the reason of; by default its kind's meaning is."""
        return cls(True, kind, reason or kind.meaning, None, '', since_ns)
