# SPDX-License-Identifier: Apache-2.0
"""``seg_ros view``: what the node says, live, as a page in a browser.

A process and a ROS node of its own, so that whoever looks never costs the robot's node a frame.
While nobody looks it subscribes to nothing.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, final

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from seg_ros.commands.shared.stop_request import StopRequest
from seg_ros.commands.view.audience import Audience, LiveView
from seg_ros.commands.view.changes import apply_parameters, check_confirmed
from seg_ros.commands.view.drawings import (
    drawings_from_json,
    live_parameters,
    parameters_of,
    params_file,
)
from seg_ros.commands.view.guard import Guard, is_loopback
from seg_ros.commands.view.scene import Heard, scene_of
from seg_ros.commands.view.server import ViewServer
from seg_ros.commands.view.watched_node import WatchedNode, nodes_on
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import options_of
from seg_ros.ros.middleware import prepare_process

if TYPE_CHECKING:
    from seg_ros.commands.view.foxglove import FoxgloveServer

__all__ = ['add_arguments', 'main']

DEFAULT_PORT = 8642
FOXGLOVE_PORT = 8765  # what Foxglove proposes
IDLE_S = 0.25  # how soon a signal is noticed while nobody looks
GRAPH_PERIOD_S = 1.0  # between two looks at who is there
MOST_ROUNDS = 20  # of the executor in one look, so that nobody who talks fast holds it up
PARAMS_FILE = 'zones.yaml'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--node', default='', metavar='NAME', help='which segmentation node (default: the first)'
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to serve on (127.0.0.1: this machine alone)'
    )
    parser.add_argument(
        '--port', type=int, default=DEFAULT_PORT, help=f'({DEFAULT_PORT}); 0 takes a free one'
    )
    parser.add_argument(
        '--rate', type=float, default=5.0, metavar='HZ', help='pictures a second (5)'
    )
    parser.add_argument(
        '--foxglove', type=int, nargs='?', const=FOXGLOVE_PORT, metavar='PORT',
        help=f'serve the topics to Foxglove, too ({FOXGLOVE_PORT}; 0 takes a free port)',
    )  # fmt: skip
    parser.add_argument(
        '--allow-set', action='store_true', help='let the page change parameters of the node'
    )
    parser.add_argument(
        '--ros-args', nargs=argparse.REMAINDER, default=[], help='what follows goes to ROS'
    )


def main(arguments: argparse.Namespace) -> int:
    """Serves the page until a signal comes."""
    if not 0.2 <= arguments.rate <= 30.0:
        raise ConfigurationError(f'--rate {arguments.rate:g}: give 0.2 to 30 pictures a second.')
    stop = StopRequest()
    prepare_process()
    rclpy.init(
        args=['--ros-args', *arguments.ros_args], signal_handler_options=SignalHandlerOptions.NO
    )
    try:
        node = rclpy.create_node('view', start_parameter_services=False, enable_rosout=False)
        viewer = Viewer(node, arguments.node, arguments.rate, allow_set=arguments.allow_set)
        guard = Guard.of(arguments.host, may_set=arguments.allow_set)
        with ExitStack() as open_things:
            open_things.enter_context(closing(viewer))
            server = open_things.enter_context(_server(arguments, viewer, guard))
            foxglove = None
            if arguments.foxglove is not None:
                foxglove = _foxglove(arguments)
                open_things.enter_context(closing(foxglove))
            threading.Thread(target=server.serve_forever, name='server', daemon=True).start()
            _greet(arguments, server, guard)
            if foxglove is not None:
                print(
                    f'Foxglove: open a connection to {foxglove.address}, and import the layout '
                    'config/foxglove/segmentation.json',
                    flush=True,
                )
            while not stop.requested:
                viewer.step()
            server.shutdown()
    finally:
        rclpy.try_shutdown()
    return 0


@final
class Viewer:
    """Listens to the graph for those who look; all but ``audience`` is of one thread.

    Args:
        node: On the graph.
        wanted: Name of the node that is to be watched; empty for the first one.
        rate_hz: Views a second.
        allow_set: Whether parameters may be changed.

    Attributes:
        audience: Who looks, and at what.
    """

    def __init__(self, node: Node, wanted: str, rate_hz: float, *, allow_set: bool) -> None:
        self.audience = Audience()
        self._node = node
        self._wanted = full_name(wanted)
        self._period_s = 1.0 / rate_hz
        self._allow_set = allow_set
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._watched: dict[str, WatchedNode] = {}
        self._nodes: list[str] = []
        self._looked_s = -GRAPH_PERIOD_S
        self._due_s = time.monotonic()

    def step(self) -> None:
        """Waits until somebody wants something, and gives it."""
        self.audience.await_somebody(IDLE_S)
        for request in self.audience.requests():
            request.run()
        cameras = self.audience.cameras()
        for camera in [row for row in self._watched if row not in cameras]:
            self._watched.pop(camera).destroy()
            self.audience.forget(camera)
        if not cameras:
            return
        self._spin_until(self._due_s)
        self._due_s = max(self._due_s + self._period_s, time.monotonic())
        self._show(cameras)

    def close(self) -> None:
        for watched in self._watched.values():
            watched.destroy()
        self._executor.shutdown()
        self._node.destroy_node()

    # What a page may ask for; called by the threads of the server

    def parameters(self, _query: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what may change at any time."""
        config = self._config()
        rows = live_parameters(config, {name: rule for name, _, rule in options_of(NodeConfig)})
        return {'may_set': self._allow_set, 'parameters': rows}

    def params_file(self, body: Mapping[str, Any]) -> dict[str, str]:
        """Returns the params file of what was drawn."""
        values = parameters_of(drawings_from_json(body.get('drawings', ())), self._config())
        return {'name': PARAMS_FILE, 'text': params_file(values, PARAMS_FILE)}

    def apply(self, body: Mapping[str, Any]) -> dict[str, str]:
        """Changes parameters, or what was drawn; returns what was done."""
        return {'done': self.audience.ask(lambda: self._apply(body))}

    def _apply(self, body: Mapping[str, Any]) -> str:
        watched = self._one_watched()
        config = self._config()
        values = dict(body.get('parameters') or {})
        if not values:
            values = parameters_of(drawings_from_json(body.get('drawings', ())), config)
        check_confirmed(
            values,
            watched.speed_mps(time.monotonic()),
            is_confirmed=body.get('confirmed') is True,
        )
        try:
            return apply_parameters(self._node, watched.name, config, values, self._serve)
        finally:
            for row in self._watched.values():
                row.forget_parameters()

    def _config(self) -> NodeConfig:
        config = self._one_watched().config
        if config is None:
            raise SegRosError('The node has not told its parameters yet. Try again in a moment.')
        return config

    def _one_watched(self) -> WatchedNode:
        for watched in list(self._watched.values()):
            return watched
        raise SegRosError('No segmentation node is watched. Open the page, and start the node.')

    # Of the graph's thread

    def _serve(self) -> None:
        """Goes on while a change is being made."""
        cameras = self.audience.cameras()
        self._spin_until(time.monotonic() + self._period_s)
        self._show(cameras)

    def _spin_until(self, due_s: float) -> None:
        """Sleeps, and takes what has come meanwhile: the newest message of every topic."""
        time.sleep(max(0.0, due_s - time.monotonic()))
        for _ in range(MOST_ROUNDS):
            before = self._taken()
            self._executor.spin_once(timeout_sec=0.0)
            if self._taken() == before:
                # What woke it may have been an answer or the graph: one look more is enough
                self._executor.spin_once(timeout_sec=0.0)
                break

    def _taken(self) -> int:
        return sum(row.taken for row in self._watched.values())

    def _show(self, cameras: list[str]) -> None:
        self._look_at_graph(cameras)
        for camera in cameras:
            watched = self._watched.get(camera)
            if watched is None:
                self.audience.show(camera, self._nobody())
            else:
                view = watched.view()
                view.scene['nodes'] = self._nodes
                view.scene['may_set'] = self._allow_set
                self.audience.show(camera, view)

    def _look_at_graph(self, cameras: list[str]) -> None:
        now_s = time.monotonic()
        is_new = any(camera not in self._watched for camera in cameras)
        if now_s - self._looked_s < GRAPH_PERIOD_S and not (is_new and self._nodes):
            return
        self._looked_s = now_s
        self._nodes = nodes_on(self._node)
        name = self._wanted or next(iter(self._nodes), '')
        for camera in cameras:
            if camera not in self._watched and name in self._nodes:
                self._watched[camera] = WatchedNode(
                    self._node, name, camera, with_motion=self._allow_set
                )
        for watched in self._watched.values():
            watched.refresh()

    def _nobody(self) -> LiveView:
        """What is shown while there is no node: a vehicle that hears nothing stops."""
        scene = scene_of(Heard(), None, None, time.monotonic())
        whom = f'no node {self._wanted}' if self._wanted else 'no segmentation node'
        scene['stop']['reason'] = (
            f'there is {whom} on this graph: whoever drives must take that as a stop'
        )
        return LiveView(scene={**scene, 'node': '', 'nodes': self._nodes, 'cameras': []})


def _server(arguments: argparse.Namespace, viewer: Viewer, guard: Guard) -> ViewServer:
    address = arguments.host, arguments.port
    try:
        return ViewServer(
            address,
            viewer.audience,
            guard,
            asked={'/params-file': viewer.params_file, '/apply': viewer.apply},
            told={'/parameters': viewer.parameters},
            setting=frozenset({'/apply'}),
        )
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f'--host {address[0]} --port {address[1]}: cannot be served on ({error}). Take '
            'another port; 0 takes a free one.'
        ) from error


def _foxglove(arguments: argparse.Namespace) -> FoxgloveServer:
    from seg_ros.commands.view.foxglove import FoxgloveServer  # rosbags is not on every robot

    return FoxgloveServer(full_name(arguments.node), arguments.host, arguments.foxglove)


def full_name(wanted: str) -> str:
    """Returns the name of a node as the graph has it; empty where none is asked for."""
    return '/' + wanted.strip('/') if wanted else ''


def _greet(arguments: argparse.Namespace, server: ViewServer, guard: Guard) -> None:
    host = arguments.host if arguments.host not in ('0.0.0.0', '::') else guard.names[2]  # noqa: S104
    shown = f'[{host}]' if ':' in host else host
    secret = f'#token={guard.token}' if guard.token else ''
    print(f'Look at http://{shown}:{server.server_port}/{secret}', flush=True)
    if not is_loopback(arguments.host):
        print(
            'Everybody who reaches this machine sees the camera. Take --host 127.0.0.1 and ssh -L '
            f'{server.server_port}:127.0.0.1:{server.server_port} where that must not be.',
            file=sys.stderr,
        )
