# SPDX-License-Identifier: Apache-2.0
"""What the node tells of itself on /diagnostics: rates, drops, ages, latencies as percentiles."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from seg_ros.core.timing import LatencyWindow
from seg_ros.core.units import NS_PER_MS, NS_PER_S

__all__ = ['CameraStatistics', 'camera_status']

RATE_WINDOW_FRAMES = 50  # under 2 s of a camera at 30 Hz: steady, and soon true again


@dataclass
class CameraStatistics:
    """Counts of one camera since configure. The executor counts what comes, the worker the rest.

    Attributes:
        received: Messages that arrived.
        dropped: Frames that a newer one replaced before they were processed.
        missed: Frames that the camera sent, by its count, and that never arrived: lost on the
            way, or replaced in the middleware while the node was busy.
        published: Frames of which something was published.
        idle: Frames that were not processed because nobody subscribed to a result.
        broken: Frames that could not be read, by kind.
        unreadable: Why the latest frame could not be read; empty when it could.
        failures: Frames on which inference failed.
        backward_stamps: Frames with an older stamp than the one before (a bag that loops).
        failing: What went wrong with the latest frame; empty when it went well.
        newest_stamp_ns: Header stamp of the newest frame that was processed.
    """

    received: int = 0
    dropped: int = 0
    missed: int = 0
    published: int = 0
    idle: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    unreadable: str = ''
    failures: int = 0
    backward_stamps: int = 0
    failing: str = ''
    newest_stamp_ns: int | None = None
    latency: LatencyWindow = field(default_factory=LatencyWindow)
    _arrivals_ns: deque[int] = field(default_factory=lambda: deque(maxlen=RATE_WINDOW_FRAMES))

    def arrived(self, now_ns: int) -> None:
        """Counts a message that arrived, by a monotonic clock."""
        self.received += 1
        self._arrivals_ns.append(now_ns)

    def processed(self, stamp_ns: int, latencies_ms: dict[str, float]) -> None:
        """Counts a frame of which something was published."""
        self.published += 1
        self.failing = self.unreadable = ''
        if self.newest_stamp_ns is not None and stamp_ns < self.newest_stamp_ns:
            self.backward_stamps += 1
        self.newest_stamp_ns = stamp_ns
        for name, sample_ms in latencies_ms.items():
            self.latency.add(name, sample_ms)

    def late_s(self) -> float:
        """Returns how old the newest frame was by its stamp when it arrived; 0 before one."""
        newest_ms = self.latency.newest_ms
        late_ms = newest_ms('stamp_to_published') - newest_ms('received_to_published')
        return late_ms * NS_PER_MS / NS_PER_S

    def rate_hz(self, now_ns: int) -> float:
        """Returns the rate of arrival over the latest frames, sinking once they cease."""
        arrivals = tuple(self._arrivals_ns)
        if len(arrivals) < 2:
            return 0.0
        spacing_ns = (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1)
        return NS_PER_S / max(spacing_ns, now_ns - arrivals[-1] - spacing_ns, 1.0)


def camera_status(
    name: str,
    statistics: CameraStatistics,
    facts: dict[str, str],
    *,
    fault: str = '',
    now_ns: int,
    ros_now_ns: int,
    stale_s: float,
    problem: str = '',
    silence: str = '',
) -> DiagnosticStatus:
    """Returns the diagnostic status of one camera.

    Args:
        name: Name of the status, as tools list it.
        statistics: The camera's counts.
        facts: What else to say first: topic, engine, backend and why.
        fault: What is wrong with the camera though its frames are processed; empty is nothing.
        now_ns: Monotonic clock.
        ros_now_ns: The node's clock, which header stamps are compared with.
        stale_s: Age above which the newest result is stale.
        problem: What is wrong with its topics; empty where nothing is.
        silence: Why nothing comes, or not in time; empty where that is not known.
    """
    level, summary = DiagnosticStatus.OK, 'Frames are processed'
    age_s = None
    if statistics.newest_stamp_ns is not None:
        age_s = (ros_now_ns - statistics.newest_stamp_ns) / NS_PER_S
    if problem:
        level, summary = DiagnosticStatus.ERROR, problem
    elif statistics.failing:
        level, summary = DiagnosticStatus.ERROR, statistics.failing
    elif silence:
        level, summary = DiagnosticStatus.WARN, silence[0].upper() + silence[1:]
    elif statistics.received == 0:
        level, summary = DiagnosticStatus.WARN, 'No frame has arrived yet'
    elif age_s is not None and age_s > stale_s:
        level, summary = (
            DiagnosticStatus.WARN,
            f'The newest frame is {age_s:.2f} s old by its stamp; {stale_s} s are allowed',
        )
    elif fault:
        level, summary = DiagnosticStatus.ERROR, fault
    elif statistics.idle and statistics.newest_stamp_ns is None:
        summary = 'Nobody subscribes to a result; frames are not processed'
    values = {
        **facts,
        'frames_received': str(statistics.received),
        'frames_published': str(statistics.published),
        'frames_dropped': str(statistics.dropped),
        'frames_missed': str(statistics.missed),
        'frames_without_subscriber': str(statistics.idle),
        'frames_broken': str(statistics.broken.total()),
        'inference_failures': str(statistics.failures),
        'backward_stamps': str(statistics.backward_stamps),
        'rate_hz': f'{statistics.rate_hz(now_ns):.2f}',
        'age_s': '' if age_s is None else f'{age_s:.3f}',
    }
    for kind, count in sorted(statistics.broken.items()):
        values[f'frames_broken.{kind}'] = str(count)
    for stage, row in statistics.latency.percentiles().items():
        for percentile, value_ms in row._asdict().items():
            values[f'{stage}_ms.{percentile}'] = f'{value_ms:.3f}'
    return DiagnosticStatus(
        level=level,
        name=name,
        message=summary,
        hardware_id=facts.get('backend', ''),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
