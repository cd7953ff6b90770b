# SPDX-License-Identifier: Apache-2.0
"""Records topics as they come over the graph into an MCAP bag that Foxglove opens.

python -m seg_ros.commands.record.recorder -o out/bag /camera/image /segmentation/label
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

from seg_ros.commands.shared.message_types import learn_type, message_class
from seg_ros.commands.shared.offered_qos import is_latched, qos_for
from seg_ros.commands.shared.recorded_qos import recorded_qos
from seg_ros.commands.shared.stop_request import StopRequest
from seg_ros.core.errors import SegRosError
from seg_ros.recordings.new_bag import begin_bag, named, place_of_unfinished
from seg_ros.ros.message_info import MessageInfo, received_time_ns, with_info
from seg_ros.ros.middleware import prepare_process
from seg_ros.ros.starting import start_ros

__all__ = ['BagWriter', 'Recorder', 'add_arguments', 'main']

DEPTH = 100
LOOK_PERIOD_S = 0.1
REPORT_PERIOD_S = 0.25


class BagWriter:
    """An MCAP bag that is being written; whole, and at its place, once ``close`` returns.

    Until then, and for good where ``error`` tells of one, it is in ``FOLDER.partial``.

    Serialised messages are written from a thread, so that receiving never waits.

    Args:
        path: Folder of the bag; must not exist.

    Attributes:
        counts: Messages taken so far, by topic.
        error: What stopped the writing (a full disk, say); None while all is well.
        place: Where it is while it is not whole.

    Raises:
        ConfigurationError: The folder exists or cannot be made, or rosbags is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.place = path, place_of_unfinished(path)
        self._writer = begin_bag(self.place)
        from rosbags.typesys import Stores, get_typestore

        self.counts: dict[str, int] = {}
        self.error: Exception | None = None
        self._types = get_typestore(Stores.ROS2_JAZZY)  # of its own: it learns types
        self._connections: dict[str, Any] = {}
        self._queue: queue.SimpleQueue[tuple[Any, int, bytes] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # rosbags writes from one thread, topics come from another
        self._thread = threading.Thread(target=self._run, name='bag', daemon=True)
        self._thread.start()

    def add_topic(self, topic: str, type_name: str, qos: QoSProfile) -> None:
        """Adds a topic that will be written.

        Raises:
            ConfigurationError: There is no definition of its type.
        """
        learn_type(self._types, type_name)
        with self._lock:
            self._connections[topic] = self._writer.add_connection(
                topic,
                type_name,
                typestore=self._types,
                offered_qos_profiles=[recorded_qos(qos)],
            )
        self.counts[topic] = 0

    def write(self, topic: str, received_ns: int, data: bytes) -> None:
        """Takes a serialised message of a topic that was added."""
        self._queue.put((self._connections[topic], received_ns, data))
        self.counts[topic] += 1

    def close(self) -> None:
        """Writes what waits, then index and metadata."""
        self._queue.put(None)
        self._thread.join()
        try:
            self._writer.close()
            if self.error is None:
                named(self._path)
        except Exception as error:  # rosbags' own, behind an error of the disk
            self.error = self.error or error
            with suppress(OSError):
                if (file := self._writer.storage.bio) is not None:
                    file.close()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self.error is not None:
                continue
            try:
                with self._lock:
                    self._writer.write(*item)
            except Exception as error:  # it is reported by whoever looks at ``error``
                self.error = error


class Recorder:
    """Subscribes to topics once they exist, with what their publishers offer.

    Args:
        node: Creates the subscriptions.
        topics: Full names.
        writer: Takes the messages.
        start: The topic whose first message starts the recording; before it only what is latched
            is recorded. Empty starts at once.
        below: Namespace on the graph that all topics are below; the bag is without it.
    """

    def __init__(
        self,
        node: Node,
        topics: Sequence[str],
        writer: BagWriter,
        start: str = '',
        below: str = '',
    ) -> None:
        self._node = node
        self._below = below
        self._missing = list(topics)
        self._writer = writer
        self._start = start
        self._started = not start
        node.create_timer(LOOK_PERIOD_S, self._look)

    def _look(self) -> None:
        types = dict(self._node.get_topic_names_and_types()) if self._missing else {}
        for topic in [topic for topic in self._missing if self._below + topic in types]:
            heard = self._below + topic
            if self._node.get_publishers_info_by_topic(heard):
                self._missing.remove(topic)
                self._record(topic, heard, types[heard])

    def _record(self, topic: str, heard: str, types: Sequence[str]) -> None:
        if len(types) > 1:
            self._node.get_logger().warning(
                f'{heard} is published as {" and ".join(types)}; it is recorded as {types[0]}.'
            )
        offers = self._node.get_publishers_info_by_topic(heard)
        qos, latched = qos_for(offers, DEPTH), is_latched(offers)
        try:
            kind = message_class(types[0])
            self._writer.add_topic(topic, types[0], qos)
        except SegRosError as error:
            self._node.get_logger().error(f'{topic} is not recorded. {error}')
            return
        receive = with_info(self._receiver(topic, latched))
        self._node.create_subscription(kind, heard, receive, qos, raw=True)

    def _receiver(self, topic: str, latched: bool) -> Callable[[bytes, MessageInfo], None]:
        write = self._writer.write

        def receive(data: bytes, info: MessageInfo) -> None:
            self._started = self._started or topic == self._start
            if self._started or latched:
                write(topic, received_time_ns(info), data)

        return receive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('topics', nargs='+', metavar='TOPIC', help='full name of a topic')
    parser.add_argument('-o', '--output', type=Path, required=True, help='folder of the bag, new')
    parser.add_argument(
        '--start',
        default='',
        metavar='TOPIC',
        help='record nothing but latched topics before the first message of TOPIC',
    )
    parser.add_argument(
        '--below',
        default='',
        metavar='NAMESPACE',
        help='the topics are below this on the graph; the bag is without it',
    )
    parser.add_argument(
        '--progress', action='store_true', help='print the counts as a line of JSON as they grow'
    )


def main(arguments: argparse.Namespace) -> int:
    """Records until SIGINT or SIGTERM; the bag is whole in the end, whoever died before."""
    stop = StopRequest()
    prepare_process()
    start_ros([], signal_handler_options=SignalHandlerOptions.NO)
    writer = None
    try:
        node = rclpy.create_node(
            'recorder', namespace=arguments.below or None, start_parameter_services=False
        )
        writer = BagWriter(arguments.output)
        Recorder(node, arguments.topics, writer, arguments.start, arguments.below)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        report = _print_counts if arguments.progress else None
        _spin(executor, writer, stop, report)
    finally:
        rclpy.try_shutdown()
        if writer is not None:
            writer.close()
    if writer.error is not None:
        print(
            f'{arguments.output} could not be finished: {writer.error}. What was recorded until '
            f'then is in {writer.place}. Make room, and record again.',
            file=sys.stderr,
        )
        return 1
    total = sum(writer.counts.values())
    print(f'Recorded {total} messages of {len(writer.counts)} topics in {arguments.output}')
    return 0


def _spin(
    executor: SingleThreadedExecutor,
    writer: BagWriter,
    stop: StopRequest,
    report: Callable[[dict[str, int]], None] | None,
) -> None:
    reported: dict[str, int] = {}
    report_s = 0.0
    while not stop.requested and writer.error is None:
        executor.spin_once(timeout_sec=LOOK_PERIOD_S)
        now_s = time.monotonic()
        if report and now_s >= report_s and writer.counts != reported:
            reported = dict(writer.counts)
            report_s = now_s + REPORT_PERIOD_S
            report(reported)


def _print_counts(counts: dict[str, int]) -> None:
    print(json.dumps(counts), flush=True)


def main_process(argv: Sequence[str] | None = None) -> int:
    """Runs the recorder by itself; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_arguments(parser)
    try:
        return main(parser.parse_args(argv))
    except SegRosError as error:
        print(f'recorder: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main_process())
