# SPDX-License-Identifier: Apache-2.0
"""``seg_ros view --foxglove`` against the real node, heard by a WebSocket client of its own."""

from __future__ import annotations

import json
import re
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from sensor_msgs.msg import CompressedImage

from seg_ros.commands.view.foxglove import FoxgloveServer, shown_name
from seg_ros.core.errors import ConfigurationError
from test.commands.view.conftest import Serve
from test.paths import REPOSITORY
from test.ros.drive import Drive
from test.ros.graph import Graph, wait_for

LAYOUT = (REPOSITORY / 'config/foxglove/segmentation.json').read_text()
OVERLAY, CLASSES = '/segmentation/overlay/compressed', '/segmentation/classes'
MESSAGE = struct.Struct('<BIQ')  # foxglove.sdk.v1: message data, subscription, log time
HEARD_S = 60.0


class Client:
    """Foxglove, as far as its WebSocket goes.

    Attributes:
        channels: What is offered, by topic.
        messages: What came, by topic.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.channels: dict[str, Any] = {}
        self.messages: dict[str, list[bytes]] = {}
        self._topics: dict[int, str] = {}

    def subscribe(self, topic: str) -> None:
        number = self.channels[topic]['id']
        self._topics[number] = topic
        rows = [{'id': number, 'channelId': number}]
        self._socket.send(json.dumps({'op': 'subscribe', 'subscriptions': rows}))

    def until(self, condition: Callable[[], Any], what: str) -> None:
        end_s = time.monotonic() + HEARD_S
        while not condition():
            assert time.monotonic() < end_s, f'{what}; offered: {sorted(self.channels)}'
            try:
                self._take(self._socket.recv(timeout=1.0))
            except TimeoutError:
                continue

    def _take(self, data: str | bytes) -> None:
        if isinstance(data, str):
            message = json.loads(data)
            for channel in message.get('channels', ()):
                self.channels[channel['topic']] = channel
        else:
            _, number, _ = MESSAGE.unpack_from(data)
            topic = self._topics[number]
            self.messages.setdefault(topic, []).append(data[MESSAGE.size :])


@pytest.fixture
def connect(serve: Serve, tmp_path: Path) -> Iterator[Callable[[], Client]]:
    """Connects to what ``seg_ros view --foxglove`` serves."""
    pytest.importorskip('foxglove', reason="needs pip install '.[foxglove]'")
    client = pytest.importorskip('websockets.sync.client', reason='needs pip install websockets')
    serve('--foxglove', '0')
    port = wait_for(
        lambda: re.search(r'ws://127\.0\.0\.1:(\d+)', (tmp_path / 'view.log').read_text()),
        'the address of Foxglove',
    )[1]
    with ExitStack() as sockets:

        def connected() -> Client:
            address, protocol = f'ws://127.0.0.1:{port}', 'foxglove.sdk.v1'
            socket = client.connect(address, subprotocols=[protocol], max_size=None)
            return Client(sockets.enter_context(socket))

        yield connected


def test_every_topic_of_our_layout_is_offered_under_the_name_that_it_has_there(
    graph: Graph, drive: Drive, connect: Callable[[], Client]
) -> None:
    graph.publisher(CompressedImage, '/image/compressed')
    wanted = set(re.findall(r'"(/(?:segmentation|camera)/[\w/]+)', LAYOUT)) | {'/diagnostics'}
    assert len(wanted) > 10
    client = connect()
    client.until(lambda: wanted <= client.channels.keys(), f'{sorted(wanted)} are not all there')


def test_messages_come_as_their_bytes_with_a_definition_that_reads_them(
    drive: Drive, connect: Callable[[], Client]
) -> None:
    client = connect()
    client.until(lambda: OVERLAY in client.channels, 'the overlay is offered')
    client.subscribe(OVERLAY)
    client.until(lambda: client.messages.get(OVERLAY), 'an overlay comes')
    channel = client.channels[OVERLAY]
    assert (channel['encoding'], channel['schemaEncoding']) == ('cdr', 'ros2msg')
    types = get_typestore(Stores.EMPTY)
    types.register(get_types_from_msg(channel['schema'], channel['schemaName']))
    message: Any = types.deserialize_cdr(client.messages[OVERLAY][0], channel['schemaName'])
    assert 'jpeg' in message.format
    assert bytes(message.data[:2]) == b'\xff\xd8'


def test_what_is_latched_reaches_whoever_begins_to_look_later(
    drive: Drive, connect: Callable[[], Client]
) -> None:
    for client in (connect(), connect()):
        client.until(lambda: CLASSES in client.channels, 'the classes are offered')  # noqa: B023
        client.subscribe(CLASSES)
        client.until(lambda: client.messages.get(CLASSES), 'the classes come')  # noqa: B023


def test_nothing_is_listened_to_while_nobody_looks(
    graph: Graph, drive: Drive, connect: Callable[[], Client]
) -> None:
    client = connect()
    client.until(lambda: OVERLAY in client.channels, 'the overlay is offered')
    assert graph.peer.count_subscribers(OVERLAY) == 0
    client.subscribe(OVERLAY)
    client.until(lambda: client.messages.get(OVERLAY), 'an overlay comes')
    assert graph.peer.count_subscribers(OVERLAY) == 1
    client._socket.close()
    wait_for(lambda: graph.peer.count_subscribers(OVERLAY) == 0, 'nobody listens any more')


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'foxglove', None)
    with pytest.raises(ConfigurationError, match=r"pip install '\.\[foxglove\]'"):
        FoxgloveServer('', '127.0.0.1', 0)


@pytest.mark.parametrize('port', [70_000, -1])
def test_a_port_that_cannot_be_is_refused_in_one_sentence(port: int) -> None:
    pytest.importorskip('foxglove', reason="needs pip install '.[foxglove]'")
    with pytest.raises(ConfigurationError, match=f'--foxglove {port}: .* Take another port'):
        FoxgloveServer('', '127.0.0.1', port)


@pytest.mark.parametrize(
    ('topic', 'node', 'image', 'shown'),
    [
        ('/segmentation/markers', '/segmentation', '', '/segmentation/markers'),
        ('/front/eye/markers', '/front/eye', '', '/segmentation/markers'),
        ('/robot/diagnostics', '/robot/segmentation', '', '/diagnostics'),
        ('/tf', '/robot/segmentation', '', '/tf'),
        ('/front/image_raw', '/segmentation', '/front/image_raw', '/camera/image'),
        ('/usb/rgb/compressed', '/segmentation', '/usb/rgb', '/camera/image/compressed'),
        ('/usb/camera_info', '/segmentation', '/usb/rgb', '/camera/camera_info'),
        ('/rear/rgb', '/segmentation', '/usb/rgb', '/rear/rgb'),
    ],
)
def test_node_and_first_camera_have_the_names_of_the_layout(
    topic: str, node: str, image: str, shown: str
) -> None:
    assert shown_name(topic, node, image) == shown
