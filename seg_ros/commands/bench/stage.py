# SPDX-License-Identifier: Apache-2.0
"""The processes of a measurement: a camera, a consumer, and the node between them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from seg_ros.commands.bench.networks import TextbookNetwork
from seg_ros.commands.bench.process import BenchProcess, bench_environment
from seg_ros.ros.middleware import FASTDDS_PROFILE, profile_variable
from seg_ros.sim.config import DEFAULT_MOUNT

__all__ = ['HD_WH', 'NodeOptions', 'Stage']

HD_WH = (1280, 720)  # of the cameras that the figures are told for
LISTENER_DEPTH = 10  # a consumer that is late for a moment loses nothing
DRIVE_HZ = 10.0  # of the synthetic road, which is rendered as it is driven


@dataclass(frozen=True)
class NodeOptions:
    """What node and bare inference run alike.

    Attributes:
        engine: Folder of the engine.
        backend: A row of the registry, or auto.
        precision: auto, fp32 or bf16.
        threads: Of inference; 0 is one per free core.
    """

    engine: Path
    backend: str = 'auto'
    precision: str = 'auto'
    threads: int = 0


@final
class Stage:
    """Starts processes on a DDS domain of their own and ends them when it is left."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Stage:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._environment = bench_environment(self.folder)
        self._camera = self._start('camera', ['-m', 'seg_ros.commands.bench.camera'])
        self._listener = self._start('listener', ['-m', 'seg_ros.commands.bench.listener'])
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def node(self, options: NodeOptions, cameras: Mapping[str, str]) -> BenchProcess:
        """Starts the node and returns it once the consumer listens to its labels.

        Args:
            options: What it runs.
            cameras: Name and image topic of each.
        """
        parameters = {
            'engine': options.engine,
            'backend': options.backend,
            'precision': options.precision,
            'inference_threads': options.threads,
            'camera_names': list(cameras),
            'image_topics': list(cameras.values()),
        }
        words = [word for row in parameters.items() for word in ('-p', '{}:={}'.format(*row))]
        node = self._start('node', ['-m', 'seg_ros.cli', 'run', '--ros-args', *words])
        self.listen(label_topics(list(cameras)), [node])
        return node

    def bare(self, options: NodeOptions) -> tuple[BenchProcess, dict[str, Any]]:
        """Starts bare inference; returns it with the backend that it runs on."""
        words = ['-m', 'seg_ros.commands.bench.inference', '--engine', str(options.engine)]
        words += ['--backend', options.backend, '--precision', options.precision]
        process = self._start('inference', [*words, '--threads', str(options.threads)])
        return process, process.answer()

    def textbook(self, script: Path, network: TextbookNetwork) -> BenchProcess:
        """Starts the textbook node on /textbook/image and /textbook/label."""
        words = ['-p', f'model:={network.onnx_path}', '-p', f'mean:={list(network.mean)}']
        words += ['-p', f'std:={list(network.std)}', '-r', '__ns:=/textbook']
        # The profile is ours, so that the nodes are compared and not the defaults of Fast DDS.
        profile = {profile_variable(): str(FASTDDS_PROFILE)}
        process = self._start('textbook', [str(script), '--ros-args', *words], profile)
        self.listen(['/textbook/label'], [process])
        return process

    def drive(self, engine: Path) -> None:
        """Starts a node with its metres on the synthetic road, and the road."""
        words = ['-p', f'engine:={engine}', '-p', 'auto_tune:=false']
        words += ['-r', 'image:=/camera/image', '-r', 'camera_info:=/camera/camera_info']
        for name, value in asdict(DEFAULT_MOUNT).items():
            words += ['-p', f'mount.{name}:=[{float(value)}]']
        self._start('node', ['-m', 'seg_ros.cli', 'run', '--ros-args', *words])
        self._start('road', ['-m', 'seg_ros.cli', 'camera', '--loop', '--rate', str(DRIVE_HZ)])

    def view(self, port: int, rate_hz: float) -> BenchProcess:
        """Starts the page that shows the node."""
        words = ['-m', 'seg_ros.cli', 'view', '--port', str(port), '--rate', str(rate_hz)]
        return self._start('view', words)

    def listen(
        self,
        topics: Sequence[str],
        watched: Sequence[BenchProcess] = (),
        reliability: str = 'reliable',
        depth: int = LISTENER_DEPTH,
    ) -> None:
        """Lets the consumer subscribe; waits for the publishers where processes are watched."""
        self._listener.ask(
            watched,
            listen=topics,
            reliability=reliability,
            depth=depth,
            need_publisher=bool(watched),
        )

    def play(
        self,
        topics: Sequence[str],
        rate_hz: float,
        seconds: float,
        watched: Sequence[BenchProcess] = (),
        size_wh: tuple[int, int] = HD_WH,
        reliability: str = 'reliable',
    ) -> dict[str, Any]:
        """Publishes images; returns ``sent`` stamps and ``received`` (stamp, arrival) by topic."""
        self.start_playing(topics, rate_hz, seconds, size_wh, reliability)
        return self.end_playing(watched)

    def start_playing(
        self,
        topics: Sequence[str],
        rate_hz: float,
        seconds: float,
        size_wh: tuple[int, int] = HD_WH,
        reliability: str = 'reliable',
    ) -> None:
        """Begins to publish images; ``end_playing`` must follow."""
        self._camera.order(
            topics=topics,
            rate_hz=rate_hz,
            seconds=seconds,
            width=size_wh[0],
            height=size_wh[1],
            reliability=reliability,
        )

    def end_playing(self, watched: Sequence[BenchProcess] = (), *, now: bool = False) -> Any:
        """Waits for the camera's end, or ends it now; returns what ``play`` does."""
        if now:
            self._camera.order(stop=True)
        played = self._camera.answer(watched)
        return {**played, **self._listener.ask(watched, report=True)}

    def received_count(self) -> int:
        """Returns how many images have arrived since the last report."""
        count: int = self._listener.ask(count=True)['count']
        return count

    def _start(
        self, name: str, words: Sequence[str], more: Mapping[str, str] | None = None
    ) -> BenchProcess:
        environment = {**self._environment, **(more or {})}
        process = BenchProcess(name, words, environment, self.folder)
        return self._stack.enter_context(process)


def label_topics(cameras: Sequence[str]) -> list[str]:
    """Returns where the node publishes the labels of its cameras."""
    if len(cameras) == 1:
        return ['/segmentation/label']
    return [f'/segmentation/{camera}/label' for camera in cameras]
