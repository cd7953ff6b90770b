# SPDX-License-Identifier: Apache-2.0
"""The simulated road as a camera, rendered by several processes that share the work."""

from __future__ import annotations

import contextlib
import itertools
import math
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection

import cv2

from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.geometry.camera import Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.recordings.sources import SourceFrame, SourceOptions
from seg_ros.sim import SCENARIOS, SceneConfig, World
from seg_ros.sim.classes import CLASS_NAMES, UNLABELLED

__all__ = ['SyntheticDrive', 'open_scenario_source']

MAX_RENDERERS = 4


class SyntheticDrive:
    """Drives a scene, without end.

    Args:
        name: What people call it.
        scene: What the drive looks like.
    """

    class_names: Mapping[int, str] | None = {
        class_id: name for class_id, name in CLASS_NAMES.items() if class_id != UNLABELLED
    }

    def __init__(self, name: str, scene: SceneConfig) -> None:
        self.name = f'synthetic road, {name}'
        self.camera: CameraIntrinsics | None = CameraIntrinsics.from_field_of_view(
            scene.size_wh, math.radians(scene.horizontal_fov_deg)
        )
        self.mount: Mount | None = scene.mount
        self._scene = scene

    def frames(self) -> Iterator[SourceFrame]:
        # A world is driven in microseconds and painted in milliseconds: each process drives all
        # of the way and paints every n-th frame of it.
        processes = multiprocessing.get_context('spawn')  # fork would copy threads half
        count = min(MAX_RENDERERS, len(os.sched_getaffinity(0)))
        with contextlib.ExitStack() as stack:
            readers = []
            for share in range(count):
                reader, writer = processes.Pipe(duplex=False)
                stack.callback(reader.close)
                renderer = processes.Process(
                    target=_render, args=(writer, self._scene, share, count), daemon=True
                )
                renderer.start()
                writer.close()
                stack.callback(renderer.join)
                stack.callback(renderer.terminate)
                readers.append(reader)
            for reader in itertools.cycle(readers):
                yield _received(reader)


def open_scenario_source(options: SourceOptions) -> SyntheticDrive:
    if options.what not in SCENARIOS:
        msg = (
            f'--scenario {options.what} is not known. Choose one of {", ".join(SCENARIOS)}, or '
            'play --video, --images or --bag.'
        )
        raise ConfigurationError(msg)
    scene = SCENARIOS[options.what]
    if options.rate_hz is not None:
        scene = replace(scene, rate_hz=options.rate_hz)
    if options.seed is not None:
        scene = replace(scene, seed=options.seed)
    return SyntheticDrive(options.what, scene)


def _received(reader: Connection) -> SourceFrame:
    try:
        return SourceFrame(*reader.recv())
    except (EOFError, OSError) as error:
        msg = 'A process that renders the drive has died. Is there enough memory?'
        raise SegRosError(msg) from error


def _render(writer: Connection, scene: SceneConfig, share: int, of: int) -> None:
    """Sends every ``of``-th frame, from ``share`` on, until nobody reads them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who reads
    cv2.setNumThreads(1)
    world = World(scene)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for index in itertools.count():
            if index % of == share:
                frame = world.render()
                writer.send((frame.image, frame.stamp_ns, frame.labels))
            world.step(1.0 / scene.rate_hz)
