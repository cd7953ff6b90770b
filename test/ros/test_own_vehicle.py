# SPDX-License-Identifier: Apache-2.0
"""A bonnet that the network takes for a car is found while the vehicle moves, and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray

from seg_ros.core.stop import own_vehicle
from test.ros.drive import Drive, empty_road
from test.ros.graph import Graph, latest_status, values_of, wait_for
from test.ros.nodes import canned
from test.tiny_onnx import COLOURS

VEHICLE = 4
STATUS = '/segmentation/pedestrian_stop/status'


class MovingDrive(Drive):
    """The world changes from picture to picture, the bonnet before it does not."""

    def _picture(self) -> NDArray[np.uint8]:
        patches = self._random.integers(-15, 16, (16, 32, 1)).repeat(4, 0).repeat(4, 1)
        picture = np.clip(self.image + patches, 0, 255).astype(np.uint8)
        noise = self._random.integers(0, 3, picture.shape, dtype=np.uint8)
        picture[-9:] = np.array(COLOURS[VEHICLE], np.uint8) + noise[-9:]
        return picture


def test_a_bonnet_stops_the_vehicle_until_it_is_found(
    graph: Graph,
    engine: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(own_vehicle, 'LOOK_EVERY_S', 0.05)
    monkeypatch.setattr(own_vehicle, 'LOOKS', 20)
    status = graph.collect(DiagnosticStatus, STATUS)
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.node(**canned(engine))
    drive = MovingDrive(graph, empty_road())

    def kind() -> str:
        return values_of(status[-1])['kind'] if status else ''

    def found() -> str:
        return values_of(latest_status(diagnostics)).get('own_vehicle', '') if diagnostics else ''

    try:
        wait_for(lambda: kind() == 'ground_not_seen', 'a stop because of the bonnet')
        wait_for(lambda: kind() == 'clear', 'the way is clear', timeout_s=30.0)
        wait_for(lambda: found().startswith('stop.ego_mask: [0.0, 1.0'), 'where it is')
    finally:
        drive.close()
    log = capfd.readouterr()
    assert (log.out + log.err).count('the own vehicle stands in the lowest') == 1
