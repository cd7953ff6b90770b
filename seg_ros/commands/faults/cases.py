# SPDX-License-Identifier: Apache-2.0
"""The faults of ``seg_ros faults``, one row each: what breaks, and what the node must say then."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from seg_ros.commands.evaluate.sight.blindness import FAMILIES
from seg_ros.commands.faults.camera import FLAT, CameraSettings
from seg_ros.commands.faults.judgement import Window
from seg_ros.commands.faults.scene import CAMERA
from seg_ros.commands.faults.stage import FaultStage
from seg_ros.commands.shared.process_figures import figures_of_process

__all__ = ['CASES', 'GRACE_S', 'Case', 'cases_named']

GRACE_S = 1.0  # of stamps; the longest timeout of the node is shorter here
LASTS_S = 1.7
MB = 1 << 20
NO_ANSWER_S = 0.3
LEGAL = {  # transitions: from which state, to which
    'configure': ('unconfigured', 'inactive'),
    'activate': ('inactive', 'active'),
    'deactivate': ('active', 'inactive'),
    'cleanup': ('inactive', 'unconfigured'),
}
NAN, INF = float('nan'), float('inf')

Hands = Callable[[FaultStage], Any]


class Case(NamedTuple):
    """A kind of fault.

    Attributes:
        group: What breaks.
        begin: Breaks it.
        end: Mends it.
        must_stop: Whether nothing proves the way clear meanwhile; else the node may go on.
        is_death: Whether a process dies that the node does not go on without: a stop must be said
            within two heartbeats.
        sim_time: Whether the camera gives the clock.
        short: Whether it is in the short form.
        lasts_s: How long it lasts.
        grace_s: How long the node may take to know.
        recovery_s: How long it may take to go again, beside the hold.
        windows: Breaks and mends in one, and returns when nothing proved the way clear.
    """

    group: str
    begin: Hands = lambda _stage: None
    end: Hands = lambda stage: stage.show_all_well()
    must_stop: bool = True
    is_death: bool = False
    sim_time: bool = False
    short: bool = False
    lasts_s: float = LASTS_S
    grace_s: float = GRACE_S
    recovery_s: float = 2.0
    windows: Callable[[FaultStage], list[Window]] | None = None


def shows(group: str, *, more: Mapping[str, Any] | None = None, **settings: Any) -> Case:
    """A camera, calibration, odometry or clock that does something else for a while."""
    return Case(group, lambda stage: stage.show(**settings), **(more or {}))


def rings(count: int, **more: Any) -> Case:
    """A camera that gives out old pictures in turn; nobody can know before all have come again.

    The node may not have looked at each of them when it was new.
    """
    round_s = count / CameraSettings().rate_hz
    times = {'lasts_s': LASTS_S + round_s, 'grace_s': GRACE_S + round_s}
    return shows('camera', ring=count, more={**times, **more})


def infers(name: str, *, more: Mapping[str, Any] | None = None, **numbers: float) -> Case:
    """Inference that does something else for a while."""
    return Case(
        'inference',
        lambda stage: stage.infer(name, **numbers),
        lambda stage: stage.infer(),
        **(more or {}),
    )


def signals(number: int) -> Hands:
    return lambda stage: stage.node.signal(number)


def says_info(**fields: Any) -> Case:
    return shows('calibration', info=fields)


def kill_camera(stage: FaultStage) -> int:
    now_ns = time.time_ns()
    stage.camera.signal(signal.SIGKILL)
    return now_ns


def clean_up(stage: FaultStage) -> int:
    stage.transition('deactivate')
    now_ns = time.time_ns()
    stage.transition('cleanup')
    return now_ns


def set_up(stage: FaultStage) -> int:
    stage.transition('configure')
    now_ns = time.time_ns()
    stage.transition('activate')
    return now_ns


def break_configuration(stage: FaultStage) -> int:
    begun_ns = clean_up(stage)
    stage.set(min_confidence=0.9, overlay_alpha=0.1)
    stage.transition('activate', NO_ANSWER_S)  # which an unconfigured node refuses
    return begun_ns


def deactivate(stage: FaultStage) -> int:
    stage.transition('deactivate')
    return time.time_ns()


def activate(stage: FaultStage) -> int:
    now_ns = time.time_ns()
    stage.transition('activate')
    return now_ns


def transitions_in_any_order(stage: FaultStage) -> list[Window]:
    """Asks for every transition after every other while frames are in flight."""
    pairs = [(a, b) for a in LEGAL for b in LEGAL]
    random.Random(3).shuffle(pairs)  # noqa: S311  an order, not a secret
    names = [name for pair in pairs for name in pair] + ['configure', 'activate']
    windows: list[Window] = []
    state, idle_ns = 'active', 0
    for name in names:
        before, after = LEGAL[name]
        asked_ns = time.time_ns()
        if state != before:
            stage.transition(name, NO_ANSWER_S)
        elif stage.transition(name):
            state = after
            if name == 'activate':
                windows.append(Window(idle_ns, asked_ns, 0.1))
            elif name == 'deactivate':
                idle_ns = time.time_ns()
    return windows


def change_parameters(stage: FaultStage) -> list[Window]:
    """Changes parameters as fast as they are taken, wrong ones among them."""
    end_s = time.monotonic() + LASTS_S
    number = 0
    while time.monotonic() < end_s:
        number += 1
        stage.set(stop__hold_s=0.1 + 0.1 * (number % 2))
        stage.set(stop__margin_m=-3.0)
        stage.set(min_confidence=NAN)
        stage.set(jpeg_quality=50 + number % 50)
    stage.set(stop__hold_s=0.2)
    return []


def one_odometry(value: float) -> Callable[[FaultStage], list[Window]]:
    """Says a thing that cannot be, once."""

    def run(stage: FaultStage) -> list[Window]:
        stage.show(speeds_mps=[value])
        stage.show(speeds_mps=[3.0])
        time.sleep(LASTS_S)
        return []

    return run


def limit_memory(stage: FaultStage) -> None:
    """Leaves the node hardly more address space than it has, and none for what is large."""
    with open(f'/proc/{stage.node.pid}/statm') as file:  # noqa: PTH123
        pages = int(file.read().split()[0])
    stage.limit(resource.RLIMIT_AS, pages * os.sysconf('SC_PAGE_SIZE') + 8 * MB)


def limit_files(stage: FaultStage) -> None:
    figures = figures_of_process(stage.node.pid)
    stage.limit(resource.RLIMIT_NOFILE, 3 if figures is None else figures.files)


def lift(kind: int) -> Hands:
    return lambda stage: stage.limit(kind, -1)


def heartbeat(number: int) -> Hands:
    """Sends a signal to the process that speaks for the node."""

    def send(stage: FaultStage) -> None:
        process_id = stage.heartbeat_pid()
        if process_id is not None:
            with suppress(ProcessLookupError):
                os.kill(process_id, number)

    return send


def _blind() -> Iterator[tuple[str, Case]]:
    """Every family of blindness in the middle of its strengths, and what no family has."""
    short = ('cover', 'fog', 'motion blur', 'white noise')
    for name in FAMILIES:
        yield f'blind: {name}', shows('sight', picture=name, more={'short': name in short})
    for name in FLAT:
        yield f'blind: {name}', shows('sight', picture=name)
    yield 'blind: test pattern', shows('sight', picture='bars', more={'short': True})


SHORT: Mapping[str, Any] = {'short': True}
HARMLESS: Mapping[str, Any] = {'must_stop': False}
SIM: Mapping[str, Any] = {'sim_time': True}
K = CAMERA.intrinsics.k.reshape(-1).tolist()

CASES: Mapping[str, Case] = {
    # Cameras
    'the camera falls silent': shows('camera', running=False, more=SHORT),
    # Fast DDS keeps the dead one on the graph for its lease of 20 s, and nobody can tell it from a
    # second camera that is silent just now
    'the camera is killed': Case(
        'camera', kill_camera, lambda stage: stage.restart_camera(), recovery_s=22.0
    ),
    'the camera process is stopped': Case(
        'camera',
        lambda stage: stage.camera.signal(signal.SIGSTOP),
        lambda stage: stage.camera.signal(signal.SIGCONT),
    ),
    'one picture for ever': shows('camera', noise=False, more=SHORT),
    'a ring of 2 old pictures': rings(2),
    'a ring of 4 old pictures': rings(4, short=True),
    'a ring of 8 old pictures': rings(8),
    'a ring of 30 old pictures': rings(30),
    'half of the picture is stuck': shows('camera', stuck_columns=160),
    'pictures come 3 s late': shows('camera', offset_s=-3.0, more=SHORT),
    'pictures come 0.7 s late': shows('camera', offset_s=-0.7),
    'stamps are 5 s ahead': shows('camera', offset_s=5.0, more=SHORT),
    'stamps are 0.3 s ahead': shows('camera', offset_s=0.3),
    'one stamp for ever': shows('camera', stamps='same', more=SHORT),
    'stamps run backwards': shows('camera', stamps='backwards', more=SHORT),
    'stamps are zero': shows('camera', stamps='zero'),
    'stamps are random': shows('camera', stamps='random'),
    'a picture every 1.5 s': shows('camera', rate_hz=1.0 / 1.5, more={**HARMLESS, 'lasts_s': 4.0}),
    'pictures in bursts of 8': shows('camera', burst=8, more=HARMLESS),
    'pictures at 200 Hz': shows('camera', rate_hz=200.0, more={**HARMLESS, **SHORT}),
    'the scale changes with every picture': shows('camera', scales=[1.0, 0.5], more=HARMLESS),
    'the lower half of the picture is missing': shows('camera', rows=[0.5], more=SHORT),
    'half of the pictures have half of their rows': shows('camera', rows=[1.0, 0.5]),
    'a picture of one pixel': shows('camera', scales=[0.001]),
    'an encoding that nobody knows': shows('camera', broken='encoding', more=SHORT),
    'half of the data': shows('camera', broken='short'),
    'no data': shows('camera', broken='empty'),
    'data of a picture of 60000x60000': shows('camera', broken='huge'),
    'rows of 7 bytes': shows('camera', broken='step'),
    'a picture of 0x0': shows('camera', broken='no_size'),
    'the camera changes its QoS': shows('camera', reliable=False, more=HARMLESS),
    'a person stands in the way': shows('camera', picture='person', more=SHORT),
    'two cameras on one topic': shows('graph', twin='image', more=SHORT),
    'two publishers of the stop': shows('graph', twin='stop', more=SHORT),
    **dict(_blind()),
    # Calibration
    'calibration of another size': shows('calibration', info={'height': 270}, more=SHORT),
    # Which REP 104 has for a camera that is not calibrated: the image zone is watched
    'a focal length of zero': shows('calibration', info={'k': [0.0] * 9}, more=HARMLESS),
    'a focal length that is no number': says_info(k=[NAN] * 9),
    'a focal length of 1e9': says_info(k=[1e9, *K[1:4], 1e9, *K[5:]]),
    'a negative focal length': says_info(k=[-K[0], *K[1:]]),
    'distortion that is no number': says_info(d=[NAN] * 5),
    # Odometry
    'odometry falls silent': shows('odometry', odometry=False, more=SHORT),
    'odometry is no number': shows('odometry', speeds_mps=[NAN], more=SHORT),
    'odometry is infinite': shows('odometry', speeds_mps=[INF]),
    'odometry says 30 km/s': shows('odometry', speeds_mps=[3e4]),
    'odometry turns 17 rad/s': shows('odometry', yaw_rate_rps=17.0),
    'odometry jumps to 30 m/s': shows('odometry', speeds_mps=[30.0]),
    'odometry comes 10 s late': shows('odometry', odometry_offset_s=-10.0),
    'odometry comes 10 s early': shows('odometry', odometry_offset_s=10.0),
    'two odometries that disagree': shows('odometry', speeds_mps=[3.0, -25.0]),
    'one message of odometry is no number': Case(
        'odometry', must_stop=False, windows=one_odometry(NAN), short=True
    ),
    # Inference
    'inference raises': infers('raise', more=SHORT),
    'inference raises what nobody foresaw': infers('bug'),
    'inference hangs': infers('hang', more=SHORT),
    'inference takes 0.8 s': infers('slow', seconds=0.8),
    'inference holds the GIL for 3 s': infers(
        'hold the GIL', seconds=3.0, more={'short': True, 'lasts_s': 3.0}
    ),
    'inference ends its thread': infers('exit', more=HARMLESS),
    'inference finds no memory': infers('no memory'),
    'labels of nothing': infers('all unlabelled'),
    'labels of a class that is none': infers('no such class'),
    'labels of another shape': infers('another shape'),
    'labels on their side': infers('on their side'),
    'labels without a row': infers('no labels'),
    'the network is unsure': infers('unsure', more=SHORT),
    # The process
    'the node is stopped and goes on': Case(
        'process', signals(signal.SIGSTOP), signals(signal.SIGCONT), short=True
    ),
    'the node is killed': Case(
        'process', signals(signal.SIGKILL), lambda s: s.restart_node(), is_death=True, short=True
    ),
    'the node crashes': Case(
        'process', signals(signal.SIGSEGV), lambda s: s.restart_node(), is_death=True
    ),
    'the node is told to end': Case(
        'process', signals(signal.SIGTERM), lambda s: s.restart_node(), is_death=True
    ),
    'the heartbeat is killed': Case('process', heartbeat(signal.SIGKILL), must_stop=False),
    'the heartbeat is stopped and goes on': Case(
        'process', heartbeat(signal.SIGSTOP), heartbeat(signal.SIGCONT), must_stop=False
    ),
    # The machine
    'both cores are busy': Case(
        'machine', lambda s: s.burn(on=True), lambda s: s.burn(on=False), must_stop=False,
        short=True, lasts_s=5.0,
    ),
    'no memory is left': Case(
        'machine', limit_memory, lift(resource.RLIMIT_AS), must_stop=False, short=True
    ),
    'no file can be opened': Case(
        'machine', limit_files, lift(resource.RLIMIT_NOFILE), must_stop=False
    ),
    'the disk is full': Case(
        'machine', lambda s: s.limit(resource.RLIMIT_FSIZE, 0), lift(resource.RLIMIT_FSIZE),
        must_stop=False,
    ),
    # Life cycle and parameters
    'the node is deactivated': Case('life cycle', deactivate, activate, grace_s=0.1, short=True),
    'the node is cleaned up': Case('life cycle', clean_up, set_up, grace_s=0.1),
    'transitions that the state does not have': Case(
        'life cycle', break_configuration, set_up, grace_s=0.1
    ),
    'transitions in every order': Case('life cycle', windows=transitions_in_any_order, short=True),
    'parameters change under load': Case(
        'parameters', windows=change_parameters, must_stop=False, short=True
    ),
    'a calibration is required that is refused': Case(
        'parameters',
        lambda s: (s.set(stop__require_geometry=True), s.show(info={'k': [0.0] * 9}))[1],
        lambda s: (s.set(stop__require_geometry=False), s.show_all_well())[1],
    ),
    # Clocks
    'sim time stands still': shows(
        'clock', clock_running=False, more={**SIM, **SHORT, 'lasts_s': 3.0}
    ),
    'sim time steps 10 s ahead': shows('clock', clock_offsets_s=[10.0], more={**SIM, **HARMLESS}),
    'sim time steps 10 s back': shows('clock', clock_offsets_s=[-10.0], more={**SIM, **HARMLESS}),
    'two clocks that differ by 5 s': shows('clock', clock_offsets_s=[0.0, -5.0], more=SIM),
    'two clocks that differ by 0.3 s': shows(
        'clock', clock_offsets_s=[0.0, -0.3], more={**SIM, **HARMLESS}
    ),
}  # fmt: skip


def cases_named(*, short: bool, only: str = '') -> dict[str, Case]:
    """Returns the cases of a run, those of one stage together.

    Args:
        short: Only those of the short form.
        only: Only those with this in their names.
    """
    rows = {n: c for n, c in CASES.items() if (c.short or not short) and only in n}
    return dict(sorted(rows.items(), key=lambda row: row[1].sim_time))
