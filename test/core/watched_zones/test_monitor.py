# SPDX-License-Identifier: Apache-2.0
"""Zones that people watch, each a file of config/zones, and the rules that all zones share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import yaml

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.watched_zones.config import ZoneConfig
from seg_ros.core.watched_zones.monitor import ZoneMonitors, ZoneState
from test import people_scene as scene
from test.paths import REPOSITORY

FOLDER = REPOSITORY / 'config/zones'
MS = 1_000_000
TABLE = scene.camera().ground_table()


class Watch:
    """A monitor of one zone that is shown pictures, ten a second."""

    def __init__(self, file: str = '', **config: Any) -> None:
        values: dict[str, Any] = {'names': ('zone',)}
        if file:
            text = (FOLDER / file).read_text()
            values = yaml.safe_load(text)['/**']['ros__parameters']['zones']
        values.update(config)
        values = {
            name: tuple(value) if isinstance(value, (list, tuple)) else (value,)
            for name, value in values.items()
        }
        self.monitors = ZoneMonitors(ZoneConfig(**values), scene.LABEL_MAP)
        self.stamp_ns = 0

    def see(self, labels: Any, seconds: float = 2.0, table: Any = TABLE) -> ZoneState:
        for _ in range(round(10 * seconds)):
            self.stamp_ns += 100 * MS
            (state,) = self.monitors.update(labels, table, self.stamp_ns)
        return state


def shelf(full_share: float) -> Any:
    """Returns a picture of a shelf; goods are painted as cars, the back wall as poles."""
    labels = np.full(scene.SIZE_WH[::-1], scene.POLE, np.uint8)
    labels[:, : round(full_share * scene.SIZE_WH[0])] = scene.CAR
    return labels


def test_a_crossing_with_somebody_on_it() -> None:
    watch = Watch('crossing.yaml')
    assert not watch.see(scene.empty_road()).alarm
    assert watch.see(scene.frame_with((10.0, 1.0))).alarm
    assert not watch.see(scene.frame_with((10.0, 8.0))).alarm  # waits on the pavement


def test_a_shelf_that_runs_empty() -> None:
    watch = Watch('shelf.yaml', classes='car')
    assert not watch.see(shelf(0.6), seconds=6.0).alarm
    assert not watch.see(shelf(0.2), seconds=10.0).alarm  # somebody may stand in front of it
    state = watch.see(shelf(0.2), seconds=21.0)
    assert state.alarm
    assert state.share == pytest.approx(0.2, abs=0.01)
    assert state.reason == 'car cover 0.200 of the zone, 0.3 to 1 is right'


def test_an_instrument_that_was_left_on_a_tray() -> None:
    watch = Watch('tray.yaml', classes='car')  # which the instrument is painted as
    empty = np.full(scene.SIZE_WH[::-1], scene.POLE, np.uint8)
    left = empty.copy()
    height, width = left.shape
    left[height // 2 : height // 2 + height // 10, width // 2 : width // 2 + width // 10] = (
        scene.CAR
    )
    assert not watch.see(empty, seconds=3.0).alarm
    assert not watch.see(left, seconds=1.5).alarm  # a hand may still take it
    assert watch.see(left, seconds=1.0).alarm
    assert not watch.see(empty, seconds=1.5).alarm


def test_a_person_in_the_work_cell_of_a_robot() -> None:
    watch = Watch('work_cell.yaml')
    assert not watch.see(scene.frame_with((12.0, 5.0)), seconds=2.5).alarm
    assert watch.see(scene.frame_with((7.0, 0.0)), seconds=0.3).alarm
    assert watch.see(scene.empty_road(), seconds=1.9).alarm  # held
    assert not watch.see(scene.empty_road(), seconds=0.4).alarm


def test_a_doorway_that_is_blocked() -> None:
    watch = Watch('doorway.yaml')
    assert not watch.see(scene.empty_road()).alarm
    blocked = scene.empty_road()
    scene.add_box(blocked, 7.0, 0.0, scene.CAR, width_m=1.0, to_m=1.0)
    assert not watch.see(blocked, seconds=2.0).alarm  # somebody walks through
    assert watch.see(blocked, seconds=2.0).alarm


@pytest.mark.parametrize(('x', 'y'), [(4.0, 0.0), (10.0, 2.3), (15.0, -1.0)])
def test_somebody_near_whom_one_drives_slowly(x: float, y: float) -> None:
    watch = Watch('slow.yaml')
    assert not watch.see(scene.empty_road(), seconds=2.5).alarm
    assert not watch.see(scene.frame_with((18.0, 0.0), (10.0, 3.5))).alarm
    assert watch.see(scene.frame_with((x, y)), seconds=0.4).alarm
    assert not watch.see(scene.empty_road(), seconds=2.2).alarm


def test_it_is_an_alarm_until_the_zone_is_proven_right() -> None:
    watch = Watch(max_share=0.0, hold_s=1.0)
    assert watch.see(scene.empty_road(), seconds=0.5).alarm
    assert not watch.see(scene.empty_road(), seconds=1.0).alarm


def test_a_glimpse_is_no_alarm() -> None:
    watch = Watch(max_share=0.0, confirm_s=0.3)
    watch.see(scene.empty_road())
    assert not watch.see(scene.frame_with((7.0, 0.0)), seconds=0.3).alarm
    assert not watch.see(scene.empty_road(), seconds=0.2).alarm
    assert watch.see(scene.frame_with((7.0, 0.0)), seconds=0.5).alarm


def test_a_gap_between_two_frames_must_be_proven_right_anew() -> None:
    watch = Watch(max_share=0.0)
    assert not watch.see(scene.empty_road()).alarm
    watch.stamp_ns += 5000 * MS
    assert watch.see(scene.empty_road(), seconds=0.1).alarm


def test_a_zone_on_an_unknown_ground_is_an_alarm() -> None:
    watch = Watch(polygons='ground 5 2 9 2 9 -2 5 -2', max_share=0.0)
    state = watch.see(scene.empty_road(), table=None)
    assert (state.alarm, state.reason) == (True, 'the ground is unknown')
    assert math.isnan(state.share)
    behind = Watch(polygons='ground -5 2 -9 2 -9 -2', max_share=0.0)
    assert behind.see(scene.empty_road()).reason == 'the zone is not seen'
    assert not watch.see(scene.empty_road()).alarm


def test_any_number_of_zones_and_none() -> None:
    assert ZoneMonitors(ZoneConfig(), scene.LABEL_MAP).update(scene.empty_road(), None, 0) == ()
    config = ZoneConfig(
        names=('near', 'far'),
        polygons=('ground 4 2 8 2 8 -2 4 -2', 'ground 8 2 16 2 16 -2 8 -2'),
        max_share=(0.0,),
        hold_s=(0.0,),
    )
    monitors = ZoneMonitors(config, scene.LABEL_MAP)
    near, far = monitors.update(scene.frame_with((12.0, 0.0)), TABLE, 0)
    assert (near.name, near.alarm) == ('near', False)
    assert (far.name, far.alarm) == ('far', True)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'names': ('a b',)}, 'cannot be part of a topic name'),
        ({'names': ('a', 'a')}, 'a name twice'),
        ({'names': ('a', 'b', 'c'), 'hold_s': (1.0, 2.0)}, '2 entries for 3 zones'),
        ({'polygons': ('image 0 0 1',)}, 'three or more corners'),
        ({'polygons': ('moon 0 0 1 1 2 2',)}, 'image or ground'),
        ({'classes': ('',)}, 'counts no class'),
        ({'min_share': (0.5,), 'max_share': (0.2,)}, 'not above'),
        ({'hold_s': (-1.0,)}, 'negative time'),
        ({'speed_percent': (0.0,)}, '0 would mean "no limit" to Nav2'),
    ],
)
def test_a_zone_that_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ZoneConfig(**{'names': ('zone',), **changes})


def test_a_class_that_the_engine_does_not_know_is_refused() -> None:
    config = ZoneConfig(names=('zone',), classes=('goods',))
    with pytest.raises(ConfigurationError, match="counts 'goods', which this engine"):
        ZoneMonitors(config, scene.LABEL_MAP)
