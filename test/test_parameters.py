# SPDX-License-Identifier: Apache-2.0
"""The parameters exist once; what people read agrees with the code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import config_from_values, option, options_of, values_of
from seg_ros.core.parameters.renamed import RENAMED, with_new_names
from seg_ros.core.parameters.text import (
    parameters_help,
    parameters_page,
    parameters_table,
    parameters_yaml,
)
from seg_ros.inference.base import PRECISIONS
from seg_ros.inference.registry import BACKENDS
from test.paths import REPOSITORY


@dataclass(frozen=True)
class Inner:
    size: int = option(3, 'A size.', low=1, high=9)


@dataclass(frozen=True)
class Outer:
    name: str = option('a', 'A name.', choices=('a', 'b'))
    inner: Inner = Inner()


def test_the_parameters_file_is_what_the_code_says() -> None:
    assert (REPOSITORY / 'config/segmentation.yaml').read_text() == parameters_yaml()


def test_the_parameters_file_parses_to_the_defaults() -> None:
    parsed = yaml.safe_load(parameters_yaml())['/**']['ros__parameters']
    defaults = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value, _ in options_of(NodeConfig)
    }
    assert parsed == defaults


def test_the_manual_has_the_table_of_parameters() -> None:
    page = (REPOSITORY / 'docs/parameters.md').read_text()
    assert page == parameters_page()
    assert parameters_table() in page


def test_help_names_every_parameter() -> None:
    for name, _, _ in options_of(NodeConfig):
        assert f'  {name}:=' in parameters_help()


def test_the_choices_are_those_of_the_registry() -> None:
    rules = {name: rule for name, _, rule in options_of(NodeConfig)}
    assert set(rules['backend'].choices) == {'auto', *BACKENDS}
    assert set(rules['precision'].choices) == set(PRECISIONS)


@pytest.mark.parametrize(('given', 'word'), [(True, 'true'), (False, 'false'), ('auto', 'auto')])
def test_true_and_false_may_be_words(given: bool | str, word: str) -> None:
    config = config_from_values(NodeConfig(), {'image_is_rectified': given})
    assert config.image_is_rectified == word


def test_groups_are_named_with_a_dot_and_survive_a_round_trip() -> None:
    assert [name for name, _, _ in options_of(Outer)] == ['name', 'inner.size']
    changed = config_from_values(Outer(), {'inner.size': 5, 'name': 'b'})
    assert values_of(changed) == {'name': 'b', 'inner.size': 5}


@pytest.mark.parametrize(
    ('config', 'values', 'words'),
    [
        (Outer(), {'name': 'c'}, "name is 'c'. Choose one of a, b."),
        (Outer(), {'inner.size': 10}, 'must be from 1 to 9'),
        (NodeConfig(), {'vehicle.max_speed_mps': math.nan}, 'must be from 0.1 to 100.0 m/s'),
        (NodeConfig(), {'camera_names': ()}, 'camera_names is empty'),
        (NodeConfig(), {'camera_names': ('1st',)}, 'cannot be part of a topic name'),
        (NodeConfig(), {'camera_names': ('a', 'a')}, 'a name twice'),
        (NodeConfig(), {'camera_names': ('a', 'b')}, 'one topic per camera'),
        (NodeConfig(), {'image_topics': ('',)}, 'empty topic'),
        (NodeConfig(), {'lane.look_ahead_m': 7.0}, 'must be beyond vehicle.front_m 3.6 m'),
        (NodeConfig(), {'stop.worst_case_speed_mps': 41.0}, 'odometry of that speed would be'),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(
    config: Any, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        config_from_values(config, values)


def test_a_renamed_parameter_is_one_that_exists_and_its_old_name_does_not() -> None:
    names = {name for name, _, _ in options_of(NodeConfig)}
    assert set(RENAMED.values()) <= names
    assert not set(RENAMED) & names


def test_an_old_name_gives_the_new_parameter_and_a_warning_that_names_it() -> None:
    warnings: list[str] = []
    found = with_new_names({'stop.vehicle_front_m': 2.0, 'stop.hold_s': 3.0}, warnings.append)
    assert found == {'vehicle.front_m': 2.0, 'stop.hold_s': 3.0}
    (warning,) = warnings
    assert warning.startswith('Parameter stop.vehicle_front_m is called vehicle.front_m now.')


def test_two_old_names_of_one_parameter_may_agree() -> None:
    values = {'stop.vehicle_front_m': 3.6, 'lane.path_start_m': 3.6}
    assert with_new_names(values, lambda _: None) == {'vehicle.front_m': 3.6}


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'vehicle.front_m': 2.0, 'lane.path_start_m': 2.0}, 'are the same parameter'),
        (
            {'stop.vehicle_front_m': 3.6, 'lane.path_start_m': 0.2},
            'stop.vehicle_front_m is 3.6 and lane.path_start_m is 0.2, but both are',
        ),
    ],
)
def test_a_parameter_under_two_names_is_refused(values: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        with_new_names(values, lambda _: None)
