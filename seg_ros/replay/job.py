# SPDX-License-Identifier: Apache-2.0
"""One recording to replay: all that is asked for, and all that is to say about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.calibration import SensorCalibration
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import values_of
from seg_ros.files import load_yaml, read_text
from seg_ros.inference.engine import Engine
from seg_ros.recordings.recording import RecordedSpan

__all__ = ['ReplayJob', 'ReplaySummary', 'read_lens']

COPIED = ('used',)


@dataclass(frozen=True)
class ReplayJob:
    """What to replay, and how.

    Attributes:
        source: The recording.
        output: Folder of the new bag.
        config: The node's parameters.
        topics: Image topic of each camera; none takes those of the parameters if they are there,
            else the first camera of the recording.
        odometry: Its topic; empty takes that of the parameters, else the only one there is.
        outputs: Patterns of what is written; none is everything but the large images.
        copied: Patterns of the input topics that are copied; ``used`` are those that are read.
        lens: Calibration file that counts instead of the recording's.
        span: Part of the recording.
        every: Only each n-th image of a camera is taken.
        rate_hz: Of a video or folder of images; None takes its own.
        by_stamps: Whether messages are judged at their header stamps, not when they were recorded.
        overlay: Video to make of it; None makes none.
        resume: Whether an interrupted run may be gone on with.
        measure: Whether bare inference is timed, too.
        checkpoint_images: So many images lie between two checkpoints.
        notes: What is to be said of the parameters, in sentences.
    """

    source: Path
    output: Path
    config: NodeConfig = field(default_factory=NodeConfig)
    topics: tuple[str, ...] = ()
    odometry: str = ''
    outputs: tuple[str, ...] = ()
    copied: tuple[str, ...] = COPIED
    lens: Path | None = None
    span: RecordedSpan = RecordedSpan()  # noqa: RUF009  frozen
    every: int = 1
    rate_hz: float | None = None
    by_stamps: bool = False
    overlay: Path | None = None
    resume: bool = False
    measure: bool = False
    checkpoint_images: int = 250
    notes: tuple[str, ...] = ()

    def work(self, engine: Engine, backend: str, version: str) -> dict[str, Any]:
        """Returns what makes the new bag what it is, as JSON values."""
        lens = None if self.lens is None else read_text(self.lens)
        files = [
            [str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns]
            for path in (self.source, *sorted(self.source.glob('*')), engine.onnx_path)
        ]
        parameters = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values_of(self.config).items()
            if name != 'inference_threads'  # they change no label
        }
        return {
            'version': version,
            'files': files,
            'backend': backend,
            'parameters': parameters,
            'lens': lens,
            'options': [
                list(self.topics), self.odometry, list(self.outputs), list(self.copied),
                list(self.span), self.every, self.rate_hz, self.by_stamps, self.checkpoint_images,
            ],
        }  # fmt: skip


@dataclass(frozen=True)
class ReplaySummary:
    """What came of a recording.

    Attributes:
        source: The recording.
        output: The new bag.
        frames: Images that were segmented, in all runs together.
        resumed_frames: Of these, what an interrupted run had done before.
        written: Messages in the new bag.
        skipped: Images that could not be read.
        frames_per_s: Of this run, from the first image to the last message; without loading.
        over_bare_rate: Its ratio to that of bare inference on the same images; None unless
            measured.
        io_share: Share of the run in which the network did not work.
        peak_rss_mb: Most memory that the process ever had.
        sha256_labels: Of all label images.
        backend: What ran the network.
        trouble: What went wrong without ending it, in sentences; in JSON it is ``notes``.
    """

    source: str
    output: str
    frames: int
    resumed_frames: int
    written: int
    skipped: int
    frames_per_s: float
    over_bare_rate: float | None
    io_share: float
    peak_rss_mb: float
    sha256_labels: str
    backend: str
    trouble: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        values = asdict(self)
        notes = list(values.pop('trouble'))
        return {**values, 'notes': notes}


def read_lens(path: Path) -> SensorCalibration:
    """Returns the lens of a file that ROS's camera_calibration writes.

    Raises:
        ConfigurationError: The file is no calibration.
    """
    try:
        content = load_yaml(read_text(path))
        lens = SensorCalibration(
            width=int(content['image_width']),
            height=int(content['image_height']),
            k=_numbers(content['camera_matrix'], 9),
            distortion_model=str(content['distortion_model']),
            d=_numbers(content['distortion_coefficients']),
            p=_numbers(content['projection_matrix'], 12) if 'projection_matrix' in content else (),
        )
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError, OverflowError) as error:
        msg = (
            f'{path} was to be read as a calibration, but: {error!r}. It needs image_width, '
            'image_height, camera_matrix, distortion_model and distortion_coefficients, as '
            'camera_calibration writes them.'
        )
        raise ConfigurationError(msg) from error
    if not lens.is_calibrated:
        msg = f'{path} is of no calibrated camera: its matrices are zero. Calibrate the camera.'
        raise ConfigurationError(msg)
    return lens


def _numbers(matrix: Any, count: int | None = None) -> tuple[float, ...]:
    """Returns the numbers of a matrix, row by row."""
    numbers = tuple(map(float, matrix['data']))
    if count is not None and len(numbers) != count:
        raise ValueError(f'{count} numbers are needed, {len(numbers)} are there')
    return numbers
