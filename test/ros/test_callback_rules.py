# SPDX-License-Identifier: Apache-2.0
"""Every callback that the package gives to rclpy is called by the rules of every distribution."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import MagicMock

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from seg_ros.commands.bench import host
from seg_ros.commands.bench.listener import BenchListener
from seg_ros.commands.calibrate import pictures
from seg_ros.commands.faults import witness
from seg_ros.commands.play import command as play
from seg_ros.commands.record.recorder import Recorder
from seg_ros.commands.simulate.vehicle_node import VehicleNode
from seg_ros.commands.soak import listener
from seg_ros.commands.view import foxglove
from seg_ros.commands.view.watched_node import WatchedNode
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import CameraIntrinsics
from seg_ros.inference.engine import load_engine
from seg_ros.ros import message_info
from seg_ros.ros.gate_node import GateNode
from test.paths import REPOSITORY
from test.ros.callback_rules import RULES, CallbackRules
from test.ros.graph import Graph, Spinning, image_message, wait_for
from test.ros.nodes import canned, street

REGISTERING = {  # each with the position of its callback among its arguments
    'create_subscription': 2,
    'create_timer': 1,
    'create_service': 2,
    'add_on_set_parameters_callback': 0,
}
PACKAGE = REPOSITORY / 'seg_ros'


class Registered(NamedTuple):
    """A callback, where it was given, and what for."""

    place: tuple[str, int]
    how: str
    callback: Callable[..., Any]
    kind: Any


def places() -> set[tuple[str, int, int]]:
    """Returns every call in the package that registers a callback: file, first and last line."""
    found = set()
    for file in PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in REGISTERING
            ):
                name = str(file.relative_to(REPOSITORY))
                found.add((name, node.lineno, node.end_lineno or node.lineno))
    return found


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[Registered]:
    """All that the package registers from now on."""
    rows: list[Registered] = []

    def watched(how: str, position: int) -> None:
        original = getattr(Node, how)

        @wraps(original)
        def register(self: Node, *words: Any, **more: Any) -> Any:
            frame = sys._getframe(1)
            file = Path(frame.f_code.co_filename)
            if PACKAGE in file.parents:
                callback = words[position] if len(words) > position else more['callback']
                place = str(file.relative_to(REPOSITORY)), frame.f_lineno
                rows.append(Registered(place, how, callback, words[0]))
            return original(self, *words, **more)

        monkeypatch.setattr(Node, how, register)

    for how, position in REGISTERING.items():
        watched(how, position)
    return rows


class Written:
    """A bag's writer."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int]] = []

    def add_topic(self, *_: Any) -> None:
        pass

    def write(self, topic: str, time_ns: int, data: bytes) -> None:
        assert isinstance(data, bytes)
        self.rows.append((topic, time_ns))


@pytest.mark.parametrize('distribution', RULES)
def test_every_callback_is_called_by_the_rules_of_every_distribution(
    distribution: str,
    graph: Graph,
    domain_id: int,
    engine: Path,
    registered: list[Registered],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    rules: CallbackRules = RULES[distribution]
    monkeypatch.setattr(message_info, 'takes_info', lambda: rules.has_info)
    camera = graph.publisher()
    node = graph.node(**canned(engine))
    graph.read(camera)
    spinning = Spinning(domain_id)
    nodes: list[Node] = [GateNode(context=spinning.context)]
    try:
        written = Written()
        recording = Node('recording', context=spinning.context)
        nodes.append(recording)
        recorder = Recorder(recording, ['/image'], written)  # type: ignore[arg-type]
        wait_for(lambda: recorder._look() or not recorder._missing, 'the topic is recorded')
        BenchListener(recording).listen(
            {'depth': 1, 'reliability': 'reliable', 'listen': ['/label'], 'need_publisher': False}  # type: ignore[typeddict-item]
        )
        watched = WatchedNode(recording, '/segmentation', '', with_motion=True)
        wait_for(lambda: watched._listen_elsewhere() or watched._elsewhere, 'its diagnostics')
        monkeypatch.setattr(rclpy, 'spin', lambda _node: None)
        monkeypatch.setenv('ROS_DOMAIN_ID', str(domain_id))
        for ears in (witness, listener):  # they end at once, and leave what they registered
            ears.main()
        monkeypatch.setattr('seg_ros.ros.middleware.prepare_process', list)  # it sets variables
        moment = SimpleNamespace(seconds=0.1, pictures=1)
        with pytest.raises(ConfigurationError, match='no picture came'):
            pictures._live('/nobody', moment, MagicMock())  # type: ignore[arg-type]
        lens = CameraIntrinsics.from_field_of_view((64, 32), 1.0)
        rclpy.init(domain_id=domain_id)  # these two use the context of the process
        ours = Node('ours')
        vehicle = VehicleNode(lens)
        player = MagicMock(at_s=0.0, paused=False)
        player.step.return_value = None
        play._play(
            ours,
            player,
            SimpleNamespace(pressed=lambda: ''),  # type: ignore[arg-type]
            SimpleNamespace(requested=True),  # type: ignore[arg-type]
            MagicMock(),
        )
        with host._published(load_engine(engine)):
            pass
        relays = foxglove._Relays(recording, MagicMock(), MagicMock())
        relays._relays['/image'] = foxglove._Relay('/image', 'sensor_msgs/msg/Image', MagicMock())
        relays.follow_viewers()
        seen = {row.place for row in registered}
        missing = [
            place
            for place in places()
            if not any(place[0] == file and place[1] <= line <= place[2] for file, line in seen)
        ]
        assert missing == [], 'a callback that no distribution was tried with'
        for row in registered:
            if row.how == 'create_subscription':
                message: Any = image_message(street()[0]) if row.kind is Image else row.kind()
                if row.kind is DiagnosticStatus:
                    words = ('valid', 'stop', 'stamp', 'frame_stamp')
                    message.values = [KeyValue(key=word, value='0') for word in words]
                if 'recorder' in row.place[0] or 'foxglove' in row.place[0]:
                    message = b'serialised'
                rules.subscription(row.callback, message)
            elif row.how == 'create_timer':
                rules.timer(row.callback)
            elif row.how == 'create_service':
                assert row.callback(row.kind.Request(), row.kind.Response()) is not None
            else:
                result = row.callback([Parameter('min_confidence', value=0.5)])
                assert isinstance(result, SetParametersResult)
                assert result.successful
        (topic, time_ns) = written.rows[-1]
        assert topic == '/image'
        assert (time_ns == 9) == rules.has_info
    finally:
        if rclpy.ok():
            vehicle.destroy_node()
            ours.destroy_node()
            rclpy.shutdown()
        spinning.close(nodes)
        graph.destroy(node)
