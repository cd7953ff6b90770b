"""The drives that the lane track is judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from seg_ros.core.geometry.camera import Mount
from seg_ros.sim.config import SCENARIOS, SceneConfig

__all__ = ['LANE_SCENARIOS', 'LaneScenario']

TIGHTEST_PER_M = 1.0 / 60.0


@dataclass(frozen=True)
class LaneScenario:
    """One drive.

    Attributes:
        scene: What it looks like.
        painted: False wipes the lines out of the exact labels: there is no lane to be found.
    """

    scene: SceneConfig
    painted: bool = True


_CITY = SCENARIOS['city']
_COUNTRY = SCENARIOS['country']

LANE_SCENARIOS: Mapping[str, LaneScenario] = {
    'straight': LaneScenario(SCENARIOS['straight']),
    'city': LaneScenario(_CITY),
    'avenue': LaneScenario(SCENARIOS['avenue']),
    'busy': LaneScenario(SCENARIOS['busy']),
    'suburb': LaneScenario(SCENARIOS['suburb']),
    'country': LaneScenario(_COUNTRY),
    'bends': LaneScenario(
        replace(_COUNTRY, max_curvature_per_m=TIGHTEST_PER_M, speed_mps=8.0, seed=21)
    ),
    'narrow': LaneScenario(
        replace(_CITY, max_curvature_per_m=TIGHTEST_PER_M, lane_width_m=2.8, seed=22)
    ),
    'swerving': LaneScenario(replace(_CITY, lane_wander_m=0.6, seed=23)),
    'night': LaneScenario(SCENARIOS['night']),
    'rain': LaneScenario(SCENARIOS['rain']),
    'fog': LaneScenario(SCENARIOS['fog']),
    'other camera': LaneScenario(
        replace(
            _COUNTRY,
            mount=Mount(x=0.4, y=0.3, z=1.05, roll=0.02, pitch=0.02, yaw=-0.03),
            horizontal_fov_deg=85.0,
            seed=24,
        )
    ),
    'no paint': LaneScenario(replace(_CITY, seed=25), painted=False),
}
