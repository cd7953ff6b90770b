# SPDX-License-Identifier: Apache-2.0
"""``seg_ros camera``: plays a drive, video, folder or bag as a camera on the ROS graph."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import rclpy
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from seg_ros.commands.camera.topics import TOPICS, CameraTopics
from seg_ros.commands.shared.numbers import one_or_more, positive, positive_or_zero
from seg_ros.commands.shared.stop_request import StopRequest
from seg_ros.commands.shared.subscriber_wait import wait_for_subscribers
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.ahead import Ahead
from seg_ros.recordings.sources import (
    ImageSource,
    SourceFrame,
    add_source_arguments,
    open_source,
    options_from_arguments,
)
from seg_ros.replay.job import read_lens
from seg_ros.ros.middleware import prepare_process
from seg_ros.ros.starting import start_ros

__all__ = ['add_arguments', 'main']

AHEAD_BYTES, PREPARED_BYTES = 64 << 20, 512 << 20
LATE_S = 0.1
WAIT_PERIOD_S = 0.05
SWITCH_INTERVAL_S = 0.0005  # or the thread that runs ahead would hold a due image up for 5 ms
ROUNDING_S = 1e-6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser)
    parser.add_argument(
        '--camera',
        type=Path,
        metavar='FILE',
        help='calibration as camera_calibration writes it, to be sent as CameraInfo',
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--count', type=one_or_more, metavar='N', help='stop after N images')
    parser.add_argument('--seconds', type=positive, metavar='S', help='stop after S seconds of it')
    parser.add_argument('--namespace', default='/camera', help='of its topics (/camera)')
    parser.add_argument('--frame-id', default='camera_optical', help='of its messages')
    parser.add_argument(
        '--reliability', choices=('reliable', 'best_effort'), default='reliable', help='of images'
    )
    parser.add_argument(
        '--depth', type=one_or_more, default=2, help='images kept for a slow reader (2)'
    )
    parser.add_argument(
        '--prepare',
        action='store_true',
        help='make the images, as many as fit into 512 MB, before the first is sent',
    )
    parser.add_argument(
        '--wait-for-subscriber',
        nargs='*',
        metavar='TOPIC',
        help='send nothing before each TOPIC (default: image) has a subscriber; '
        "with a / in front also anybody else's",
    )
    parser.add_argument(
        '--wait-timeout',
        type=positive_or_zero,
        default=60.0,
        metavar='S',
        help='give up waiting (60)',
    )
    parser.add_argument(
        '--progress', action='store_true', help='print how far it is as lines of JSON'
    )
    parser.add_argument(
        '--ros-args', nargs=argparse.REMAINDER, default=[], help='what follows goes to ROS'
    )


def main(arguments: argparse.Namespace) -> int:
    """Publishes until the source, the count or the time is at its end, or a signal comes."""
    wanted = arguments.wait_for_subscriber
    if wrong := [name for name in wanted or () if name not in TOPICS and name[:1] != '/']:
        msg = f'--wait-for-subscriber {wrong[0]}: name {", ".join(TOPICS)} or a topic in full.'
        raise ConfigurationError(msg)
    stop = StopRequest()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    source = open_source(options_from_arguments(arguments))
    if arguments.camera is not None:
        lens = read_lens(arguments.camera)
        source.camera = lens.intrinsics((lens.width, lens.height))
    qos = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=arguments.depth,
        reliability=ReliabilityPolicy[arguments.reliability.upper()],
    )
    prepare_process()
    budget = PREPARED_BYTES if arguments.prepare else AHEAD_BYTES
    with Ahead(_timed_frames(source, arguments), budget, _bytes_of) as frames:
        if arguments.prepare:  # before anybody sees a camera that sends nothing
            _prepare(frames, stop, arguments.progress)
        start_ros(
            ['--ros-args', *arguments.ros_args],
            signal_handler_options=SignalHandlerOptions.NO,
        )
        try:
            node = rclpy.create_node(
                'player', namespace=arguments.namespace, start_parameter_services=False
            )
            topics = CameraTopics(node, source, arguments.frame_id, qos)
            if wanted is not None:
                names = wanted or ['image']
                wait_for_subscribers(
                    lambda: topics.without_subscriber(names), arguments.wait_timeout, stop
                )
            print(f'Playing {source.name} on {node.get_namespace()}', flush=True)
            print(_play(frames, topics, stop), flush=True)
            topics.finish()
        finally:
            rclpy.try_shutdown()
    return 0


class TimedFrame(NamedTuple):
    """A picture and when it is due, in seconds after the first."""

    due_s: float
    frame: SourceFrame


def _timed_frames(source: ImageSource, arguments: argparse.Namespace) -> Iterator[TimedFrame]:
    """Yields the pictures at the asked rate, or with the pauses of the source."""
    due_s = 0.0
    pause_s = 1.0 / arguments.rate if arguments.rate else 0.0
    last_ns: int | None = None
    for index, frame in enumerate(_frames(source, loop=arguments.loop)):
        if last_ns is not None:
            if not arguments.rate and frame.stamp_ns > last_ns:  # else it began again
                pause_s = (frame.stamp_ns - last_ns) / NS_PER_S
            due_s += pause_s
        last_ns = frame.stamp_ns
        if index == arguments.count:
            return
        if arguments.seconds is not None and due_s >= arguments.seconds - ROUNDING_S:
            return
        yield TimedFrame(due_s, frame)


def _frames(source: ImageSource, *, loop: bool) -> Iterator[SourceFrame]:
    while True:
        yield from source.frames()
        if not loop:
            return


def _bytes_of(timed: TimedFrame) -> int:
    label = timed.frame.label
    return timed.frame.image.nbytes + (0 if label is None else label.nbytes)


def _prepare(frames: Ahead[TimedFrame], stop: StopRequest, progress: bool) -> None:
    """Returns once as many pictures are made as there are, or as there is memory for."""
    reported = 0
    enough = False
    while not enough and stop.sleep_until(time.monotonic() + WAIT_PERIOD_S):
        enough = frames.far_enough
        if progress and frames.waiting > reported:
            reported = frames.waiting
            print(json.dumps({'prepared': reported}), flush=True)
    if progress and enough:
        print(json.dumps({'prepared': frames.waiting, 'ready': 1}), flush=True)


def _until_stopped(frames: Ahead[TimedFrame], stop: StopRequest) -> Iterator[TimedFrame]:
    """Yields the pictures; does not wait for one that is not made yet when a stop is wanted."""
    while True:
        while not (frames.waiting or frames.far_enough):
            if not stop.sleep_until(time.monotonic() + WAIT_PERIOD_S):
                return
        if (frame := next(frames, None)) is None:
            return
        yield frame


def _play(frames: Ahead[TimedFrame], topics: CameraTopics, stop: StopRequest) -> str:
    """Publishes each picture at its time; returns what came of it, in a sentence."""
    count = late = 0
    first_s = start_s = time.monotonic()
    for due_s, frame in _until_stopped(frames, stop):
        now_s = time.monotonic()
        if count == 0:
            first_s = start_s = now_s
        elif now_s - start_s - due_s > LATE_S:  # all that follow move too: there is no burst
            start_s = now_s - due_s
            late += 1
        if not stop.sleep_until(start_s + due_s):
            break
        topics.publish(frame, time.time_ns())
        count += 1
    if count == 0 and not stop.requested:
        raise ConfigurationError('The source gave no image. Play another one.')
    sentence = f'Published {count} images in {time.monotonic() - first_s:.1f} s'
    return f'{sentence}; {late} came late, this machine is too slow for it.' if late else sentence
