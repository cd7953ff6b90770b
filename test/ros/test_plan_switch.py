# SPDX-License-Identifier: Apache-2.0
"""A plan is built beside the node: masks at once, progress told, no frame lost at the switch.

The build and the better backend are fakes, since no machine of the tests has a GPU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from seg_ros.inference.engine import Engine
from seg_ros.inference.registry import ChosenBackend
from seg_ros.inference.switchable_backend import SwitchableBackend
from test.inference.fake_builds import FakeBuild, Named
from test.ros.drive import Drive
from test.ros.graph import Graph, image_message, latest_status, pixels_of, values_of, wait_for
from test.ros.nodes import canned, street


class Plan:
    """Replaces the choice of a backend by one whose plan is being built."""

    def __init__(self) -> None:
        self.build = FakeBuild()

    def create(self, _name: str, engine: Engine, **_options: Any) -> ChosenBackend:
        better = Named(engine, 'tensorrt', label=2)
        serving = Named(engine, 'onnxruntime', label=1)
        backend = SwitchableBackend(serving, self.build, lambda: better, 'tensorrt')
        return ChosenBackend(backend, 'onnxruntime: its plan is not built yet')


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    made = Plan()
    monkeypatch.setattr('seg_ros.ros.segmentation_node.create_backend', made.create)
    return made


def test_masks_come_at_once_and_no_frame_is_lost_when_the_plan_takes_over(
    graph: Graph, engine: Path, plan: Plan
) -> None:
    graph.node(**canned(engine, backend='auto'))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.connected(camera)

    def said(key: str) -> str:
        return values_of(latest_status(diagnostics)).get(key, '')

    for count in range(1, 11):
        camera.publish(image_message(street()[0], stamp_ns=count))
        wait_for(lambda n=count: len(labels) == n, 'a label image')
        if count == 3:
            wait_for(lambda: said('backend_state') == 'building', 'the build is told')
            assert said('backend') == 'onnxruntime'
            assert said('backend_progress') == '0.40'
            plan.build.end()
    wait_for(lambda: said('backend') == 'tensorrt', 'the switch is told')
    assert said('backend_state') == 'ready'
    values = [int(np.unique(pixels_of(row)).item()) for row in labels]
    assert [row.header.stamp.nanosec for row in labels] == list(range(1, 11))
    assert values == sorted(values)
    assert (values[0], values[-1]) == (1, 2)


def test_the_stop_stays_proven_through_the_switch(graph: Graph, engine: Path, plan: Plan) -> None:
    stops = graph.collect(Bool, '/segmentation/pedestrian_stop')
    # The tiny networks of this test know no road
    graph.node(**canned(engine, backend='auto', **{'stop.min_ground_share': 0.0}))
    drive = Drive(graph)
    try:
        wait_for(lambda: stops and not stops[-1].data, 'the way is clear')
        stops.clear()
        plan.build.end()
        wait_for(lambda: len(stops) > 20, 'a second of heartbeats')
        assert not any(message.data for message in stops)
    finally:
        drive.close()


def test_a_build_that_fails_leaves_the_first_backend_at_work(
    graph: Graph, engine: Path, plan: Plan, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.node(**canned(engine, backend='auto'))
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    plan.build.end('no room on the disk')
    wait_for(
        lambda: values_of(latest_status(diagnostics)).get('backend_state') == 'failed',
        'the failure is told',
    )
    values = values_of(latest_status(diagnostics))
    assert values['backend'] == 'onnxruntime'
    assert 'no room on the disk' in values['backend_status']
    assert 'no room on the disk' in capfd.readouterr().err
