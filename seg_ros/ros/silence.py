# SPDX-License-Identifier: Apache-2.0
"""Why nothing comes, or not fast enough: the sentences of node and doctor, without a graph."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

__all__ = ['IMAGE_TYPES', 'SpeedWatch', 'cameras_among', 'nobody_publishes', 'wrong_stamps']

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
STOP, STOP_TYPE = 'pedestrian_stop', 'std_msgs/msg/Bool'
LISTED = 6
WINDOW_S = 4.0  # long enough for two frames of a camera or network at 0.5 Hz
CALM = 0.8  # share of the limit below which it is good again
KEEPS_UP = 0.7  # share of the camera's frames that a machine which is fast enough processes


def cameras_among(topics: Mapping[str, Collection[str]]) -> list[str]:
    """Returns the image topics that are not a segmentation node's own.

    Args:
        topics: Types by topic.
    """
    ours = tuple(
        prefix
        for topic, types in topics.items()
        if STOP_TYPE in types and topic.endswith(f'/{STOP}')
        if (prefix := topic.removesuffix(STOP)) != '/'
    )
    return sorted(
        topic
        for topic, types in topics.items()
        if set(types) & set(IMAGE_TYPES) and not topic.startswith(ours)
    )


def nobody_publishes(
    topic: str, others: Sequence[str], name: str = 'image', what: str = 'image'
) -> str:
    """Says that a topic has no publisher, and which one was probably meant.

    Args:
        topic: That is read.
        others: The topics of its kind that have one; of images, ``cameras_among``.
        name: What to remap.
        what: Is published there.
    """
    if not others:
        source = 'the camera driver' if what == 'image' else 'its publisher'
        return (
            f'nobody publishes {topic}, nor any other {what}: is {source} started, with the same '
            'ROS_DOMAIN_ID? seg_ros doctor lists what is there'
        )
    likely = others if len(others) == 1 else difflib.get_close_matches(topic, others, 1, 0.5)
    rows = [f'{row} (did you mean it?)' if row in likely else row for row in others]
    rows = sorted(rows, key=lambda row: '(' not in row)[:LISTED]
    more = f' and {len(others) - LISTED} more' if len(others) > LISTED else ''
    said = f'nobody publishes {topic}; {what} topics here: {", ".join(rows)}{more}'
    return f'{said}. To read it: -r {name}:={likely[0]}' if likely else said


def wrong_stamps(late_s: float, limit_s: float, tolerance_s: float, *, is_sim_time: bool) -> str:
    """Says that the stamps of images that arrive are of another clock; empty where they fit.

    Args:
        late_s: How old an image is by its stamp when it arrives; negative is ahead.
        limit_s: Age at which the newest frame is too old.
        tolerance_s: How far ahead a stamp may be.
        is_sim_time: Whether the clock is that of /clock.
    """
    if -tolerance_s <= late_s <= limit_s:
        return ''
    said = f'{late_s:.2f} s old' if late_s > 0.0 else f'{-late_s:.2f} s ahead'
    advice = (
        'use_sim_time is true, so let whoever stamps them follow /clock, too, or set it to false'
        if is_sim_time
        else 'let the driver stamp them by the time of this computer, and synchronise the clocks '
        '(chrony, PTP); of a recording or simulation: use_sim_time, and its /clock'
    )
    return f'images come, but are {said} by their stamps when they arrive: {advice}'


class FrameCounts(NamedTuple):
    """Counts at a time."""

    at_s: float
    arrived: int
    processed: int


class SpeedWatch:
    """Notices that frames are processed too seldom for the stop ever to say go for long."""

    def __init__(self) -> None:
        self._samples: deque[FrameCounts] = deque()
        self.problem = ''  # in a sentence; empty while it is fast enough

    def look(
        self,
        now_s: float,
        arrived: int,
        processed: int,
        latency_s: float,
        limit_s: float,
        late_s: float = 0.0,
    ) -> str:
        """Looks at the counts; returns a new problem to be logged, else nothing.

        Args:
            now_s: A monotonic clock.
            arrived: Frames that the camera has sent.
            processed: Frames of which something was published.
            latency_s: From the arrival of a frame until then.
            limit_s: Age at which the newest frame is too old.
            late_s: How old an image is by its stamp when it arrives.
        """
        if not processed:  # a camera that has not begun says nothing of the machine
            return ''
        self._samples.append(FrameCounts(now_s, arrived, processed))
        while now_s - self._samples[0].at_s > WINDOW_S + 1.0:
            self._samples.popleft()
        first = self._samples[0]
        window_s = now_s - first.at_s
        count = processed - first.processed
        if window_s < WINDOW_S or count < 1:
            return ''
        rate_hz, sent_hz = count / window_s, (arrived - first.arrived) / window_s
        late_s = max(late_s, 0.0)
        oldest_s = 1.0 / rate_hz + latency_s + late_s
        if oldest_s <= limit_s * (CALM if self.problem else 1.0):
            self.problem = ''
            return ''
        was, self.problem = self.problem, _too_slow(rate_hz, sent_hz, oldest_s, limit_s, late_s)
        return '' if was else self.problem


def _too_slow(
    rate_hz: float, sent_hz: float, oldest_s: float, limit_s: float, late_s: float
) -> str:
    if late_s > 0.5 * oldest_s:  # most of the age is there before anything is done
        what = f'images are {late_s:.2f} s old by their stamps when they arrive'
        advice = (
            'shorten their way from the camera (a driver that buffers, a slow network), or '
            'synchronise the clocks (chrony, PTP)'
        )
    elif rate_hz < KEEPS_UP * sent_hz:
        what = f'this machine infers at {rate_hz:.1f} Hz while the camera sends {sent_hz:.1f}'
        advice = 'take a smaller network_size, another engine or backend'
    else:
        what = f'the camera sends {sent_hz:.1f} images a second'
        advice = 'let it send more'
    return (
        f'{what}, so that the newest frame gets {oldest_s:.2f} s old and the stop can hardly say '
        f'go; stop.stale_timeout_s is {limit_s:g}: {advice}'
    )
