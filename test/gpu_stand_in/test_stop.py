# SPDX-License-Identifier: Apache-2.0
"""A vehicle drives, and a call of CUDA fails: whichever, its stop is true and says which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from seg_ros.ros.segmentation_node import SegmentationNode
from test.gpu_stand_in.stand_in import StandIn
from test.gpu_stand_in.tiny_plan import TinyPlan
from test.ros.drive import Drive
from test.ros.fixtures import *  # noqa: F403
from test.ros.graph import Graph, values_of, wait_for
from test.ros.nodes import canned

pytest.importorskip('cuda.bindings.driver', reason='cuda-bindings is not installed')

GPUS = pytest.mark.parametrize('rig', [False, True], ids=['own memory', 'shared'], indirect=True)
# Of a frame in mid-drive, whose graph was captured long ago
CALLS = ('cuCtxPushCurrent', 'cuGraphLaunch', 'cuCtxPopCurrent', 'cuStreamSynchronize')


class Rig:
    """A node on the stand-in whose network takes all that it sees for road, and a drive."""

    def __init__(self, graph: Graph, gpu: StandIn, folder: Path, *, is_integrated: bool) -> None:
        gpu.be(is_integrated=is_integrated)
        self.gpu = gpu
        plan = TinyPlan(folder)
        believed = {'stop.min_ground_share': 0.0, 'stop.min_frame_confidence': 0.0}
        self.node: SegmentationNode = graph.node(
            **canned(
                plan.engine.folder,
                backend='tensorrt',
                cache_path=str(plan.cache.folder),
                heartbeat_hz=100.0,
                **believed,
            )
        )
        self.said: list[DiagnosticStatus] = graph.collect(
            DiagnosticStatus, '/segmentation/pedestrian_stop/status'
        )
        self.drive = Drive(graph)

    def clear(self) -> None:
        """Waits until the vehicle may go, and forgets what was said before."""
        self.said.clear()
        wait_for(lambda: self.said and values_of(self.said[-1])['stop'] == 'false', 'go')
        self.said.clear()

    def since_the_failure(self, call: str, error: str) -> list[DiagnosticStatus]:
        """Returns all that the stop said from the word of the failure on."""

        def first() -> int | None:
            rows = (i for i, row in enumerate(self.said) if error in row.message)
            return next(rows, None)

        wait_for(lambda: first() is not None, f'the stop names {error} of {call}')
        assert f'{call} failed on no GPU (stand-in) with {error}' in self.said[first()].message
        return self.said[first() :]


@pytest.fixture
def rig(
    graph: Graph,
    careless_gpu: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: Any,
) -> Iterator[Rig]:
    monkeypatch.setenv('SEG_ROS_STAND_IN_CANNED', '1')
    rig = Rig(graph, careless_gpu, tmp_path, is_integrated=request.param)
    yield rig
    rig.drive.close()
    graph.destroy(rig.node)
    careless_gpu.heal()


@GPUS
@pytest.mark.parametrize('call', CALLS)
def test_a_call_that_fails_in_mid_drive_is_a_stop_with_its_name_and_then_it_goes_on(
    call: str, rig: Rig
) -> None:
    rig.clear()
    rig.gpu.fail(call, error=999)
    told = rig.since_the_failure(call, 'CUDA_ERROR_UNKNOWN')
    assert values_of(told[0])['stop'] == 'true'
    assert values_of(told[0])['kind'] == 'failed'
    rig.clear()  # a new runner serves
    assert rig.node.lost == ''
    assert rig.gpu.problems == []


@GPUS
@pytest.mark.parametrize('call', CALLS)
def test_an_error_that_sticks_is_a_stop_with_its_name_until_the_process_ends(
    call: str, rig: Rig
) -> None:
    rig.clear()
    rig.gpu.fail(call, error=719, sticks=True)
    told = rig.since_the_failure(call, 'CUDA_ERROR_LAUNCH_FAILED')
    wait_for(lambda: rig.node.lost, 'the process is to end')
    start = len(rig.said)
    wait_for(lambda: len(rig.said) > start + 50, 'half a second of heartbeats')
    told += rig.said[start:]
    assert {values_of(row)['stop'] for row in told} == {'true'}
    assert all('CUDA_ERROR_LAUNCH_FAILED' in row.message for row in told)
    assert rig.gpu.problems == []
