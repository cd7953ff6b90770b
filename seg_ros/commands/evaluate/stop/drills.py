# SPDX-License-Identifier: Apache-2.0
"""Drills: what is hard for a stop, one thing at a time.

Few frames a second, people who run, labels that flicker, and people who are not as most are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from seg_ros.commands.evaluate.stop.drives import RATE_HZ, Moment, PlannedDrive, with_crossings
from seg_ros.commands.evaluate.stop.figures import Figures, times_to_stop_s
from seg_ros.core.stop.config import StopConfig
from seg_ros.sim import WHO, SceneConfig

__all__ = ['Drill', 'drill_figures', 'drills_of']

SPEED_MPS = 7.0
WALKING_MPS = (1.0, 1.8)
# Frames a second, and every how many-th of RATE_HZ they are: 7 is 6.7
RATES = {'20': 1, '10': 2, '7': 3, '4': 5}
RUNNERS = {'5 m/s at 7 fps': (5.0, 3), '7 m/s at 10 fps': (7.0, 2)}
# Letters of PlannedDrive.shown; networks take somebody for a cyclist in one frame and not in the
# next
FLICKERS = {
    'every second': '10',
    'two of three': '110',
    'who changes': '1c',
    'every second, who changes': '10c0',
    'two of three, who changes': '1c0',
}
LIES_FROM_M, LIES_S = 60.0, 4.0  # so far ahead, and so long after the vehicle could be there
LIES_APART_M = 15.0


class Drill(NamedTuple):
    """A drive for one part of one figure.

    Attributes:
        figure: Its name.
        part: Of the figure.
        drive: What is driven.
    """

    figure: str
    part: str
    drive: PlannedDrive


def drills_of(
    events: int, config: StopConfig, seed: int, size_wh: tuple[int, int], *, exact: bool
) -> list[Drill]:
    """Returns the drills, each with so many crossings.

    Args:
        events: Crossings in each; 0: no drills.
        config: Of the stop.
        seed: Of the drives.
        size_wh: Of the pictures.
        exact: Whether exact labels are judged. What a network sees of people of every kind is
            asked of it as well; the rest is asked of the stop alone.
    """
    if not events:
        return []

    def drive(
        index: int, walking_mps: tuple[float, float] = WALKING_MPS, who: str = 'adult'
    ) -> PlannedDrive:
        generator = np.random.default_rng([seed, 77, index])
        planned = with_crossings(
            _scene(seed * 1000 + 700 + index, size_wh), events, config, generator, walking_mps
        )
        return _with(planned, who)

    drills = [Drill('who', who, drive(index, who=who)) for index, who in enumerate(WHO)]
    if not exact:
        return drills
    # The same drive at every rate, and with every flicker
    steady = replace(drive(10), anticipates=False)
    for part, every in RATES.items():
        drills.append(Drill('by_fps', part, replace(steady, every=every)))
    for index, (part, (speed, every)) in enumerate(RUNNERS.items(), 20):
        drills.append(Drill('runner', part, replace(drive(index, (speed, speed)), every=every)))
    for part, shown in FLICKERS.items():
        drills.append(Drill('flicker', part, replace(steady, shown=shown)))
    return drills


def drill_figures(drills: Sequence[Drill], judged: Iterator[list[Moment]]) -> Figures:
    """Returns the figures of drills.

    ``by_fps`` is in seconds from the entry into the zone to the stop, the 95th percentile; who is
    missed waits for ever. All others are shares of those who stop while they are in the zone.
    """
    figures: dict[str, dict[str, float]] = {}
    for drill, moments in zip(drills, judged, strict=True):
        times = times_to_stop_s(moments)
        if not times:
            continue
        caught = [time_s for time_s in times if time_s is not None]
        value = len(caught) / len(times)
        if drill.figure == 'by_fps':
            all_s = [math.inf if time_s is None else time_s for time_s in times]
            value = float(np.percentile(all_s, 95, method='higher'))
        figures.setdefault(drill.figure, {})[drill.part] = value
    return dict(figures)


def _scene(seed: int, size_wh: tuple[int, int]) -> SceneConfig:
    return SceneConfig(
        seed=seed,
        size_wh=size_wh,
        rate_hz=RATE_HZ,
        weather='overcast',
        max_curvature_per_m=0.006,
        car_density=0.5,
        people_density=0.3,
        cyclist_density=0.0,
        crossings_per_km=0.0,
        speed_mps=SPEED_MPS,
        stop_for_people=False,
    )


def _with(planned: PlannedDrive, who: str) -> PlannedDrive:
    events = tuple(replace(event, who=who) for event in planned.scene.crossing_events)
    if who != 'lying':
        return replace(planned, scene=replace(planned.scene, crossing_events=events))
    lies_s = LIES_FROM_M / SPEED_MPS + LIES_S
    events = tuple(
        replace(
            event,
            at_m=(index + 1) * (LIES_FROM_M + LIES_APART_M),
            trigger_distance_m=LIES_FROM_M,
            stops_in_lane_s=lies_s,
        )
        for index, event in enumerate(events)
    )
    return PlannedDrive(
        replace(planned.scene, crossing_events=events),
        events=len(events),
        length_m=events[-1].at_m + LIES_APART_M,
        limit_s=3.0 * lies_s * len(events),
    )
