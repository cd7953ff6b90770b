# SPDX-License-Identifier: Apache-2.0
"""What is fastest is measured before the node first looks at an image; the stop is true meanwhile.

The first tests have a measurement that ends when they say so, the last one the real one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from seg_ros.core.errors import BackendUnavailable
from seg_ros.inference.engine import Engine
from seg_ros.inference.registry import ChosenBackend, TuneOptions
from seg_ros.inference.switchable_backend import SwitchableBackend
from seg_ros.inference.tensorrt import backend as tensorrt_backend
from seg_ros.inference.tensorrt.background_build import BackgroundBuild
from test.inference.fake_builds import FakeBuild, Named
from test.ros.drive import Drive
from test.ros.graph import Graph, latest_status, pixels_of, values_of, wait_for
from test.ros.nodes import canned

RULES, BEST = 1, 2  # the labels that each gives


class Measurement:
    """Replaces the choice of a backend by one that is being measured."""

    def __init__(self) -> None:
        self.build = FakeBuild()
        self.asked: TuneOptions | None = None

    def create(self, _name: str, engine: Engine, **options: Any) -> ChosenBackend:
        self.asked = options['tuning']
        rules, best = Named(engine, 'onnxruntime', RULES), Named(engine, 'openvino', BEST)
        backend = SwitchableBackend(rules, self.build, lambda: best, 'the best', is_tune=True)
        return ChosenBackend(backend, 'it is being measured; not tensorrt: there is none')


@pytest.fixture
def measurement(monkeypatch: pytest.MonkeyPatch) -> Measurement:
    made = Measurement()
    monkeypatch.setattr('seg_ros.ros.segmentation_node.create_backend', made.create)
    return made


def test_no_image_is_looked_at_and_the_stop_is_true_until_it_is_measured(
    graph: Graph, engine: Path, measurement: Measurement, capfd: pytest.CaptureFixture[str]
) -> None:
    stops = graph.collect(Bool, '/segmentation/pedestrian_stop')
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    # The tiny networks of this test know no road
    graph.node(**canned(engine, backend='auto', **{'stop.min_ground_share': 0.0}))
    assert measurement.asked == TuneOptions(cameras=1, in_background=True)
    drive = Drive(graph)
    try:
        wait_for(
            lambda: status and values_of(status[-1])['kind'] == 'measuring', 'the stop says why'
        )
        wait_for(
            lambda: values_of(latest_status(diagnostics)).get('backend_state') == 'measuring',
            'the measurement is told',
        )
        stops.clear()
        wait_for(lambda: len(stops) > 20, 'a second of heartbeats')
        assert all(message.data for message in stops)
        assert labels == []
        measurement.build.end()
        wait_for(lambda: not stops[-1].data, 'the way is clear')
        assert {int(np.unique(pixels_of(row)).item()) for row in labels} == {BEST}
    finally:
        drive.close()
    said = capfd.readouterr().err
    assert 'it is being measured; licence: ' in said  # in short, not what was passed over
    assert 'training data: none\n' in said


def test_a_measurement_that_fails_leaves_the_rules_at_work(
    graph: Graph, engine: Path, measurement: Measurement, capfd: pytest.CaptureFixture[str]
) -> None:
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.node(**canned(engine, backend='auto'))
    drive = Drive(graph)
    try:
        measurement.build.end('nothing runs here')
        wait_for(lambda: labels, 'a label image')
        assert int(np.unique(pixels_of(labels[0])).item()) == RULES
        wait_for(
            lambda: values_of(latest_status(diagnostics)).get('backend_state') == 'failed',
            'the failure is told',
        )
    finally:
        drive.close()
    assert 'what is fastest is not known: nothing runs here' in capfd.readouterr().err


def test_a_measurement_that_is_killed_leaves_the_rules_at_work_and_nothing_is_remembered(
    graph: Graph,
    engine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def unavailable() -> str:
        raise BackendUnavailable('there is no GPU in this test')

    monkeypatch.setattr(tensorrt_backend, 'version', unavailable)
    status = graph.collect(DiagnosticStatus, '/segmentation/pedestrian_stop/status')
    stops = graph.collect(Bool, '/segmentation/pedestrian_stop')
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    cache = tmp_path / 'cache'
    node = graph.node(**canned(engine, backend='auto', cache_path=str(cache)))
    drive = Drive(graph)
    try:
        wait_for(
            lambda: status and values_of(status[-1])['kind'] == 'measuring', 'the stop says why'
        )
        assert labels == []
        assert node.chosen is not None
        assert isinstance(node.chosen.backend, SwitchableBackend)
        build = node.chosen.backend._build
        assert isinstance(build, BackgroundBuild)
        build._process.kill()
        wait_for(lambda: labels, 'a label image')
        wait_for(
            lambda: values_of(latest_status(diagnostics)).get('backend_state') == 'failed',
            'the failure is told',
        )
    finally:
        drive.close()
    said = values_of(latest_status(diagnostics))['backend_status']
    assert 'serves; what is fastest is not known: ' in said
    assert said in capfd.readouterr().err
    measuring = [row for row in status if values_of(row)['kind'] == 'measuring']
    assert measuring
    assert stops[0].data
    assert not list(cache.glob('*.tuned'))  # the next start measures anew


def test_nothing_is_measured_where_the_parameter_says_so(
    graph: Graph, engine: Path, measurement: Measurement
) -> None:
    graph.node(**canned(engine, backend='auto', auto_tune=False))
    assert measurement.asked == TuneOptions(cameras=1, in_background=False)


def test_a_node_that_is_cleaned_up_ends_the_measurement(
    graph: Graph, engine: Path, measurement: Measurement
) -> None:
    node = graph.node(**canned(engine, backend='auto'))
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert measurement.build.closed


def test_the_second_node_remembers_what_the_first_one_measured(
    graph: Graph,
    engine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unavailable() -> str:
        raise BackendUnavailable('there is no GPU in this test')

    monkeypatch.setattr(tensorrt_backend, 'version', unavailable)
    values = canned(engine, backend='auto', cache_path=str(tmp_path / 'cache'))
    labels = graph.collect(Image, '/segmentation/label')
    first = graph.node(**values)
    drive = Drive(graph)
    try:
        wait_for(lambda: labels, 'a label image', 40.0)
        assert len(list((tmp_path / 'cache').glob('tiny-*.tuned'))) == 1
        assert first.chosen is not None
        first.trigger_deactivate()
        first.trigger_cleanup()
        first.trigger_configure()
        assert first.chosen is not None
        assert ': measured ' in first.chosen.in_short
        assert not isinstance(first.chosen.backend, SwitchableBackend)
    finally:
        drive.close()
