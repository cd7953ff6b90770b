# SPDX-License-Identifier: Apache-2.0
"""Polygons that were drawn with the mouse, as parameters and as a params file."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from seg_ros.commands.view.changes import check_confirmed
from seg_ros.commands.view.drawings import drawings_from_json, parameters_of, params_file
from seg_ros.commands.view.server import NotConfirmed
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import config_from_values
from seg_ros.core.watched_zones.config import ZoneConfig

TRIANGLE = [[0.1, 0.9], [0.50001, 0.6], [0.9, 0.9]]
ON_GROUND = [[4.0, 1.504], [9.0, 1.5], [9.0, -1.5]]


def drawn(kind: str, frame: str = 'image', corners: Any = TRIANGLE, **more: str) -> Any:
    return {'kind': kind, 'frame': frame, 'corners': corners, **more}


def parameters(*rows: Any, config: NodeConfig | None = None) -> dict[str, Any]:
    return parameters_of(drawings_from_json(rows), config or NodeConfig())


def test_an_ego_mask_and_a_stop_zone_become_parameters_of_the_stop() -> None:
    values = parameters(drawn('ego_mask'), drawn('stop_zone', 'ground', ON_GROUND))
    assert values == {
        'stop.ego_mask': (0.1, 0.9, 0.5, 0.6, 0.9, 0.9),
        'stop.zone': 'polygon',
        'stop.polygon_m': (4.0, 1.5, 9.0, 1.5, 9.0, -1.5),
    }


def test_a_stop_zone_in_the_picture_is_the_image_zone() -> None:
    assert parameters(drawn('stop_zone'))['stop.zone'] == 'image'


def test_a_watched_zone_is_added_to_those_that_there_are() -> None:
    config = NodeConfig(
        zones=ZoneConfig(names=('shelf',), classes=('goods',), min_share=(0.3,), confirm_s=(30.0,))
    )
    values = parameters(drawn('watched_zone', name='door', classes='person'), config=config)
    zones = config_from_values(config, values).zones.zones()
    assert [(row.name, row.classes, row.confirm_s) for row in zones] == [
        ('shelf', ('goods',), 30.0),
        ('door', ('person',), 0.3),
    ]
    assert zones[0].min_share == 0.3
    assert zones[1].max_share == 0.0  # an alarm as soon as anybody is there


def test_a_watched_zone_of_the_same_name_takes_the_place_of_the_old_one() -> None:
    config = NodeConfig(zones=ZoneConfig(names=('door',), hold_s=(7.0,)))
    values = parameters(drawn('watched_zone', 'ground', ON_GROUND, name='door'), config=config)
    (zone,) = config_from_values(config, values).zones.zones()
    assert (zone.frame, zone.hold_s) == ('ground', 7.0)


@pytest.mark.parametrize(
    ('row', 'words'),
    [
        (drawn('ego_mask', corners=TRIANGLE[:2]), '2 corners'),
        (drawn('ego_mask', 'ground'), 'cannot be drawn on the ground'),
        (drawn('watched_zone', name='no spaces'), 'letters, digits'),
        (drawn('watched_zone'), 'needs a name'),
        (drawn('roof'), 'nothing that can be drawn'),
        (drawn('stop_zone', corners=[[0, 0], [2, 0], [0, 1]]), 'from 0 to 1'),
        (drawn('stop_zone', corners=[[0, 0], [float('nan'), 0], [0, 1]]), 'finite'),
        ({'kind': 'ego_mask'}, 'no drawings'),
    ],
)
def test_what_the_node_would_refuse_is_refused_with_the_reason(row: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parameters(row)


def test_the_params_file_is_read_back_as_what_was_drawn() -> None:
    values = parameters(drawn('ego_mask'), drawn('watched_zone', name='door'))
    text = params_file(values, 'zones.yaml')
    assert 'SPDX' in text
    assert '--params-file zones.yaml' in text
    read = yaml.safe_load(text)['/**']['ros__parameters']
    assert read['stop.ego_mask'] == [0.1, 0.9, 0.5, 0.6, 0.9, 0.9]
    assert read['zones.polygons'] == ['image 0.1 0.9 0.5 0.6 0.9 0.9']
    assert read['zones.max_share'] == [0.0]


@pytest.mark.parametrize(
    ('speed_mps', 'words'), [(None, 'Nobody says how fast'), (1.2, 'moves, at 1.2 m/s')]
)
def test_no_zone_changes_under_a_vehicle_that_moves_or_may_move(
    speed_mps: float | None, words: str
) -> None:
    values = {'stop.image_polygon': (0.0,)}
    with pytest.raises(NotConfirmed, match=words):
        check_confirmed(values, speed_mps, is_confirmed=False)
    check_confirmed(values, speed_mps, is_confirmed=True)


def test_a_zone_of_a_standing_vehicle_and_an_opacity_need_no_confirmation() -> None:
    check_confirmed({'stop.hold_s': 1.0}, 0.01, is_confirmed=False)
    check_confirmed({'overlay_alpha': 0.4}, 12.0, is_confirmed=False)
