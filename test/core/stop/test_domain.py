# SPDX-License-Identifier: Apache-2.0
"""Which direction tells blind pictures from clean ones, and how far along it is too far."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.domain import Domain, Likeness
from seg_ros.core.stop.picture_statistics import STATISTICS

Values = NDArray[np.float64]
RANDOM = np.random.default_rng(11)


def shifted(values: Values, *by: float) -> Values:
    return values + np.array(by)


def spread_evenly(mean: list[float], deviation: list[float]) -> Values:
    """1024 rows of unrelated statistics with exactly these means and deviations."""
    grid = np.linspace(-1.0, 1.0, 32)
    rows = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2) / grid.std()
    return np.array(mean) + rows * deviation


ONE_CAMERA = ['front'] * 1024
CLEAN = spread_evenly([5.0, -2.0], [2.0, 0.5])


def test_clean_pictures_have_a_deviation_of_one_along_each_direction() -> None:
    blind = {'fog': shifted(CLEAN, 4.0, 0.0), 'mud': shifted(CLEAN, 2.0, -1.0)}
    domain = Domain.fitted(CLEAN, ONE_CAMERA, blind)
    assert list(domain.weights) == ['fog', 'mud']
    assert domain.mean == pytest.approx([5.0, -2.0])
    assert domain.deviation == pytest.approx([2.0, 0.5])
    scores = domain.scores(CLEAN)
    assert scores.shape == (1024, 2)
    assert scores.std(axis=0) == pytest.approx([1.0, 1.0])
    assert scores.mean(axis=0) == pytest.approx([0.0, 0.0], abs=1e-9)


def test_a_direction_is_that_of_fishers_discriminant() -> None:
    """For unrelated statistics: the difference of the means by the mean of the variances."""
    blind = spread_evenly([5.0 + 2.0, -2.0 + 0.5], [0.5, 0.5])
    domain = Domain.fitted(CLEAN, ONE_CAMERA, {'fog': blind})
    first, second = domain.weights['fog']
    # In deviations: 1 along both; variances of 1 and 1/16 there, 1 and 1 here
    assert first / second == pytest.approx((1.0 + 1.0 + 0.02) / (1.0 + 0.0625 + 0.02), rel=1e-3)
    assert first > 0.0


def test_statistics_that_go_together_count_for_less_than_two() -> None:
    """Related by 0.8, of which 0.7 is believed, and both off by 1: 1 / (1 + 0.8 * 0.7) each."""
    mixed = CLEAN.copy()
    mixed[:, 1] = 0.8 * (CLEAN[:, 0] - 5.0) / 2.0 + 0.6 * (CLEAN[:, 1] + 2.0) / 0.5
    domain = Domain.fitted(
        mixed, ONE_CAMERA, {'fog': shifted(mixed, 2.0, 0.0), 'mud': shifted(mixed, 2.0, 1.0)}
    )
    one, other = domain.weights['mud']
    assert one == pytest.approx(other, rel=0.02)
    alone, against = domain.weights['fog']
    assert against / alone == pytest.approx(-0.8 * 0.7 / 1.01, rel=0.03)


def test_a_camera_counts_by_the_root_of_its_pictures() -> None:
    many, few = np.zeros((16, 1)), np.full((4, 1), 9.0)
    domain = Domain.fitted(
        np.concatenate([many, few]), ['a'] * 16 + ['b'] * 4, {'fog': np.full((3, 1), 20.0)}
    )
    assert domain.mean == pytest.approx([9.0 * 2.0 / (4.0 + 2.0)])
    assert domain.deviation == pytest.approx([np.sqrt((4.0 * 3.0**2 + 2.0 * 6.0**2) / 6.0)])


def test_one_odd_statistic_counts_as_three_deviations_at_most_either_way() -> None:
    domain = Domain(np.zeros(2), np.array([1.0, 2.0]), {'fog': np.array([1.0, 1.0])})
    rows = [[2.9, 0.0], [3.1, 0.0], [1e9, 0.0], [0.0, -5.0], [0.0, -1e9]]
    assert domain.scores(rows)[:, 0] == pytest.approx([2.9, 3.0, 3.0, -2.5, -3.0])


def test_what_never_changes_divides_by_nothing() -> None:
    constant = CLEAN.copy()
    constant[:, 1] = 7.0
    blind = {'black': np.full((4, 2), 7.0)}
    domain = Domain.fitted(constant, ONE_CAMERA, blind)
    assert domain.deviation[1] == pytest.approx(0.01)
    assert np.isfinite(domain.weights['black']).all()


def test_a_limit_is_the_score_that_is_1_from_then_on() -> None:
    domain = Domain.fitted(CLEAN, ONE_CAMERA, {'fog': CLEAN + 4.0, 'mud': CLEAN - 4.0})
    limited = domain.limited({'fog': 2.0, 'mud': 4.0})
    values = RANDOM.normal(5.0, 1.0, (6, 2))
    np.testing.assert_allclose(limited.scores(values), domain.scores(values) / [2.0, 4.0])


def test_a_picture_is_like_the_kind_that_it_has_the_most_of() -> None:
    weights = {'fog': np.array([1.0, 0.0]), 'mud': np.array([0.0, 1.0])}
    domain = Domain(np.zeros(2), np.ones(2), weights)
    assert domain.likeness([0.5, 2.0]) == Likeness(2.0, 'mud')
    assert domain.likeness([-0.5, -2.0]) == Likeness(-0.5, 'fog')


def spec(deviation: float = 1.0, **changes: object) -> dict[str, object]:
    count = len(STATISTICS)
    rows = np.zeros(count), np.full(count, deviation), {'fog': np.ones(count)}
    return {**Domain(*rows).to_spec(), **changes}


@pytest.mark.parametrize('deviation', [0.0, -1.0, float('nan'), float('inf')])
def test_a_deviation_that_is_none_is_refused(deviation: float) -> None:
    with pytest.raises(ConfigurationError, match='its numbers are none'):
        Domain.of_spec(spec(deviation))
    assert Domain.of_spec(spec(1e-6)).deviation[0] == 1e-6


@pytest.mark.parametrize(
    'wrong',
    [
        {'weights': {'fog': [1.0] * (len(STATISTICS) + 1)}},
        {'statistics': [*STATISTICS[:-1], 'another']},
        {'statistics': list(STATISTICS)[::-1]},
        {'mean': [0.0] * (len(STATISTICS) - 1)},
    ],
)
def test_statistics_that_are_not_these_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match='other statistics than this version takes'):
        Domain.of_spec(spec(**wrong))
