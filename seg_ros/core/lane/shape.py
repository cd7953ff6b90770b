# SPDX-License-Identifier: Apache-2.0
"""Cubic polynomial of a lane, close to a clothoid: y = c0 + c1 x + c2 x^2 / 2 + c3 x^3 / 6.

Metres in the base frame. The four numbers are offset, heading (its tangent), curvature and rate of
curvature at x = 0, as long as the heading is small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple  # noqa: F401  Any stands in a string below

import numpy as np
from numpy.typing import NDArray

__all__ = [
    'Distances',
    'Float64Array',
    'FloatArray',
    'basis',
    'distances',
    'moved',
    'parallel',
    'parallels',
    'recentring',
    'slope_at',
    'value_at',
]

Float64Array = NDArray[np.float64]
FloatArray = NDArray['np.floating[Any]']  # numpy 1.21, Ubuntu 22.04's, cannot subscript it

PARALLEL_SAMPLES = 16  # four for each of the coefficients that are fitted to them


class Distances(NamedTuple):
    """Points against a curve, ``(N,)`` each.

    Attributes:
        signed_m: Distance along the normal, positive to the left.
        foot_m: x of the foot of the normal.
        slope: Of the curve at the foot.
        stretch: Length of the curve at the foot per metre of x.
    """

    signed_m: Float64Array
    foot_m: Float64Array
    slope: Float64Array
    stretch: Float64Array


def basis(x: Float64Array) -> Float64Array:
    """Returns ``(N, 4)``; times the coefficients it is y."""
    square = x * x
    return np.stack([np.ones_like(x), x, 0.5 * square, square * x / 6.0], axis=-1)


def slope_at(shape: Float64Array | Sequence[float], x: FloatArray) -> Float64Array:
    _, c1, c2, c3 = shape.tolist() if isinstance(shape, np.ndarray) else shape
    return np.asarray((0.5 * c3 * x + c2) * x + c1)


def value_at(shape: Float64Array | Sequence[float], x: FloatArray) -> Float64Array:
    c0, c1, c2, c3 = shape.tolist() if isinstance(shape, np.ndarray) else shape
    return np.asarray(((c3 / 6.0 * x + 0.5 * c2) * x + c1) * x + c0)


def distances(shape: Float64Array, x: FloatArray, y: FloatArray) -> Distances:
    """Distances of points from a curve, to second order in the distance."""
    slope = slope_at(shape, x)
    foot: Float64Array = x + (y - value_at(shape, x)) * slope / (1.0 + slope * slope)
    slope = slope_at(shape, foot)
    stretch = np.sqrt(1.0 + slope * slope)
    above = y - value_at(shape, foot)
    signed = (above - slope * (x - foot)) / stretch
    foot = foot + (slope * above + x - foot) / (stretch * stretch)
    return Distances(signed, foot, slope, stretch)


def parallel(shape: Float64Array, left_m: float, to_m: float) -> Float64Array:
    """Returns the curve at a constant distance to the left, fitted from x = 0 to ``to_m``."""
    return parallels(shape, (left_m,), to_m)[0]


def parallels(shape: Float64Array, lefts_m: Sequence[float], to_m: float) -> list[Float64Array]:
    """Returns ``parallel`` for several distances: what they share is computed once."""
    x, fit = _fitter(to_m)
    slope = slope_at(shape, x)
    square = slope * slope
    bend = shape[2] + shape[3] * x
    y, stretch_square = value_at(shape, x), 1.0 + square
    stretch = np.sqrt(stretch_square)
    return [
        # What the foot's place changes is of second order in the distance.
        np.asarray(
            fit @ (y + left_m * stretch + 0.5 * left_m * left_m * bend * square / stretch_square)
        )
        for left_m in lefts_m
    ]


@cache
def _fitter(to_m: float) -> tuple[Float64Array, Float64Array]:
    """Places between 0 and ``to_m``, and what turns the values there into coefficients."""
    x = np.linspace(0.0, to_m, PARALLEL_SAMPLES, dtype=np.float64)
    return x, np.asarray(np.linalg.pinv(basis(x)), dtype=np.float64)


def recentring(by_m: float) -> Float64Array:
    """Returns ``(4, 4)``; times the coefficients it is the curve with x counted from there."""
    b = by_m
    return np.array(
        [
            [1.0, b, 0.5 * b * b, b * b * b / 6.0],
            [0.0, 1.0, b, 0.5 * b * b],
            [0.0, 0.0, 1.0, b],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def moved(shape: Float64Array, forward_m: float, left_m: float, turn_rad: float) -> Float64Array:
    """Returns the curve as seen after the vehicle has moved and then turned left."""
    here = recentring(forward_m) @ shape
    here[0] -= left_m
    c0, c1, _, _ = here.tolist()
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    foot = -c0 * sin / (cos + c1 * sin)  # what comes to lie beside the new origin
    c0, c1, c2, c3 = (recentring(foot) @ here).tolist()
    offset = c0 * cos - foot * sin
    heading = math.atan(c1)
    slope = math.tan(heading - turn_rad)
    stretch = math.sqrt((1.0 + slope * slope) / (1.0 + c1 * c1))
    return np.array([offset, slope, c2 * stretch**3, c3 * stretch**4])
