# SPDX-License-Identifier: Apache-2.0
"""What Autoware reads from the mask is what was segmented, in its own ids."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from seg_ros.commands.evaluate.exact_labels import EXACT_LABEL_MAP
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.navigation.autoware_mask import AUTOWARE_IDS, AutowareEncoder
from seg_ros.sim import classes as sim
from test.core.navigation.autoware_decoder import decoded


def test_a_mask_decodes_to_autowares_ids() -> None:
    labels = np.full((40, 60), sim.ROAD, np.uint8)
    labels[:10] = sim.SKY
    labels[8:30, 20:26] = sim.PEDESTRIAN
    labels[35:, 3] = sim.LANE_MARKING
    labels[-1, -1] = sim.UNLABELLED
    want = np.full((40, 60), AUTOWARE_IDS['ROAD'], np.uint8)
    want[:10] = AUTOWARE_IDS['SKY']
    want[8:30, 20:26] = AUTOWARE_IDS['PERSON']
    want[35:, 3] = AUTOWARE_IDS['ROAD_PAINT']
    want[-1, -1] = AUTOWARE_IDS['UNKNOWN']
    np.testing.assert_array_equal(decoded(AutowareEncoder(EXACT_LABEL_MAP).encode(labels)), want)


def test_noise_and_a_single_colour_decode_as_well() -> None:
    encoder = AutowareEncoder(EXACT_LABEL_MAP)
    random = np.random.default_rng(1)
    noise = random.integers(0, 12, (30, 50)).astype(np.uint8)
    assert decoded(encoder.encode(noise)).shape == (30, 50)
    plain = encoder.encode(np.full((30, 50), sim.ROAD, np.uint8))
    assert plain.runs == struct.pack('=Bi', 9, 1500)


@pytest.mark.parametrize(
    ('name', 'roles', 'autoware'),
    [
        ('pavement', ('walkable',), 'SIDEWALK'),
        ('cyclist', ('cyclist', 'obstacle'), 'BIKE'),
        ('vehicle', ('obstacle', 'vehicle'), 'VEHICLE'),
        ('tree', ('obstacle', 'static'), 'VEGETATION'),
        ('Traffic Light', ('static',), 'TRAFFIC_LIGHT'),
        ('fence', ('obstacle', 'static'), 'OBSTACLE'),
        ('haze', (), 'UNKNOWN'),
    ],
)
def test_a_class_goes_by_its_name_and_else_by_its_role(
    name: str, roles: tuple[str, ...], autoware: str
) -> None:
    encoder = AutowareEncoder(LabelMap((LabelClass(5, name, (1, 2, 3), roles),)))
    image = decoded(encoder.encode(np.full((2, 2), 5, np.uint8)))
    assert set(image.ravel().tolist()) == {AUTOWARE_IDS[autoware]}
