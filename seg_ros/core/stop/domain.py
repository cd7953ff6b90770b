# SPDX-License-Identifier: Apache-2.0
"""Domain of an engine: which pictures are like those that it was found to work on.

One Gaussian over the statistics of clean pictures. A network that never saw fog, a room or the
inside of a lens cap is as sure of its labels there as on a road; the picture's own statistics, and
those of the labels, are not those of a road.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.picture_statistics import STATISTICS

__all__ = ['Domain']

Float64Array = NDArray[np.float64]

# One odd statistic makes no blind picture (a wet road mirrors the sky), many do: none counts as
# more than so many standard deviations. Of 3, 5 and 8, 3 caught most at the same refusals.
MOST_DEVIATIONS = 3.0
LEAST_DEVIATION = 0.01  # of any statistic; one that never changed would divide by nothing
# The correlations of a few hundred pictures are noisy: they are drawn towards none by this part.
# Of 0.05, 0.1, 0.3 and 0.5, 0.3 refused the fewest pictures of cameras that were left out.
SHRINKAGE = 0.3


@dataclass(frozen=True)
class Domain:
    """Where the statistics of an engine's pictures lie.

    Attributes:
        size_wh: Width and height of the pictures: statistics of another size are others.
        mean: Of each of ``STATISTICS``.
        deviation: The standard deviation of each.
        correlation: ``(K, K)``.
        limit: Greatest distance of a picture that is like those.
    """

    size_wh: tuple[int, int]
    mean: Float64Array
    deviation: Float64Array
    correlation: Float64Array
    limit: float

    @classmethod
    def fitted(
        cls, size_wh: tuple[int, int], values: Float64Array, cameras: Sequence[str]
    ) -> Domain:
        """Returns the domain of clean pictures, its limit not known yet (infinite).

        Args:
            size_wh: Of the pictures.
            values: ``(N, K)`` their statistics.
            cameras: ``(N,)`` which camera each is of. A camera with many pictures counts for more
                than one with few, but by the root of their number only.
        """
        _, index, counts = np.unique(cameras, return_inverse=True, return_counts=True)
        weights = 1.0 / np.sqrt(counts[index])
        weights /= weights.sum()
        mean = weights @ values
        deviation = np.maximum(np.sqrt(weights @ (values - mean) ** 2), LEAST_DEVIATION)
        scaled = np.clip((values - mean) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS)
        correlation = (weights[:, None] * scaled).T @ scaled
        shrunk = (1.0 - SHRINKAGE) * correlation
        np.fill_diagonal(shrunk, 1.0)
        return cls(size_wh, mean, deviation, shrunk, float('inf'))

    @classmethod
    def of_spec(cls, rows: Mapping[str, Any]) -> Domain:
        """Reads what ``to_spec`` wrote.

        Raises:
            ConfigurationError: A key is missing, or statistics are named that are not known here.
        """
        try:
            names = list(rows['statistics'])
            size_wh = int(rows['size'][0]), int(rows['size'][1])
            mean, deviation = _numbers(rows['mean']), _numbers(rows['deviation'])
            correlation = np.eye(len(names))
            for index, row in enumerate(rows['correlation'], start=1):
                correlation[index, :index] = correlation[:index, index] = _numbers(row)
            limit = float(rows['limit'])
            # Whatever is compared with NaN, every picture would be in it.
            if not (limit > 0 and (deviation > 0).all() and np.isfinite(mean).all()):
                raise ValueError('its numbers are none')
            np.linalg.cholesky(correlation)
        except (LookupError, TypeError, ValueError, OverflowError) as error:  # LinAlgError, too
            raise ConfigurationError(
                f'domain cannot be read ({error!r}). Measure it again: seg_ros calibrate-engine'
            ) from error
        if names != list(STATISTICS) or len(mean) != len(names) or len(deviation) != len(names):
            raise ConfigurationError(
                'domain has other statistics than this version takes. Measure it again: seg_ros '
                'calibrate-engine'
            )
        return cls(size_wh, mean, deviation, correlation, limit)

    def to_spec(self) -> dict[str, Any]:
        """Returns plain lists for ``spec.yaml``."""
        return {
            'size': list(self.size_wh),
            'statistics': list(STATISTICS),
            'mean': np.round(self.mean, 6).tolist(),
            'deviation': np.round(self.deviation, 6).tolist(),
            'correlation': [
                np.round(self.correlation[index, :index], 4).tolist()
                for index in range(1, len(self.mean))
            ],
            'limit': round(self.limit, 3),
        }

    def distance(self, values: ArrayLike) -> float:
        """Returns how unlike the engine's pictures one is: about 1 for those."""
        scaled = (np.asarray(values) - self.mean) / self.deviation
        scaled = np.clip(scaled, -MOST_DEVIATIONS, MOST_DEVIATIONS)
        return float(scaled @ self._precision @ scaled) / len(scaled)

    @cached_property
    def _precision(self) -> Float64Array:
        return np.asarray(np.linalg.inv(self.correlation))


def _numbers(values: Any) -> Float64Array:
    return np.array([float(value) for value in values])
