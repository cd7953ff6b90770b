# SPDX-License-Identifier: Apache-2.0
"""``seg_ros demo``: the whole job on this machine, and what came of it in files.

Camera, node, recorder and live page run as processes on a ROS graph of their own. What the
recorder heard becomes a video, a contact sheet and figures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from seg_ros.commands.demo.engine import DemoEngine, engine_for, period_ms_of
from seg_ros.commands.demo.pictures import write_contact_sheet, write_moment, write_video
from seg_ros.commands.demo.recording import DemoRecording, read_recording, summary_of
from seg_ros.commands.demo.still import Still
from seg_ros.commands.demo.topics import (
    CAMERA_INFO,
    DIAGNOSTICS,
    IMAGE,
    IMAGE_COMPRESSED,
    LABEL,
    NAMESPACE,
    OVERLAY,
    RECORDED,
)
from seg_ros.commands.shared.children import Child, Children, LatestCounts
from seg_ros.commands.shared.node_parameters import (
    add_parameter_arguments,
    assignments_from_arguments,
    config_from_arguments,
)
from seg_ros.commands.shared.output_folder import claim, clear
from seg_ros.commands.shared.own_graph import own_graph
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.geometry.camera import Mount
from seg_ros.files import write_whole
from seg_ros.recordings.sources import (
    SourceOptions,
    add_source_arguments,
    open_source,
    options_from_arguments,
    words_from_options,
)
from seg_ros.replay.job import read_lens

__all__ = ['add_arguments', 'main']

DEFAULT_SECONDS = 15.0  # of the source: a first look, and nobody waits long
POLL_S = 0.1  # the line of progress looks alive, and costs nothing
NODE_READY_S = 180.0  # an engine may have to be built first
QUIET_S = 1.0  # no label for so long: the node has answered what it will answer
LAST_WORDS_S = 5.0  # without them, diagnostics are no longer waited for
DIAGNOSTICS_PERIOD_S = 0.5  # the final figures come soon after the last frame
WRITTEN = (
    'bag', 'bag.partial', 'camera.log', 'node.log', 'recorder.log', 'view.log', 'summary.json',
    'contact_sheet.png', 'moment.jpg', 'view.html', 'annotated.mp4', 'annotated.webm',
)  # fmt: skip
LOGS = ('camera', 'node', 'recorder', 'view')
STILL_AT = 0.5  # of the drive


class Cast(NamedTuple):
    """The processes."""

    recorder: Child
    node: Child
    view: Child
    camera: Child

    def check(self) -> None:
        """Raises SegRosError when one of them died."""
        self.node.check()
        self.recorder.check()
        self.view.check()
        self.camera.check(may_end=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser)
    parser.add_argument(
        '--seconds', type=float, default=DEFAULT_SECONDS, metavar='S', help='at most (15)'
    )
    parser.add_argument('--engine', metavar='NAME', help="engine (default: the node's)")
    parser.add_argument('--backend', metavar='NAME', help="backend (default: the node's choice)")
    add_parameter_arguments(parser)
    parser.add_argument(
        '--camera',
        type=Path,
        metavar='FILE',
        help='calibration of the camera, as camera_calibration writes it: with a mounting, metres',
    )
    parser.add_argument(
        '-o', '--output', type=Path, default=Path('out/demo'), help='folder (out/demo)'
    )


def main(arguments: argparse.Namespace) -> int:
    """Runs the demo and returns the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    if not 0.0 < arguments.seconds < math.inf:
        raise ConfigurationError(f'--seconds {arguments.seconds:g}: give more than 0.')
    config_from_arguments(arguments)  # refused before anything is started or removed
    if arguments.camera is not None and not arguments.camera.is_file():
        raise ConfigurationError(f'{arguments.camera}: there is no such file. Check the path.')
    if arguments.camera is not None:
        read_lens(arguments.camera)
    options = options_from_arguments(arguments)
    source = open_source(options)
    folder: Path = arguments.output
    # What is played must not be what is cleared: `--bag out/demo/bag -o out/demo`
    inputs = () if options.kind == 'scenario' else (Path(options.what),)
    claim(folder, 'demo', WRITTEN, inputs)
    clear(folder, WRITTEN)
    with Progress(sys.stdout) as progress:
        progress.say(f'Demo: {source.name}, at most {arguments.seconds:g} s of it')
        graph = own_graph(os.environ, os.getpid())
        if graph.warning:
            progress.say(graph.warning)
        period_ms = period_ms_of(source, options.rate_hz)
        engine = engine_for(config_from_arguments(arguments), arguments, period_ms, progress)
        for sentence in engine.said:
            progress.say(sentence)
        with Children(folder, graph.environment) as children:
            _perform(children, arguments, options, engine, source.mount, progress)
        progress.show('Reading what was recorded')
        recording = read_recording(folder / 'bag')
        summary = summary_of(recording)
        text = json.dumps(summary, indent=2) + '\n'
        write_whole(folder / 'summary.json', text)
        video = _write_pictures(folder, recording, summary, source.name, progress)
    print(_farewell(folder, video, summary))
    return 0


def _perform(
    children: Children,
    arguments: argparse.Namespace,
    options: SourceOptions,
    engine: DemoEngine,
    mount: Mount | None,
    progress: Progress,
) -> None:
    """Runs recorder, node and camera until every image had its chance of an answer."""
    folder: Path = arguments.output
    camera = children.start('camera', _camera_words(arguments, options))
    _await_images(camera, progress)  # else the node would miss its camera meanwhile, and say so
    cast = Cast(
        children.start('recorder', _recorder_words(folder)),
        children.start('node', _node_words(arguments, engine, mount)),
        children.start('view', _view_words()),
        camera,
    )
    recorded = LatestCounts(cast.recorder.log)
    first_s: float | None = None
    still = Still(cast.view.log, folder / 'view.html')
    while cast.camera.exit_code is None:
        cast.check()
        if address := still.new_address():
            progress.say(f'Look at {address} while it runs')
        counts = recorded.read()
        sent, answered = counts.get(IMAGE_COMPRESSED, 0), counts.get(LABEL, 0)
        if not sent:
            progress.show('Getting ready')
        else:
            now_s = time.monotonic()
            first_s = now_s if first_s is None else first_s
            if now_s - first_s >= STILL_AT * arguments.seconds:
                still.take()
            rate_hz = answered / (now_s - first_s) if now_s > first_s else 0.0
            progress.show(
                f'{now_s - first_s:5.1f} s    camera {sent:4d} images    '
                f'node {answered:4d} label images, {rate_hz:4.1f} a second'
            )
        time.sleep(POLL_S)
    cast.check()
    still.take()
    _await_last_words(cast, recorded)
    still.finish()


def _await_images(camera: Child, progress: Progress) -> None:
    """Returns once the camera has made its images, as many as it keeps, or is at its end."""
    prepared = LatestCounts(camera.log)
    while camera.exit_code is None and not (counts := prepared.read()).get('ready'):
        progress.show(f'Getting ready    {counts.get("prepared", 0):4d} images made')
        time.sleep(POLL_S)
    camera.check(may_end=True)


def _await_last_words(cast: Cast, counts: LatestCounts) -> None:
    """Returns once the labels have ceased and the node has told its final figures."""
    labels, diagnostics = -1, 0
    changed_s = time.monotonic()
    while True:
        cast.check()
        seen = counts.read()
        now_s = time.monotonic()
        if seen.get(LABEL, 0) != labels:
            labels, diagnostics, changed_s = seen.get(LABEL, 0), seen.get(DIAGNOSTICS, 0), now_s
        # The next message may have been under way already; the one after it knows all.
        told = seen.get(DIAGNOSTICS, 0) >= diagnostics + 2
        if now_s - changed_s >= (QUIET_S if told else LAST_WORDS_S):
            return
        time.sleep(POLL_S)


def _recorder_words(folder: Path) -> list[str]:
    words = [sys.executable, '-m', 'seg_ros.commands.record.recorder', '--progress']
    words += ['-o', str(folder / 'bag'), '--start', IMAGE_COMPRESSED, '--below', NAMESPACE]
    return [*words, *RECORDED]


def _node_words(
    arguments: argparse.Namespace, engine: DemoEngine, mount: Mount | None
) -> list[str]:
    words = [sys.executable, '-m', 'seg_ros.cli', 'run', '--ros-args']
    words += ['-r', f'__ns:={NAMESPACE}', '-r', f'{DIAGNOSTICS}:={NAMESPACE}{DIAGNOSTICS}']
    words += ['-r', f'image:={NAMESPACE}{IMAGE}', '-r', f'camera_info:={NAMESPACE}{CAMERA_INFO}']
    words += ['-p', f'diagnostics_period_s:={DIAGNOSTICS_PERIOD_S}']
    for name, value in asdict(mount).items() if mount else ():
        words += ['-p', f'mount.{name}:=[{float(value)}]']
    words += assignments_from_arguments(arguments)
    if engine.name:
        words += ['-p', f'engine:={engine.name}']
    if arguments.backend:
        words += ['-p', f'backend:={arguments.backend}']
    if not engine.may_be_measured:
        words += ['-p', 'auto_tune:=false']
    return words


def _view_words() -> list[str]:
    words = [sys.executable, '-m', 'seg_ros.cli', 'view', '--port', '0']
    return [*words, '--node', f'{NAMESPACE}/segmentation']


def _camera_words(arguments: argparse.Namespace, options: SourceOptions) -> list[str]:
    words = [sys.executable, '-m', 'seg_ros.cli', 'camera', *words_from_options(options)]
    words += ['--seconds', str(arguments.seconds), '--prepare', '--progress']
    words += ['--wait-timeout', str(NODE_READY_S), '--namespace', f'{NAMESPACE}/camera']
    if arguments.camera is not None:
        words += ['--camera', str(arguments.camera)]
    # The recorder listens to the node before the node has something to say.
    ours = ('image', 'image/compressed', 'camera_info', 'truth/label')
    listened = (*ours, f'{NAMESPACE}{LABEL}', f'{NAMESPACE}{OVERLAY}')
    return [*words, '--wait-for-subscriber', *listened]


def _write_pictures(
    folder: Path,
    recording: DemoRecording,
    summary: Mapping[str, Any],
    source: str,
    progress: Progress,
) -> Path:
    if not recording.shown():
        raise SegRosError(f'No overlay was recorded. Look at {folder / "node.log"}.')
    progress.show('Drawing the contact sheet')
    write_contact_sheet(folder / 'contact_sheet.png', recording, summary, source)
    write_moment(folder / 'moment.jpg', recording, folder / 'bag')
    progress.show('Writing the video')
    return write_video(folder / 'annotated', recording, summary)


def _farewell(folder: Path, video: Path, summary: Mapping[str, Any]) -> str:
    latency_ms = summary['latency_ms']['stamp_to_received']
    right = summary['pixel_accuracy']
    page = folder / 'view.html'
    still = f', {page} in a browser' if page.exists() else ''
    return (
        f'Look at {folder / "contact_sheet.png"} and {video}. '
        f'{folder / "bag"} opens in Foxglove{still}.\n'
        f'{summary["frames_out"]} of {summary["frames_in"]} images labelled by '
        f'{summary["engine"]} on {summary["backend"]}, {summary["fps"]:.1f} a second'
        f'{"" if right is None else f", {right:.1%} of pixels right"}.\n'
        f'From camera to label {latency_ms["p50"]:.1f} ms, 95 % within '
        f'{latency_ms["p95"]:.1f} ms. All figures: {folder / "summary.json"}'
    )


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  a signal handler
    raise KeyboardInterrupt
