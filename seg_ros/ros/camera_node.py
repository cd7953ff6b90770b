"""``seg_ros camera``: plays a drive, video, folder or bag as a camera on the ROS graph."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header, String

from seg_ros.core.camera import CameraIntrinsics
from seg_ros.core.errors import ConfigurationError
from seg_ros.media.ahead import Ahead
from seg_ros.media.sources import (
    ImageSource,
    SourceFrame,
    add_source_arguments,
    open_source,
    options_from_arguments,
)
from seg_ros.ros.conversions import ReusedImage, compressed_message
from seg_ros.ros.middleware import prepare_process
from seg_ros.ros.stop_request import StopRequest

__all__ = ['CameraTopics', 'add_arguments', 'main']

TOPICS = ('image', 'image/compressed', 'camera_info', 'truth/label')
JPEG_QUALITY = 90
AHEAD_BYTES = 256 << 20
LATE_S = 0.1  # an image that is later than this moves all that follow it
SETTLE_S = 0.5  # the node subscribes anew once it has seen what the camera offers
WAIT_PERIOD_S = 0.05
SWITCH_INTERVAL_S = 0.0005  # or the thread that renders would hold a due image up for 5 ms
NS_PER_S = 1_000_000_000
ROUNDING_S = 1e-6


class CameraTopics:
    """The publishers of one camera; an image is only made where somebody subscribes to it.

    Args:
        node: Creates the publishers, in its namespace.
        source: Says what there is to publish.
        frame_id: Frame of every message.
        image_qos: Of the image topics.
    """

    def __init__(
        self, node: Node, source: ImageSource, frame_id: str, image_qos: QoSProfile
    ) -> None:
        self._frame_id = frame_id
        self._camera = source.camera
        self._image = ReusedImage('rgb8')
        self._label = ReusedImage('mono8')
        types = dict(zip(TOPICS, (Image, CompressedImage, CameraInfo, Image), strict=True))
        if source.class_names is None:
            del types['truth/label']
        self._publishers = {
            topic: node.create_publisher(kind, topic, image_qos) for topic, kind in types.items()
        }
        if source.class_names is not None:
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._classes = node.create_publisher(String, 'truth/classes', latched)
            rows = [{'id': key, 'name': name} for key, name in source.class_names.items()]
            self._classes.publish(String(data=json.dumps({'unlabelled': 255, 'classes': rows})))

    def without_subscriber(self, topics: Sequence[str]) -> list[str]:
        """Returns those of the topics that nobody subscribes to."""
        return [topic for topic in topics if topic in self._publishers and not self._wanted(topic)]

    def publish(self, frame: SourceFrame, stamp_ns: int) -> None:
        """Publishes an image and all that belongs to it, under one header."""
        header = Header(frame_id=self._frame_id)
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
        if self._wanted('image'):
            self._publish_pixels('image', self._image, frame.image, header)
        if self._wanted('camera_info'):
            height, width = frame.image.shape[:2]
            info = camera_info_message(self._camera, (width, height))
            info.header = header
            self._publishers['camera_info'].publish(info)
        if frame.label is not None and self._wanted('truth/label'):
            self._publish_pixels('truth/label', self._label, frame.label, header)
        if self._wanted('image/compressed'):
            message = compressed_message(frame.image, JPEG_QUALITY)
            message.header = header
            self._publishers['image/compressed'].publish(message)

    def _wanted(self, topic: str) -> bool:
        return bool(self._publishers[topic].get_subscription_count())

    def _publish_pixels(
        self, topic: str, reused: ReusedImage, pixels: np.ndarray, header: Header
    ) -> None:
        np.copyto(reused.pixels(pixels.shape), pixels)
        reused.message.header = header
        self._publishers[topic].publish(reused.message)


def camera_info_message(camera: CameraIntrinsics | None, size_wh: tuple[int, int]) -> CameraInfo:
    """Returns the lens as a message without a header; all zero means that nobody calibrated it."""
    if camera is None:
        return CameraInfo(width=size_wh[0], height=size_wh[1])
    message = CameraInfo(width=camera.width, height=camera.height)
    message.distortion_model = camera.distortion_model or 'plumb_bob'
    message.d = camera.d.tolist() if camera.distortion_model else [0.0] * 5
    message.k = camera.k.ravel().tolist()
    message.r = np.eye(3).ravel().tolist()
    message.p = np.hstack([camera.k, np.zeros((3, 1))]).ravel().tolist()
    return message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser)
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--count', type=int, metavar='N', help='stop after N images')
    parser.add_argument('--seconds', type=float, metavar='S', help='stop after S seconds')
    parser.add_argument('--namespace', default='/camera', help='of its topics (/camera)')
    parser.add_argument('--frame-id', default='camera_optical', help='of its messages')
    parser.add_argument(
        '--reliability', choices=('reliable', 'best_effort'), default='reliable', help='of images'
    )
    parser.add_argument('--depth', type=int, default=2, help='images kept for a slow reader (2)')
    parser.add_argument(
        '--wait-for-subscriber',
        nargs='*',
        choices=TOPICS,
        metavar='TOPIC',
        help='send nothing before each TOPIC (default: image) has a subscriber',
    )
    parser.add_argument(
        '--wait-timeout', type=float, default=60.0, metavar='S', help='give up waiting (60)'
    )
    parser.add_argument(
        '--ros-args', nargs=argparse.REMAINDER, default=[], help='what follows goes to ROS'
    )


def main(arguments: argparse.Namespace) -> int:
    """Publishes until the source, the count or the time is at its end, or a signal comes."""
    stop = StopRequest()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    source = open_source(options_from_arguments(arguments))
    qos = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=arguments.depth,
        reliability=ReliabilityPolicy[arguments.reliability.upper()],
    )
    prepare_process()
    rclpy.init(
        args=['--ros-args', *arguments.ros_args],
        signal_handler_options=SignalHandlerOptions.NO,
    )
    try:
        node = rclpy.create_node(
            'player', namespace=arguments.namespace, start_parameter_services=False
        )
        topics = CameraTopics(node, source, arguments.frame_id, qos)
        with Ahead(_frames(source, arguments), AHEAD_BYTES, lambda f: f.image.nbytes) as frames:
            if arguments.wait_for_subscriber is not None:
                wanted = arguments.wait_for_subscriber or ['image']
                _wait_for_subscribers(topics, wanted, arguments.wait_timeout, stop)
            print(f'Playing {source.name} on {node.get_namespace()}', flush=True)
            print(_play(frames, topics, arguments, stop), flush=True)
        return 0
    finally:
        rclpy.try_shutdown()


def _frames(source: ImageSource, arguments: argparse.Namespace) -> Iterator[SourceFrame]:
    rounds = itertools.repeat(source) if arguments.loop else iter([source])
    frames = itertools.chain.from_iterable(each.frames() for each in rounds)
    return itertools.islice(frames, arguments.count)


def _wait_for_subscribers(
    topics: CameraTopics, wanted: Sequence[str], timeout_s: float, stop: StopRequest
) -> None:
    """Returns once each topic has had a subscriber for a while, or a stop is wanted."""
    now_s = time.monotonic()
    give_up_s, settled_s = now_s + timeout_s, now_s + SETTLE_S
    while now_s < settled_s and stop.sleep_until(now_s + WAIT_PERIOD_S):
        now_s = time.monotonic()
        missing = topics.without_subscriber(wanted)
        if missing:
            settled_s = now_s + SETTLE_S
        if missing and now_s > give_up_s:
            msg = (
                f'Nobody subscribed to {", ".join(missing)} within {timeout_s} s. Start the '
                'reader, with the same ROS_DOMAIN_ID, or leave --wait-for-subscriber out.'
            )
            raise ConfigurationError(msg)


def _play(
    frames: Iterator[SourceFrame],
    topics: CameraTopics,
    arguments: argparse.Namespace,
    stop: StopRequest,
) -> str:
    """Publishes each image at its time; returns what came of it, in a sentence."""
    count = 0
    start_s = time.monotonic()
    schedule = _Schedule(arguments.rate)
    for frame in frames:
        due_s = schedule.due_s(frame.stamp_ns, time.monotonic())
        if count == 0:
            start_s = due_s
        if arguments.seconds is not None and due_s - start_s >= arguments.seconds - ROUNDING_S:
            break
        if not stop.sleep_until(due_s):
            break
        topics.publish(frame, time.time_ns())
        count += 1
    if count == 0 and not stop.requested:
        raise ConfigurationError('The source gave no image. Play another one.')
    sentence = f'Published {count} images in {time.monotonic() - start_s:.1f} s'
    late = schedule.late
    return f'{sentence}; {late} came late, this machine is too slow for it.' if late else sentence


class _Schedule:
    """When each image is due: at a rate, or with the pauses of its source.

    An image that is far too late moves all that follow it, so that there is never a burst.

    Args:
        rate_hz: Images a second; None for the pauses of the source.
    """

    def __init__(self, rate_hz: float | None) -> None:
        self._pause_s = 0.0 if rate_hz is None else 1.0 / rate_hz
        self._follow_source = rate_hz is None
        self._due_s: float | None = None
        self._stamp_ns = 0
        self.late = 0

    def due_s(self, stamp_ns: int, now_s: float) -> float:
        """Returns when the image is due that has this stamp, by the clock of ``now_s``."""
        if self._due_s is None:
            self._due_s = now_s
        else:
            if self._follow_source and stamp_ns > self._stamp_ns:  # else it began again
                self._pause_s = (stamp_ns - self._stamp_ns) / NS_PER_S
            self._due_s += self._pause_s
            if now_s - self._due_s > LATE_S:
                self.late += 1
                self._due_s = now_s
        self._stamp_ns = stamp_ns
        return self._due_s
