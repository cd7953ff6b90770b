"""Lamps: what they add to the light at a place on the ground."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from seg_ros.sim.paint.weather import Light
from seg_ros.sim.scenery import LAMP_PHASES, LAMP_SPACING_M

__all__ = [
    'HEADLIGHT_COLOUR',
    'LAMP_COLOUR',
    'LAMP_OVERHANG_M',
    'headlight_at',
    'headlights',
    'lamp_share',
    'lamp_share_at',
    'lamp_strength',
]

LAMP_COLOUR = (1.0, 0.80, 0.52)
HEADLIGHT_COLOUR = (1.0, 0.97, 0.90)
HEADLIGHT_AT_M = 3.5  # in front of the base origin
HEADLIGHT_Y_M = (-0.65, 0.65)
HEADLIGHT_STRENGTH = 0.7
LAMP_REACH_M = 7.5
LAMP_OVERHANG_M = 1.3  # over the road, from the pole

Float64Array = NDArray[np.float64]


def headlights(x_m: Float64Array, y_m: Float64Array) -> Float64Array:
    """Factor that the vehicle's own low beams add, by base frame coordinates."""
    ahead = x_m - HEADLIGHT_AT_M
    total = np.zeros_like(ahead)
    for lamp_y in HEADLIGHT_Y_M:
        side = y_m - lamp_y
        distance = np.hypot(np.maximum(ahead, 0.0), side) + 0.5
        bearing = np.arctan2(side, np.maximum(ahead, 0.01))
        beam = np.exp(-((bearing / 0.42) ** 2)) + 0.12 * np.exp(-((bearing / 0.9) ** 2))
        fall = np.clip(1.2 - distance / 75.0, 0.0, 1.0) / (1.0 + (distance / 15.0) ** 2)
        total = total + np.where(ahead > 0.0, beam * fall, 0.0)
    return np.asarray(HEADLIGHT_STRENGTH * total)


def headlight_at(x_m: float, y_m: float) -> float:
    """``headlights`` of one point, without the cost of arrays."""
    ahead = x_m - HEADLIGHT_AT_M
    if ahead <= 0.0:
        return 0.0
    total = 0.0
    for lamp_y in HEADLIGHT_Y_M:
        side = y_m - lamp_y
        distance = math.hypot(ahead, side) + 0.5
        bearing = math.atan2(side, max(ahead, 0.01))
        beam = math.exp(-((bearing / 0.42) ** 2)) + 0.12 * math.exp(-((bearing / 0.9) ** 2))
        fall = min(max(1.2 - distance / 75.0, 0.0), 1.0) / (1.0 + (distance / 15.0) ** 2)
        total += beam * fall
    return HEADLIGHT_STRENGTH * total


def lamp_share(s_m: Float64Array, d_m: Float64Array, lamp_d_m: float) -> Float64Array:
    """Light of the street lamps on both sides, which repeat along the road; 1 below a lamp."""
    total = np.zeros(np.broadcast(s_m, d_m).shape)
    for sign, at in LAMP_PHASES:
        turns = s_m / LAMP_SPACING_M - at
        along = (turns - np.rint(turns)) * LAMP_SPACING_M
        across = d_m - sign * (lamp_d_m - LAMP_OVERHANG_M)
        square = (along**2 + across**2) / LAMP_REACH_M**2
        total = total + 1.0 / (1.0 + square) ** 2
    return np.asarray(total)


def lamp_share_at(s_m: float, d_m: float, lamp_d_m: float) -> float:
    """``lamp_share`` of one point, without the cost of arrays."""
    total = 0.0
    for sign, at in LAMP_PHASES:
        turns = s_m / LAMP_SPACING_M - at
        along = (turns - round(turns)) * LAMP_SPACING_M
        across = d_m - sign * (lamp_d_m - LAMP_OVERHANG_M)
        total += 1.0 / (1.0 + (along**2 + across**2) / LAMP_REACH_M**2) ** 2
    return total


def lamp_strength(light: Light) -> float:
    """How much the street lamps matter against the daylight that is left."""
    if not light.street_lamps:
        return 0.0
    return 0.12 if light.has_sun else 0.5
