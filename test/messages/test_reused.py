# SPDX-License-Identifier: Apache-2.0
"""A message that is filled anew says what a new one says, whatever the frame before was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from seg_ros.core.lane.track import Coefficients, LaneTrack, Placement
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import config_from_values
from seg_ros.core.types import NetworkView
from seg_ros.decisions import DECISIONS, CameraDecisions, FrameDecisions
from seg_ros.messages.conversions import header_of
from seg_ros.messages.outputs import decision_outputs
from seg_ros.messages.plain import serialised, typestore
from seg_ros.messages.reused import Pool, fill
from seg_ros.messages.types import Image, KeyValue
from test import people_scene as scene
from test.messages.stand_ins import stand_ins
from test.through_perception import decided

CONFIG = config_from_values(
    NodeConfig(),
    {
        'lane.departure_s': 1.0,
        'zones.names': ('yard',),
        'zones.polygons': ('ground 4 3 30 3 30 -3 4 -3',),
        'zones.speed_percent': (50.0,),
    },
)
# A single number is no work; what is asked for in silence belongs to two threads
MADE_ANEW = {'lane_track/departure', 'zone/yard', 'speed_limit'}
BENT = Coefficients(0.2, 0.01, 0.002)
LANE = LaneTrack(True, 'both lines', 'markings', 1, BENT, BENT, BENT, 3.0, start_m=2.0)
FAR = replace(LANE, reach_m=28.0, departure='')
NEAR = replace(LANE, reach_m=9.0, departure='left')
PLACED = replace(LANE, reach_m=15.0, placement=Placement('map', 10.0, 20.0, 3.0, 1.0))
NO_LANE = LaneTrack(False, 'no lines', 'markings', 4)


@pytest.fixture(autouse=True)
def packages() -> Iterator[None]:
    with stand_ins():
        yield


def frames() -> list[FrameDecisions]:
    """Many people and a long lane, then few and a short one, then none, then many again."""
    camera = CameraDecisions(CONFIG, scene.LABEL_MAP)
    camera.calibrate(scene.camera())
    random = np.random.default_rng(1)
    crowd = ((8.0, 1.0), (14.0, -3.0), (12.0, 3.0))
    found = []
    for number, (people, lane) in enumerate(
        (
            (crowd, FAR),
            (crowd, FAR),
            (crowd, FAR),
            (crowd[:1], NEAR),
            ((), NO_LANE),
            (crowd[:2], PLACED),
            (crowd, FAR),
        )
    ):
        labels = scene.frame_with(*people)
        picture = random.integers(100, 116, (*labels.shape, 3), np.uint8)
        view = NetworkView(picture, labels, np.full_like(labels, 200))
        decisions = decided(camera, view, 50 * scene.MS * (number + 1), DECISIONS)
        found.append(replace(decisions, lane=lane))
    return [*found, FrameDecisions(), found[0]]


def test_a_message_filled_anew_has_the_bytes_of_a_new_one() -> None:
    kept = decision_outputs(CONFIG)
    seen: dict[str, set[int]] = {row.topic: set() for row in kept}
    messages: list[Any] = []  # all of them, so that no identity is given twice
    for number, found in enumerate(frames()):
        header = header_of(1_000_000_007 * number, f'frame {number}')
        for again, new in zip(kept, decision_outputs(CONFIG), strict=True):
            message, expected = again.make(header, found), new.make(header, found)
            assert (message is None) == (expected is None), again.topic
            if message is None:
                continue
            messages.append(message)
            seen[again.topic].add(id(message))
            assert again.type_name in typestore().fielddefs
            assert serialised(message, again.type_name) == serialised(expected, again.type_name), (
                again.topic,
                number,
            )
    assert {topic for topic, ids in seen.items() if len(ids) > 1} == MADE_ANEW
    assert all(seen.values())


def test_a_pool_makes_no_more_than_were_ever_needed_at_once() -> None:
    pool = Pool(KeyValue)
    three = pool.first(3)
    assert [id(row) for row in pool.first(2)] == [id(row) for row in three[:2]]
    assert [id(row) for row in pool.first(3)] == [id(row) for row in three]


@pytest.mark.parametrize('count', [0, 6, 7])
def test_bytes_of_the_same_number_are_written_to_the_field_that_is_there(count: int) -> None:
    message = Image()
    fill(message, 'data', 'B', np.arange(6, dtype=np.uint8))
    before = message.data
    values = np.arange(10, 10 + 2 * count, dtype=np.uint8)[::2]
    fill(message, 'data', 'B', values)
    assert list(message.data) == values.tolist()
    assert (message.data is before) == (count == 6)
