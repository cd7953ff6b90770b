# SPDX-License-Identifier: Apache-2.0
"""What ``seg_ros bench`` measures, one function a part; each returns raw samples.

What is compared is measured in turns within one run, so that a machine that slows down slows
both sides of a ratio.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import seg_ros
from seg_ros.commands.bench.networks import write_small_engine, write_textbook_network
from seg_ros.commands.bench.process import BenchProcess, bench_environment
from seg_ros.commands.bench.stage import HD_WH, NodeOptions, Stage
from seg_ros.core.errors import SegRosError
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.tuning.choice import LEAST_AGREEMENT
from seg_ros.inference.tuning.measure import candidates
from seg_ros.inference.tuning.memory import recall, tune_key

__all__ = [
    'Settings',
    'measure_cameras',
    'measure_choice',
    'measure_cpu_overlap',
    'measure_memory',
    'measure_overlap',
    'measure_speed',
    'measure_transport',
    'say',
]

BENCH = Path(seg_ros.__file__).parents[1] / 'bench'  # in the repository alone
TEXTBOOK_NODE = BENCH / 'textbook_node.py'
OVERLAP = BENCH / 'overlap.py'

# Rates of the camera, as shares of the rate of bare inference: below saturation, where a latency
# has no queue in it, and above it, where each node is as fast as it can be.
CALM_SHARE, CALM_MAX_HZ = 0.5, 30.0
BUSY_SHARE, BUSY_MAX_HZ = 1.5, 200.0
CAMERAS, CAMERA_HZ, CAMERA_WH = 4, 5.0, (640, 360)  # as many as look around a vehicle
MEMORY_HZ, MEMORY_WH = 120.0, (640, 360)  # faster than any camera, so that it is over sooner
TRANSPORT_HZ, TRANSPORT_WH = 30.0, (1920, 1080)  # 187 MB/s: a full HD camera
FINALISTS = 3  # of the candidates, which take turns with auto after the first round
MS_PER_S = 1e3
POLL_S = 0.2  # between looks at the memory
FOREVER_S = 3600.0  # the camera is ended by an order long before
TRIAL_S = 1.0  # in which the textbook node shows that it can work
LABELS = {'node': '/segmentation/label', 'textbook': '/textbook/label'}


@dataclass(frozen=True)
class Settings:
    """How long everything is measured.

    Attributes:
        camera_wh: Size of the images whose speed is measured.
        rounds: Times that bare inference, node and textbook node take turns.
        bare_s: Of bare inference in a round.
        calm_s: Of the node below saturation, in a round.
        busy_s: Of either node in saturation, in a round.
        warm_up_s: Left out at the start of each of these.
        cameras_s: Of four cameras at once.
        memory_frames: Labels until the memory is measured; first it is after a tenth of them.
        transport_s: Of each reliability.
        overlap_s: Of each depth, in a round.
        overlap_rounds: Times that the two depths take turns.
        view_s: Of the page that shows the node, looked at and not.
        choice_s: Of the node with each candidate in saturation, in a round.
        choice_rounds: Times that these take turns; after the first one only the fastest.
    """

    camera_wh: tuple[int, int] = HD_WH
    rounds: int = 8
    bare_s: float = 3.0
    calm_s: float = 5.0
    busy_s: float = 5.0
    warm_up_s: float = 1.0
    cameras_s: float = 20.0
    memory_frames: int = 10_000
    transport_s: float = 60.0
    overlap_s: float = 2.0
    overlap_rounds: int = 8
    view_s: float = 30.0
    choice_s: float = 5.0
    choice_rounds: int = 3


def measure_speed(options: NodeOptions, settings: Settings) -> dict[str, Any]:
    """Bare inference, the node below and in saturation, the textbook node in saturation."""
    with Stage() as stage:
        bare, backend = stage.bare(options)
        bare_hz = _rate_of(bare.ask(seconds=settings.bare_s, rate_hz=0.0))
        calm_hz = min(CALM_MAX_HZ, CALM_SHARE * bare_hz)
        busy_hz = _busy_hz(bare_hz)
        say(f'speed: {backend["backend"]}, {backend["detail"]}, infers at {bare_hz:.1f} Hz')
        node = stage.node(options, {'camera': '/ours/image'})
        try:
            textbook, why_not = _textbook(stage, options, busy_hz), ''
        except SegRosError as error:
            textbook, why_not = None, str(error)
        rounds = []
        for index in range(settings.rounds):
            say(f'speed: round {index + 1} of {settings.rounds}')
            samples = {
                'bare': bare.ask(seconds=settings.bare_s, rate_hz=0.0),
                'bare_calm': bare.ask(seconds=settings.bare_s, rate_hz=calm_hz),
            }
            for name, topic, rate_hz, seconds, process in (
                ('calm', '/ours/image', calm_hz, settings.calm_s, node),
                ('busy', '/ours/image', busy_hz, settings.busy_s, node),
                ('textbook', '/textbook/image', busy_hz, settings.busy_s, textbook),
            ):
                if process is not None:
                    played = stage.play([topic], rate_hz, seconds, [process], settings.camera_wh)
                    samples[name] = _one_topic(played, LABELS[process.name])
            rounds.append(samples)
    return {
        'backend': backend,
        'calm_hz': calm_hz,
        'busy_hz': busy_hz,
        'rounds': rounds,
        'no_textbook': why_not,
    }


def measure_choice(
    engine: Engine,
    options: NodeOptions,
    settings: Settings,
    play: Callable[[NodeOptions, float, Settings], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The node as ``auto`` lets it run, and with every candidate set by hand, in saturation.

    The camera is as fast as it is for the node's rate, a half faster than the network: one of
    200 Hz would take a core of its own, which no camera does on which auto has made its choice.

    Args:
        engine: What runs.
        options: With backend ``auto``.
        settings: How long.
        play: Takes options and a rate; returns what was sent and received.
    """
    if options.backend != 'auto':
        return {'no_choice': f'{options.backend} was set by hand'}
    play = play or _play_once
    # Where the labels of one are too far from fp32's, nobody should set it by hand either
    tuned = recall(engine, tune_key(engine)).rows
    refused = {row.candidate for row in tuned if 0.0 < row.agreement < LEAST_AGREEMENT}
    times_ms = [row.median_ms for row in tuned if row.median_ms and row.candidate not in refused]
    rate_hz = _busy_hz(MS_PER_S / min(times_ms)) if times_ms else BUSY_MAX_HZ
    wanted = candidates(engine, options.precision, options.threads)
    rows = {'auto': options} | {
        str(row): replace(
            options, backend=row.backend, precision=row.precision, threads=row.threads
        )
        for row in wanted
        if row not in refused
    }
    rounds: list[dict[str, Any]] = []
    for index in range(settings.choice_rounds):
        samples: dict[str, Any] = {}
        for name, row in rows.items():
            say(f'choice: round {index + 1} of {settings.choice_rounds}, {name}')
            try:
                samples[name] = play(row, rate_hz, settings)
            except SegRosError as error:
                if name == 'auto':
                    raise
                say(f'choice: {name} cannot run here: {error}')
        rounds.append(samples)
        labels = {name: len(found['received']) for name, found in samples.items()}
        by_hand = [name for name in labels if name != 'auto']
        fastest = sorted(by_hand, key=lambda name: -labels[name])[:FINALISTS]
        # The other way round: who is first is not always the same
        rows = {name: rows[name] for name in reversed(rows) if name in ('auto', *fastest)}
    return {'choice': {'rounds': rounds}}


def measure_cameras(options: NodeOptions, settings: Settings) -> dict[str, Any]:
    """Four cameras at once in one node."""
    cameras = {f'camera{index}': f'/camera{index}/image' for index in range(CAMERAS)}
    with Stage() as stage:
        bare, _ = stage.bare(options)
        bare_hz = _rate_of(bare.ask(seconds=settings.bare_s, rate_hz=0.0))
        say(f'cameras: {CAMERAS} at {CAMERA_HZ:g} Hz, bare inference at {bare_hz:.1f} Hz')
        node = stage.node(options, cameras)
        topics = list(cameras.values())
        played = stage.play(topics, CAMERA_HZ, settings.cameras_s, [node], CAMERA_WH)
    return {
        'cameras': {
            'bare_hz': bare_hz,
            'seconds': settings.cameras_s,
            'sent': list(played['sent'].values()),
            'received': list(played['received'].values()),
        }
    }


def measure_memory(settings: Settings) -> dict[str, Any]:
    """Memory of the node after many frames, with a small network to save time."""
    late = settings.memory_frames
    early = late // 10
    with Stage() as stage:
        engine = write_small_engine(stage.folder / 'small')
        node = stage.node(NodeOptions(engine, 'onnxruntime', threads=1), {'camera': '/ours/image'})
        stage.start_playing(['/ours/image'], MEMORY_HZ, FOREVER_S, MEMORY_WH)
        samples = []
        count = 0
        while count < late:
            time.sleep(POLL_S)
            count = stage.received_count()
            samples.append((count, node.resident_bytes()))
            say(f'memory: {count} of {late} labels', passing=True)
        stage.end_playing([node], now=True)
    return {
        'memory': {
            'early_bytes': next(size for count, size in samples if count >= early),
            'late_bytes': samples[-1][1],
            'samples': samples,
        }
    }


def measure_transport(settings: Settings) -> dict[str, Any]:
    """A large stream from one process to another, without a node in between."""
    transport = {}
    with Stage() as stage:
        for reliability in ('best_effort', 'reliable'):
            say(f'transport: {reliability}, {settings.transport_s:g} s')
            topic = f'/{reliability}/image'
            stage.listen([topic], reliability=reliability, depth=1)
            played = stage.play(
                [topic], TRANSPORT_HZ, settings.transport_s, (), TRANSPORT_WH, reliability
            )
            transport[reliability] = {row: played[row][topic] for row in ('sent', 'received')}
    return {'transport': transport}


def measure_overlap(settings: Settings) -> dict[str, Any]:
    """The worker with a GPU that is none: one batch on its way, and two, in turns."""
    if not OVERLAP.exists():
        return {'no_overlap': f'{OVERLAP} is missing; run it in the repository'}
    if shutil.which('gcc') is None or importlib.util.find_spec('cuda') is None:
        return {'no_overlap': 'it needs gcc and cuda-bindings'}
    say(f'overlap: {settings.overlap_rounds} rounds, on the stand-in for a CUDA driver (no GPU)')
    return {'overlap': _overlap(settings)}


def measure_cpu_overlap(options: NodeOptions, settings: Settings) -> dict[str, Any]:
    """The worker with a CPU backend: as it is, and with the network beside it, in turns."""
    if not OVERLAP.exists():
        return {}
    say(f'overlap: {settings.overlap_rounds} rounds, on the CPU')
    words = ['cpu', options.engine, options.backend, options.precision, options.threads]
    return {'cpu_overlap': _overlap(settings, *map(str, words))}


def say(text: str, *, passing: bool = False) -> None:
    """Tells how far it is; a passing line is shown to people only, and the next replaces it."""
    if sys.stderr.isatty():
        print(f'\r{text:<60}', end='' if passing else '\n', file=sys.stderr, flush=True)
    elif not passing:
        print(text, file=sys.stderr, flush=True)


def _overlap(settings: Settings, *more: str) -> Any:
    """Runs the script, on a graph of its own."""
    words = [str(settings.overlap_s), str(settings.overlap_rounds), *more]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(OVERLAP), *words],
            env=bench_environment(Path(folder)),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SegRosError(f'{OVERLAP.name} has failed: {done.stderr.strip()[-1000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def _play_once(options: NodeOptions, rate_hz: float, settings: Settings) -> dict[str, Any]:
    """Starts a node, plays to it in saturation, and ends it."""
    with Stage() as stage:
        node = stage.node(options, {'camera': '/ours/image'})
        played = stage.play(
            ['/ours/image'], rate_hz, settings.choice_s, [node], settings.camera_wh
        )
    return _one_topic(played, LABELS['node'])


def _textbook(stage: Stage, options: NodeOptions, rate_hz: float) -> BenchProcess:
    """Starts the textbook node and returns it once it has shown that it can work.

    Raises:
        SegRosError: It is not there or cannot work here.
    """
    if not TEXTBOOK_NODE.exists():
        raise SegRosError(f'{TEXTBOOK_NODE} is missing; run it in the repository')
    if importlib.util.find_spec('cv_bridge') is None:
        raise SegRosError("cv_bridge is missing; pip install 'cv_bridge==1.13.0.post0'")
    network = write_textbook_network(load_engine(options.engine), stage.folder)
    textbook = stage.textbook(TEXTBOOK_NODE, network)
    played = stage.play(['/textbook/image'], rate_hz, TRIAL_S, [textbook])
    textbook.check_alive()
    _one_topic(played, LABELS['textbook'])
    return textbook


def _one_topic(played: dict[str, Any], topic: str) -> dict[str, Any]:
    """Returns the samples of the one topic that was played and of the one that came of it.

    Raises:
        SegRosError: Nothing came of it.
    """
    (sent,) = played['sent'].values()
    received = played['received'][topic]
    if not received:
        raise SegRosError(f'{len(sent)} images were sent, but nothing came on {topic}')
    return {'sent': sent, 'received': received}


def _rate_of(bare: dict[str, Any]) -> float:
    times_ms = bare['infer_ms']
    return MS_PER_S * len(times_ms) / sum(times_ms)


def _busy_hz(network_hz: float) -> float:
    return min(BUSY_MAX_HZ, BUSY_SHARE * network_hz)
