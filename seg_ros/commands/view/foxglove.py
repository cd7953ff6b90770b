# SPDX-License-Identifier: Apache-2.0
"""Foxglove: the topics of a node and of its cameras, served with ``foxglove-sdk``.

Messages go through as the bytes that they are. A topic is subscribed to on the graph while
somebody looks at it in Foxglove, and no longer. The first camera and the node have the names that
``config/foxglove/segmentation.json`` knows, whatever they are called on the graph, so that the
layout serves every robot.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any, final

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from seg_ros.commands.shared.message_types import learn_type, message_class
from seg_ros.commands.shared.offered_qos import is_latched, qos_for
from seg_ros.commands.view.watched_node import nodes_on
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.messages.camera_info import camera_info_topic
from seg_ros.ros.silence import IMAGE_TYPES

__all__ = ['FoxgloveServer', 'shown_name']

GRAPH_PERIOD_S = 1.0  # between two looks at who is there
LOOK_PERIOD_S = 0.1  # between two at who looks
DEPTH = 10  # a slow moment loses nothing
END_TIMEOUT_S = 5.0
NODE, IMAGE, INFO, COMPRESSED = (
    '/segmentation',
    '/camera/image',
    '/camera/camera_info',
    '/compressed',
)
OF_ALL = ('/tf', '/tf_static', '/diagnostics')
OF_NOBODY = ('/parameter_events', '/rosout', '/clock')


def shown_name(topic: str, node: str, image: str) -> str:
    """Returns what a topic is called in Foxglove.

    Args:
        topic: On the graph.
        node: Full name of the segmentation node.
        image: Image topic of its first camera; empty while that is unknown.
    """
    if image:
        own = {
            image: IMAGE,
            image + COMPRESSED: IMAGE + COMPRESSED,
            camera_info_topic(image): INFO,
        }
        if topic in own:
            return own[topic]
    if topic.startswith(f'{node}/'):
        return NODE + topic.removeprefix(node)
    namespace = node.rpartition('/')[0]
    return topic.removeprefix(namespace) if topic.startswith(f'{namespace}/') else topic


@final
class FoxgloveServer:
    """Serves a node's topics from a thread with a node of its own, until it is closed.

    Args:
        wanted: Full name of the node; empty for the first one on the graph.
        host: Address to serve on.
        port: The same; 0 takes a free one.

    Attributes:
        address: Where to connect to.

    Raises:
        ConfigurationError: What it needs is not installed, or the port is taken.
    """

    def __init__(self, wanted: str, host: str, port: int) -> None:
        sdk = _sdk()
        self._sdk = sdk
        self._wanted = wanted
        self._context = sdk.Context()
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        try:
            self._server = sdk.start_server(
                name='seg_ros', host=host, port=port, context=self._context,
                server_listener=_listener(sdk, self._asked),
            )  # fmt: skip
        except (OSError, OverflowError, RuntimeError, ValueError) as error:
            msg = f'--foxglove {port}: cannot be served on ({error}). Take another port.'
            raise ConfigurationError(msg) from error
        self.address = f'ws://{host}:{self._server.port}'
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name='foxglove', daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over.set()
        self._thread.join(END_TIMEOUT_S)
        self._server.stop()

    def _run(self) -> None:
        node = rclpy.create_node(
            'view_foxglove', start_parameter_services=False, enable_rosout=False
        )
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        relays = _Relays(node, self._sdk, self._context)
        graph_s = -GRAPH_PERIOD_S
        while not self._is_over.is_set():
            now_s = time.monotonic()
            if now_s - graph_s >= GRAPH_PERIOD_S:
                graph_s = now_s
                if name := self._wanted or next(iter(nodes_on(node)), ''):
                    relays.offer(name)
            while not self._asked.empty():
                relays.tell_again(self._asked.get())
            relays.follow_viewers()
            while (left_s := now_s + LOOK_PERIOD_S - time.monotonic()) > 0.0:
                executor.spin_once(timeout_sec=left_s)
        executor.shutdown()
        node.destroy_node()


class _Relay:
    """One topic: its channel in Foxglove, and its subscription while somebody looks."""

    def __init__(self, topic: str, type_name: str, channel: Any) -> None:
        self.topic, self.channel = topic, channel
        self.kind = message_class(type_name)
        self.subscription: Any = None

    def take(self, data: bytes) -> None:
        self.channel.log(data)


class _Relays:
    """All topics of one node; of one thread.

    Args:
        node: Creates the subscriptions.
        sdk: ``foxglove``.
        context: Of the server.
    """

    def __init__(self, node: Node, sdk: ModuleType, context: Any) -> None:
        from rosbags.typesys import Stores, get_typestore

        self._node, self._sdk, self._context = node, sdk, context
        self._types = get_typestore(Stores.ROS2_JAZZY)  # of its own: it learns types
        self._relays: dict[str, _Relay] = {}
        self._unknown: set[str] = set()

    def offer(self, name: str) -> None:
        """Offers what is published by, for or beside a node and was not offered yet."""
        everything = dict(self._node.get_topic_names_and_types())
        read = _of_node(self._node.get_subscriber_names_and_types_by_node, name)
        said = _of_node(self._node.get_publisher_names_and_types_by_node, name)
        image = _first_image(read)
        wanted = {topic for topic in everything if topic.startswith(f'{name}/')}
        wanted |= {*read, *said, *OF_ALL, image + COMPRESSED}
        wanted |= {topic + COMPRESSED for topic in read}
        for topic in sorted(wanted & everything.keys() - set(OF_NOBODY)):
            is_new = topic not in self._relays and topic not in self._unknown
            if is_new and self._node.count_publishers(topic):
                self._offer(topic, everything[topic][0], shown_name(topic, name, image))

    def _offer(self, topic: str, type_name: str, shown: str) -> None:
        try:
            learn_type(self._types, type_name)
            schema = self._sdk.Schema(
                name=type_name, encoding='ros2msg',
                data=self._types.generate_msgdef(type_name, ros_version=2)[0].encode(),
            )  # fmt: skip
            channel = self._sdk.Channel(
                shown, schema=schema, message_encoding='cdr', context=self._context
            )
            self._relays[topic] = _Relay(topic, type_name, channel)
        except SegRosError as error:
            self._unknown.add(topic)
            print(f'{topic} is not served to Foxglove. {error}', file=sys.stderr)

    def follow_viewers(self) -> None:
        """Subscribes to what is looked at, and to nothing else."""
        for relay in self._relays.values():
            if relay.channel.has_sinks() and relay.subscription is None:
                offers = self._node.get_publishers_info_by_topic(relay.topic)
                relay.subscription = self._node.create_subscription(
                    relay.kind, relay.topic, relay.take, qos_for(offers, DEPTH), raw=True
                )
            elif not relay.channel.has_sinks() and relay.subscription is not None:
                self._forget(relay)

    def tell_again(self, channel_id: int) -> None:
        """Brings what is latched to somebody who has just begun to look."""
        for relay in self._relays.values():
            if relay.channel.id() == channel_id and relay.subscription is not None:
                offers = self._node.get_publishers_info_by_topic(relay.topic)
                if is_latched(offers):
                    self._forget(relay)  # subscribed to anew, it comes again

    def _forget(self, relay: _Relay) -> None:
        self._node.destroy_subscription(relay.subscription)
        relay.subscription = None


def _first_image(read: Mapping[str, Collection[str]]) -> str:
    images = [topic for topic, types in read.items() if set(types) & set(IMAGE_TYPES)]
    return min(images, default='').removesuffix(COMPRESSED)


def _of_node(of_node: Any, name: str) -> dict[str, Collection[str]]:
    namespace, _, own = name.rpartition('/')
    try:
        return dict(of_node(own, namespace or '/'))
    except Exception:  # rclpy raises where the node has just gone
        return {}


def _sdk() -> ModuleType:
    try:
        import foxglove
        import rosbags.typesys  # noqa: F401  definitions of messages
    except ImportError as error:
        msg = f"--foxglove needs a package ({error}). Install it: pip install '.[foxglove]'"
        raise ConfigurationError(msg) from error
    foxglove.set_log_level('ERROR')  # what clients do wrong is theirs
    sdk: ModuleType = foxglove
    return sdk


def _listener(sdk: ModuleType, asked: queue.SimpleQueue[int]) -> Any:
    """Notes which channels somebody has begun to look at; called by a thread of the server."""

    class Listener(sdk.ServerListener):  # type: ignore[misc, name-defined]
        def on_subscribe(self, client: Any, channel: Any) -> None:  # noqa: ARG002
            asked.put(channel.id)

    return Listener()
