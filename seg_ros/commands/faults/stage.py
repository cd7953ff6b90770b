# SPDX-License-Identifier: Apache-2.0
"""The stage of ``seg_ros faults``: camera, node and witness as processes, and hands on each."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter

from seg_ros.commands.faults.camera import CameraSettings
from seg_ros.commands.faults.judgement import Word
from seg_ros.commands.faults.scene import CAMERA, SIZE_WH
from seg_ros.commands.shared.children import end_with_parent
from seg_ros.commands.shared.process_figures import children_of, figures_of_process
from seg_ros.commands.shared.told_process import ToldProcess
from seg_ros.core.errors import SegRosError

__all__ = ['HOLD_S', 'FaultStage', 'Reason']

ANSWER_S = 10.0  # of a process that is asked for something
START_S = 60.0  # of a node, on a busy machine
POLL_S = 0.01
HOLD_S = 0.2
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
}
PARAMETERS = {
    'backend': 'canned',
    'network_size': f'{SIZE_WH[0]}x{SIZE_WH[1]}',
    'stop.hold_s': HOLD_S,
    # By default 1.0 s, which is the bar itself
    'stop.max_shear': 10.0,  # a painted road with noise has nothing that rows could go on with
    'stop.max_astray': 1.0,  # and the edges of its shapes are alike
    'stop.max_jumps': 1.0,  # nor has it any shade but those of the classes
    'stop.frozen_timeout_s': 0.8,
    'stop.clock_timeout_s': 0.8,
    'mount.x': f'[{CAMERA.mount.x}]',
    'mount.z': f'[{CAMERA.mount.z}]',
    'mount.pitch': f'[{CAMERA.mount.pitch}]',
    'mount.source': 'parameters',
}


class Reason(NamedTuple):
    """Why the stop said what it did.

    Attributes:
        kind: Of ``StopKind``.
        words: In words.
    """

    kind: str
    words: str


class FaultStage:
    """Everything that a case takes hold of.

    Args:
        engine: Folder of the engine.
        logs: Folder of the logs.
        environment: Of the processes; its graph is also that of this one.
        sim_time: Whether the camera gives the clock.
    """

    def __init__(
        self, engine: Path, logs: Path, environment: Mapping[str, str], *, sim_time: bool
    ) -> None:
        self._engine, self._logs, self._environment = engine, logs, environment
        self._sim_time = sim_time
        self.words: list[Word] = []
        self.reasons: deque[tuple[int, Reason]] = deque(maxlen=100_000)
        self._done: deque[int] = deque()
        self._burners: list[subprocess.Popen[bytes]] = []
        self._module = 'seg_ros.commands.faults'
        self.witness = self._player('witness', [], self._hear_witness)
        self.camera = self._start_camera()
        self.node = self._start_node()
        self._peer = rclpy.create_node('fault_injector', start_parameter_services=False)
        name = '/segmentation'
        self._change_state = self._peer.create_client(ChangeState, f'{name}/change_state')
        self._set = self._peer.create_client(
            SetParametersAtomically, f'{name}/set_parameters_atomically'
        )

    def close(self) -> None:
        """Ends every process."""
        self.burn(on=False)
        for process in (self.node, self.camera, self.witness):
            process.end()
        self._peer.destroy_node()

    # The camera

    def show(self, **changes: Any) -> int:
        """Changes settings of the camera; returns the time from which on they hold."""
        self._done.clear()
        self.camera.tell(changes)
        self._wait(lambda: self._done, 'the camera', ANSWER_S)
        return self._done[0]

    def show_all_well(self) -> int:
        """Returns the camera to what a good one does."""
        return self.show(**vars(CameraSettings()))

    def restart_camera(self) -> int:
        """Starts a camera where one has died; returns the time of its first picture."""
        self.camera.end()
        self.camera = self._start_camera()
        return self.show()

    # The node

    def infer(self, name: str = '', **numbers: float) -> int:
        """Says what inference does from now on; returns the time."""
        self.node.tell({'name': name, **numbers} if name else {})
        return time.time_ns()

    def restart_node(self) -> None:
        """Starts a node where one has died."""
        self.node.end()
        self.node = self._start_node()

    def transition(self, name: str, timeout_s: float = ANSWER_S) -> bool:
        """Asks for a transition; returns whether it was made.

        Jazzy's rclpy never answers where the state does not have it.
        """
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
        response = self._call(self._change_state, request, timeout_s)
        return response is not None and bool(response.success)

    def set(self, **values: Any) -> bool:
        """Changes parameters; returns whether the node has taken them."""
        rows = [
            Parameter(name.replace('__', '.'), value=value).to_parameter_msg()
            for name, value in values.items()
        ]
        request = SetParametersAtomically.Request(parameters=rows)
        response = self._call(self._set, request)
        return response is not None and bool(response.result.successful)

    def limit(self, kind: int, most: int) -> None:
        """Limits a resource of the running node; -1 lifts the limit."""
        _, hard = resource.prlimit(self.node.pid, kind)
        resource.prlimit(self.node.pid, kind, (hard if most < 0 else most, hard))

    def heartbeat_pid(self) -> int | None:
        """The process that speaks for the node, None if it does so itself."""
        for process_id, words in children_of(self.node.pid).items():
            if 'heartbeat' in words:
                return process_id
        return None

    def rss_mb(self) -> float:
        """What the node's process has in memory, 0 if it is gone."""
        figures = figures_of_process(self.node.pid)
        return 0.0 if figures is None else figures.rss_mb

    # The machine

    def burn(self, *, on: bool) -> None:
        """Keeps every core busy, or no longer."""
        for burner in self._burners:
            burner.kill()
            burner.wait()
        words = [sys.executable, '-c', 'while True: pass']
        cores = len(os.sched_getaffinity(0)) if on else 0
        self._burners = [subprocess.Popen(words, preexec_fn=end_with_parent) for _ in range(cores)]

    # What is said

    def wait_for_go(self, timeout_s: float) -> bool:
        """Returns whether the node says go, soon enough."""
        deadline_s = time.monotonic() + timeout_s
        while not (self.words and not self.words[-1].stop and self._is_heard()):
            if time.monotonic() > deadline_s:
                return False
            time.sleep(POLL_S)
        return True

    def _is_heard(self) -> bool:
        return time.time_ns() - self.words[-1].said_ns < 500_000_000

    def _hear_witness(self, row: dict[str, Any]) -> None:
        if 'said_ns' in row:
            self.words.append(Word(row['said_ns'], row['stop']))
        else:
            self.reasons.append((time.time_ns(), Reason(row['kind'], row['why'])))

    def _player(
        self, name: str, words: list[str], hear: Callable[[dict[str, Any]], None]
    ) -> ToldProcess:
        module = [f'{self._module}.{name}', *words]
        return ToldProcess(name, module, self._logs, self._environment, hear)

    def _start_camera(self) -> ToldProcess:
        words = ['--engine', str(self._engine), *(['--sim-time'] if self._sim_time else [])]
        return self._player('camera', words, lambda row: self._done.append(row['done_ns']))

    def _start_node(self) -> ToldProcess:
        values = {**PARAMETERS, 'engine': self._engine, 'use_sim_time': self._sim_time}
        words = ['--ros-args']
        for name, value in values.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            words += ['-p', f'{name}:={text}']
        return self._player('faulty_node', words, lambda _row: None)

    def _call(self, client: Any, request: Any, timeout_s: float = ANSWER_S) -> Any:
        if not client.wait_for_service(ANSWER_S):
            raise SegRosError(f'{client.srv_name} is not there. Look at {self._logs}.')
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self._peer, future, timeout_sec=timeout_s)
        return future.result() if future.done() else None

    def _wait(self, condition: Callable[[], Any], who: str, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                raise SegRosError(f'{who} does not answer. Look at {self._logs}.')
            time.sleep(POLL_S)
