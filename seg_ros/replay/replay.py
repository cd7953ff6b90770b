# SPDX-License-Identifier: Apache-2.0
"""The story of a replay: read, segment, decide, write, each in a thread of its own.

The stages are iterators that run ahead of each other as far as a budget of memory allows, so that
the network never waits, and the memory does not depend on the length of the recording. Each stage
goes by the order of the recording, which is why two runs write the same bytes.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from seg_ros import __version__
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.image.camera_image import Frame
from seg_ros.core.units import NS_PER_S
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import engine_search_path, load_engine
from seg_ros.inference.registry import PlanOptions, create_backend
from seg_ros.messages.camera_info import is_rectified
from seg_ros.messages.plain import typestore
from seg_ros.perception import Perception
from seg_ros.recordings.ahead import Ahead
from seg_ros.recordings.opening import open_recording
from seg_ros.recordings.picture_files import FolderRecording
from seg_ros.recordings.recording import Recording
from seg_ros.replay.job import ReplayJob, ReplaySummary, read_lens
from seg_ros.replay.output_bag import OutputBag, cut_short
from seg_ros.replay.outputs import ReplayOutputs
from seg_ros.replay.overlay_video import overlay_video
from seg_ros.replay.roles import Roles, roles_of
from seg_ros.replay.stages import Event, Said, Stages
from seg_ros.replay.unfinished import Unfinished
from seg_ros.replay.vehicle import ReplayedVehicle

__all__ = ['ReplayProgress', 'replay']

AHEAD_BYTES = 24 << 20  # of what each stage may be ahead
AT_ONCE = 32  # images that are decoded before the clock of bare inference runs
SWITCH_INTERVAL_S = 0.0005  # the network waits this long for another stage, not 5 ms
THREADS = re.compile(r', \d+ threads?')  # which change no label
SHOWN_REASONS = 3
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ReplayProgress(NamedTuple):
    """How far a replay is.

    Attributes:
        share: Of the recording, 0 to 1.
        frames: Images so far, those of an interrupted run included.
        frames_per_s: Of this run.
        remaining_s: Until it is done, at this rate.
    """

    share: float
    frames: int
    frames_per_s: float
    remaining_s: float


Tell = Callable[[ReplayProgress], None]


def replay(job: ReplayJob, tell: Tell = lambda _: None) -> ReplaySummary:
    """Replays one recording into one bag.

    Args:
        job: What to do.
        tell: Is called now and then.

    Raises:
        ConfigurationError: Something that is asked for cannot be done.
        SegRosError: It ends before it is done, on a full disk, say; what was written is readable.
    """
    if job.output.exists():  # before anything is loaded
        msg = f'{job.output} exists and is not overwritten. Name another output, or remove it.'
        raise ConfigurationError(msg)
    config = job.config
    recording = open_recording(job.source, job.rate_hz)
    recording.max_image_pixels = config.max_image_pixels
    if isinstance(recording, FolderRecording) and job.rate_hz is None:
        recording.tell_rate()
    roles = roles_of(recording, config, job.topics, job.odometry, job.copied)
    ours = [Path(config.engines_path)] if config.engines_path else []
    engine = load_engine(config.engine, [*ours, *engine_search_path()], config.network_size)
    outputs = ReplayOutputs(config, engine, job.outputs)
    lens = None if job.lens is None else read_lens(job.lens)
    backend = create_backend(
        config.backend,
        engine,
        threads=config.inference_threads,
        precision=config.precision,
        plans=PlanOptions(Path(config.cache_path) if config.cache_path else None),
    ).backend
    with contextlib.closing(backend), _cores_for_the_network():
        stages = Stages(job, recording, roles, outputs, Perception(backend))

        def new_vehicle() -> ReplayedVehicle:
            return ReplayedVehicle(
                config,
                engine.label_map,
                lens,
                has_transforms=roles.has_transforms,
                rectified={
                    camera
                    for topic, camera in roles.cameras.items()
                    if is_rectified(topic, config.image_is_rectified)
                },
                domain=engine.domain,
            )

        arithmetic = THREADS.sub('', f'{backend.name}, {backend.detail}')
        work = job.work(engine, arithmetic, __version__)
        with Unfinished(job.output, work, resume=job.resume) as unfinished:
            run = _Run(job, recording, roles, outputs, stages)
            run.write(unfinished, new_vehicle(), tell)
        if lens is None:
            _tell_missing_lenses(recording, roles)
        bare_s = None
        if job.measure:
            frames = (row.content for row in stages.read() if isinstance(row.content, Frame))
            bare_s = _bare_seconds_per_frame(
                backend, frames, with_confidence=outputs.wanted.confidence
            )
    if job.overlay is not None:
        overlay_video(job.overlay, job.output, stages.read(), engine, config, roles, new_vehicle())
    return run.summary(bare_s, f'{backend.name}, {backend.detail}')


def _tell_missing_lenses(recording: Recording, roles: Roles) -> None:
    """Says of which camera nothing on the ground can be known."""
    there = {
        camera for info, camera in roles.lenses.items() if recording.topics[info].message_count
    }
    for topic, camera in roles.cameras.items():
        if camera not in there:
            recording.tell(
                f'There is no CameraInfo for {topic} in {recording.name}, so that nobody knows '
                'where the ground is. Name a calibration with --camera; seg_ros calibrate '
                f'{recording.name} --height METRES finds one on a road with lane markings.'
            )


def _bare_seconds_per_frame(
    backend: InferenceBackend, frames: Iterator[Frame], *, with_confidence: bool
) -> float:
    """Returns the mean time of ``infer``, while nothing else is done."""
    size_wh = backend.engine.network_size_wh
    spent_ns = count = 0
    while batch := [frame.image.rgb(size_wh) for frame in itertools.islice(frames, AT_ONCE)]:
        began_ns = time.monotonic_ns()
        for image in batch:
            backend.infer(image[np.newaxis], with_confidence=with_confidence)
        spent_ns += time.monotonic_ns() - began_ns
        count += len(batch)
    return spent_ns / NS_PER_S / count


@contextlib.contextmanager
def _cores_for_the_network() -> Iterator[None]:
    """Has the threads of the other stages let go soon, and OpenCV keep to one core."""
    before = sys.getswitchinterval(), cv2.getNumThreads()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        sys.setswitchinterval(before[0])
        cv2.setNumThreads(before[1])


class _Run:
    """One run: from the checkpoint, if there is one, to the end of the recording."""

    def __init__(
        self,
        job: ReplayJob,
        recording: Recording,
        roles: Roles,
        outputs: ReplayOutputs,
        stages: Stages,
    ) -> None:
        self._job = job
        self._recording = recording
        self._roles = roles
        self._outputs = outputs
        self._stages = stages
        self._vehicle: ReplayedVehicle
        self._frames_before = 0
        self._seconds = 0.0

    def write(self, unfinished: Unfinished, vehicle: ReplayedVehicle, tell: Tell) -> None:
        """Writes the new bag and gives it its name."""
        bag, vehicle, first = self._begin(unfinished, vehicle)
        self._vehicle = vehicle
        self._frames_before = vehicle.counts.frames
        started_s = time.monotonic()
        try:
            for said in self._sayings(vehicle, first):
                for record in said.records:
                    bag.write(*record)
                if said.resumable:
                    done = said.number + 1
                    unfinished.save([done, said.resumable, bag.checkpoint()])
                self._tell(said, time.monotonic() - started_s, tell)
            if not vehicle.counts.frames:
                unfinished.discard()
                raise ConfigurationError(
                    f'{self._job.source} has no image to segment in what was asked for. '
                    f'{_known_reasons(self._recording)}Check --start, --duration and --topic.'
                )
            bag.close()
            unfinished.finish()
        except BaseException as error:
            bag.abandon()
            self._leave_readable(unfinished)
            if isinstance(error, OSError):
                raise SegRosError(_sentence(error, unfinished, self._job)) from error
            raise
        self._seconds = time.monotonic() - started_s

    def summary(self, bare_s: float | None, backend: str) -> ReplaySummary:
        """Returns what came of it."""
        counts = self._vehicle.counts
        rate = (counts.frames - self._frames_before) / self._seconds
        inferred_s = self._stages.inferred_ns / NS_PER_S
        return ReplaySummary(
            source=str(self._job.source),
            output=str(self._job.output),
            frames=counts.frames,
            resumed_frames=self._frames_before,
            written=counts.written,
            skipped=counts.skipped,
            frames_per_s=round(rate, 2),
            over_bare_rate=None if bare_s is None else round(rate * bare_s, 3),
            io_share=round(max(0.0, 1.0 - inferred_s / self._seconds), 3),
            peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            sha256_labels=counts.labels_sha256,
            backend=backend,
            trouble=(*self._job.notes, *self._recording.trouble),
        )

    def _begin(
        self, unfinished: Unfinished, vehicle: ReplayedVehicle
    ) -> tuple[OutputBag, ReplayedVehicle, int]:
        """Goes on from the newest checkpoint, or begins; the number is the first message's."""
        for checkpoint in unfinished.checkpoints():
            done, resumable, bag_state = checkpoint
            vehicle = ReplayedVehicle.of_snapshot(resumable)
            return OutputBag(unfinished.bag, bag_state), vehicle, done
        bag = OutputBag(unfinished.bag)
        for row in self._outputs.topics():
            bag.add_output(row.topic, row.type_name, typestore(), latched=row.latched)
        for topic in self._roles.copied:
            bag.add_copy(topic, self._recording.topics[topic], self._recording.typestore())
        for record in self._outputs.begin(self._recording.begin_ns):
            bag.write(*record)
            vehicle.counts.written += 1
        unfinished.save([0, vehicle.snapshot(), bag.checkpoint()])
        return bag, vehicle, 0

    def _leave_readable(self, unfinished: Unfinished) -> None:
        """Ends the bag at a checkpoint, if there is one."""
        unfinished.make_room()
        states = [bag_state for _, _, bag_state in unfinished.checkpoints()]
        unfinished.forget(cut_short(unfinished.bag, states))

    def _sayings(self, vehicle: ReplayedVehicle, first: int) -> Iterator[Said]:
        """Runs the stages, each ahead of the next."""
        stages = self._stages
        with contextlib.ExitStack() as stack:
            events = stack.enter_context(Ahead(stages.read(first), AHEAD_BYTES, _weight))
            results = stack.enter_context(Ahead(stages.segment(events), AHEAD_BYTES, _weight))
            yield from stack.enter_context(
                Ahead(stages.decide(results, vehicle), AHEAD_BYTES, _weight)
            )

    def _tell(self, said: Said, elapsed_s: float, tell: Tell) -> None:
        recording = self._recording
        begin_ns, end_ns = self._job.span.limits_ns(recording.begin_ns, recording.end_ns)
        share = (said.recorded_ns - begin_ns) / max(1, end_ns - begin_ns)
        share = min(1.0, max(1e-6, share))
        tell(
            ReplayProgress(
                share,
                said.frames,
                (said.frames - self._frames_before) / max(1e-6, elapsed_s),
                elapsed_s * (1.0 - share) / share,
            )
        )


def _known_reasons(recording: Recording) -> str:
    """The first of what is known to be wrong, and how much else is."""
    told = recording.trouble
    more = f'There are {len(told) - SHOWN_REASONS} more of these. '
    return ''.join(f'{sentence} ' for sentence in told[:SHOWN_REASONS]) + (
        more if len(told) > SHOWN_REASONS else ''
    )


def _weight(item: Event | Said) -> int:
    return item.weight


def _sentence(error: OSError, unfinished: Unfinished, job: ReplayJob) -> str:
    """What happened, what is left, and what to do."""
    what = 'the disk is full' if error.errno in FULL else str(error)
    has_index = (unfinished.bag / 'metadata.yaml').exists()
    how = '' if has_index else ', by seg_ros alone, for its index is missing'
    return (
        f'{job.output} could not be finished: {what}. What was written until then can be read in '
        f'{unfinished.bag}{how}. Make room, and go on with: --resume'
    )
