# SPDX-License-Identifier: Apache-2.0
"""A synthetic road that can be driven: pictures with exact labels and exact geometry.

May import ``seg_ros.core``, numpy and cv2; asks no clock and reads no file. Read ``world`` first;
``paint`` makes its pictures, ``labels`` the labels alone.
"""

from seg_ros.sim.classes import CLASS_NAMES
from seg_ros.sim.config import (
    SCENARIOS,
    SURROUNDINGS,
    WEATHERS,
    WHO,
    CrossingEvent,
    SceneConfig,
    random_scene,
)
from seg_ros.sim.frame import EgoState, Person, SimFrame
from seg_ros.sim.world import SimDrive, World

__all__ = [
    'CLASS_NAMES',
    'SCENARIOS',
    'SURROUNDINGS',
    'WEATHERS',
    'WHO',
    'CrossingEvent',
    'EgoState',
    'Person',
    'SceneConfig',
    'SimDrive',
    'SimFrame',
    'World',
    'random_scene',
]
