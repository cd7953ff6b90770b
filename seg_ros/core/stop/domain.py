# SPDX-License-Identifier: Apache-2.0
"""Domain of an engine: by what its pictures are told from those in which nothing is seen.

A network that never saw fog, a room or the inside of a lens cap is as sure of its labels there as
on a road. The statistics of the picture and of the labels are not those of a road, though. For
each kind of blindness one direction through all statistics is measured (Fisher's discriminant)
along which such pictures lie far from clean ones. It is trusted as far as it holds for cameras
that were left out; a kind that was not measured is mostly found by one that is like it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.picture_statistics import STATISTICS

__all__ = ['Domain', 'Likeness']

Float64Array = NDArray[np.float64]

# One odd statistic makes no blind picture (a wet road mirrors the sky), many do: none counts as
# more than so many standard deviations. Of 3, 4, 5 and 8, 3 left the fewest blind pictures clear
# at the same refusals.
MOST_DEVIATIONS = 3.0
LEAST_DEVIATION = 0.01  # of any statistic; one that never changed would divide by nothing
# The correlations of a few hundred pictures are noisy: they are drawn towards none by this part.
# From 0.2 to 0.5 it matters little.
SHRINKAGE = 0.3
LEAST_VARIANCE = 0.01  # of a scaled statistic; black pictures have some that are all the same


class Likeness(NamedTuple):
    """What a picture is like.

    Attributes:
        share: Of the limit; above 1 nothing is seen.
        kind: Of what kind of blindness it has the most.
    """

    share: float
    kind: str


@dataclass(frozen=True)
class Domain:
    """Where the statistics of an engine's pictures lie.

    Attributes:
        mean: Of each of ``STATISTICS``, over clean pictures.
        deviation: The standard deviation of each.
        weights: By kind of blindness the direction from clean to blind pictures, ``(K,)`` of
            statistics in deviations from the mean. The sum of their products is 1 at the limit.
    """

    mean: Float64Array
    deviation: Float64Array
    weights: Mapping[str, Float64Array]

    @classmethod
    def fitted(
        cls, clean: Float64Array, cameras: Sequence[str], blind: Mapping[str, Float64Array]
    ) -> Domain:
        """Returns the domain of clean and blind pictures, its limits not known yet.

        Until ``limited`` clean pictures have a deviation of 1 along each direction.

        Args:
            clean: ``(N, K)`` statistics of clean pictures.
            cameras: ``(N,)`` which camera each is of. A camera with many pictures counts for more
                than one with few, but by the root of their number only.
            blind: By kind ``(M, K)`` those of blind ones.
        """
        _, index, counts = np.unique(cameras, return_inverse=True, return_counts=True)
        share = 1.0 / np.sqrt(counts[index])
        share /= share.sum()
        mean = share @ clean
        deviation = np.maximum(np.sqrt(share @ (clean - mean) ** 2), LEAST_DEVIATION)
        scaled = _scaled(clean, mean, deviation)
        spread = (share[:, None] * scaled).T @ scaled
        weights = {}
        for kind, values in blind.items():
            other = _scaled(values, mean, deviation)
            centre = other.mean(axis=0)
            other_spread = (other - centre).T @ (other - centre) / len(other)
            within = 0.5 * (spread + other_spread)
            variance = np.diag(within)
            within = (1.0 - SHRINKAGE) * within
            np.fill_diagonal(within, variance + LEAST_VARIANCE)
            direction = np.linalg.solve(within, centre)
            weights[kind] = direction / np.sqrt(direction @ spread @ direction)
        return cls(mean, deviation, weights)

    @classmethod
    def of_spec(cls, rows: Mapping[str, Any]) -> Domain:
        """Reads what ``to_spec`` wrote.

        Raises:
            ConfigurationError: A key is missing, or statistics are named that are not known here.
        """
        try:
            names = list(rows['statistics'])
            mean, deviation = _numbers(rows['mean']), _numbers(rows['deviation'])
            weights = {str(kind): _numbers(row) for kind, row in rows['weights'].items()}
            # Whatever is compared with NaN, every picture would be in it.
            every = np.concatenate([mean, deviation, *weights.values()])
            if not ((deviation > 0).all() and np.isfinite(every).all()):
                raise ValueError('its numbers are none')
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ConfigurationError(
                f'domain cannot be read ({error!r}). Measure it again: seg_ros calibrate-engine'
            ) from error
        lengths = {len(row) for row in (mean, deviation, *weights.values())}
        if names != list(STATISTICS) or lengths != {len(STATISTICS)} or not weights:
            raise ConfigurationError(
                'domain has other statistics than this version takes. Measure it again: seg_ros '
                'calibrate-engine'
            )
        return cls(mean, deviation, weights)

    def to_spec(self) -> dict[str, Any]:
        """Returns plain lists for ``spec.yaml``."""
        return {
            'statistics': list(STATISTICS),
            'mean': _rounded(self.mean),
            'deviation': _rounded(self.deviation),
            'weights': {kind: _rounded(row) for kind, row in self.weights.items()},
        }

    def limited(self, limits: Mapping[str, float]) -> Domain:
        """Returns the same domain with limits: the score of each kind that a picture may have."""
        weights = {kind: row / limits[kind] for kind, row in self.weights.items()}
        return replace(self, weights=weights)

    def scores(self, values: ArrayLike) -> Float64Array:
        """Returns ``(..., kinds)`` how much of each kind of blindness statistics have."""
        scaled = _scaled(np.asarray(values), self.mean, self.deviation)
        return np.asarray(scaled @ self._directions.T)

    def likeness(self, values: ArrayLike) -> Likeness:
        """Returns what the picture with these statistics is like."""
        scores = self.scores(values)
        most = int(np.argmax(scores))
        return Likeness(float(scores[most]), tuple(self.weights)[most])

    @cached_property
    def _directions(self) -> Float64Array:
        return np.array(list(self.weights.values()))


def _scaled(values: Float64Array, mean: Float64Array, deviation: Float64Array) -> Float64Array:
    return np.clip((values - mean) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS)


def _numbers(values: Any) -> Float64Array:
    return np.array([float(value) for value in values])


def _rounded(values: Float64Array) -> list[float]:
    """Five digits, which is a thousandth of any limit."""
    return [float(f'{value:.5g}') for value in values]
