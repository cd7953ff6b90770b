# SPDX-License-Identifier: Apache-2.0
"""Clips and videos without anybody: how much of the time does the stop see somebody?

A clip is made of a still, 3 s at 10 Hz of one picture: 1 % of zoom a second, 1 px of shake, 1
grey level of noise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Cause
from seg_ros.core.types import RgbImage
from seg_ros.core.units import NS_PER_S
from seg_ros.decisions import needs_of_stop
from seg_ros.inference.base import InferenceBackend

__all__ = ['ClipTally', 'clip_of', 'figures_of_clips', 'figures_with_people']

RATE_HZ = 10
SECONDS = 3
ZOOM_PER_S = 0.01
SHAKE_PX = 1.0
NOISE_LEVELS = 1
SEED = 14


def clip_of(image: RgbImage) -> Iterator[RgbImage]:
    """Yields the frames of a picture's clip; the same for the same picture."""
    generator = np.random.default_rng(SEED)
    height, width = image.shape[:2]
    for index in range(RATE_HZ * SECONDS):
        zoom = 1.0 + ZOOM_PER_S * index / RATE_HZ
        right, down = generator.uniform(-SHAKE_PX, SHAKE_PX, 2)
        middle = 0.5 * (1.0 - zoom)
        move = np.array([[zoom, 0.0, middle * width + right], [0.0, zoom, middle * height + down]])
        moved = cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REFLECT)
        noise = generator.integers(-NOISE_LEVELS, NOISE_LEVELS + 1, image.shape, np.int16)
        yield np.clip(moved + noise, 0, 255).astype(np.uint8)


class ClipTally:
    """Counts the time in which clips or videos without anybody are stopped for a person.

    Args:
        stop: As the node has it; there is no calibration, so that the image zone judges.
        backend: The network.
    """

    def __init__(self, stop: StopConfig, backend: InferenceBackend) -> None:
        self._camera = EvaluatedCamera(backend, NodeConfig(stop=replace(stop, zone='image')))
        self._wanted = needs_of_stop(stop)
        self.clips = 0
        self.frames = 0
        self.stopped = 0
        self.stops = 0
        self.seconds = 0.0

    def add(self, image: RgbImage) -> None:
        """Books the clip of a picture in which nobody is."""
        self.add_frames(
            (frame, round(index * NS_PER_S / RATE_HZ))
            for index, frame in enumerate(clip_of(image))
        )

    def add_frames(self, frames: Iterable[tuple[RgbImage, int]]) -> None:
        """Books a video in which nobody is in the way: its pictures and their stamps."""
        self._camera.reset()
        self.clips += 1
        was_stopped, stamps_ns = False, []
        for frame, stamp_ns in frames:
            decision = self._camera.process(frame, stamp_ns, self._wanted).decisions.stop
            is_stopped = decision is not None and decision.kind.cause is Cause.PERSON
            self.frames += 1
            self.stopped += is_stopped
            self.stops += is_stopped and not was_stopped
            was_stopped = is_stopped
            stamps_ns.append(stamp_ns)
        if len(stamps_ns) > 1:
            span_s = (stamps_ns[-1] - stamps_ns[0]) / NS_PER_S
            self.seconds += span_s * len(stamps_ns) / (len(stamps_ns) - 1)

    def figures(self) -> dict[str, float | dict[str, float]]:
        """Returns the figures under their names; none without a clip."""
        return _figures([self])


def figures_of_clips(tallies: Mapping[Path, ClipTally]) -> dict[str, float | dict[str, float]]:
    """Returns the figures of several folders: together, and what of each is stopped.

    What was chosen on some of them is judged by the others.
    """
    found = _figures(list(tallies.values()))
    shares = {
        '/'.join(folder.parts[-2:]): tally.stopped / tally.frames
        for folder, tally in tallies.items()
        if tally.frames
    }
    return {**found, 'stopped_share_of': {**shares}} if len(shares) > 1 else found


def figures_with_people(
    apart: ClipTally, others: Collection[ClipTally]
) -> dict[str, float | dict[str, float]]:
    """Returns what is stopped of clips that show somebody all the same; none without such.

    Args:
        apart: Of these clips.
        others: Of those without anybody: what the share would be if all were counted is told.
    """
    if not apart.frames:
        return {}
    everything = [apart, *others]
    return {
        'unlabelled_people': {
            'clips': float(apart.clips),
            'stopped_share': apart.stopped / apart.frames,
            'stopped_share_with_them': sum(row.stopped for row in everything)
            / sum(row.frames for row in everything),
        }
    }


def _figures(tallies: list[ClipTally]) -> dict[str, float | dict[str, float]]:
    frames, seconds = sum(row.frames for row in tallies), sum(row.seconds for row in tallies)
    if not frames:
        return {}
    stops = sum(row.stops for row in tallies)
    return {
        'clip_minutes': seconds / 60.0,
        'stopped_share': sum(row.stopped for row in tallies) / frames,
        'false_stops_per_min': 60.0 * stops / max(seconds, 1.0 / RATE_HZ),
    }
