# SPDX-License-Identifier: Apache-2.0
"""``seg_ros play``: a recording on the ROS graph as it was, with its clock."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Collection
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool

from seg_ros.commands.play.keys import Keys
from seg_ros.commands.play.player import Player
from seg_ros.commands.shared.numbers import positive_or_zero
from seg_ros.commands.shared.patience import Patience
from seg_ros.commands.shared.progress import Progress
from seg_ros.commands.shared.stop_request import StopRequest
from seg_ros.commands.shared.subscriber_wait import wait_for_subscribers
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.recording import RecordedSpan, RecordedTopic
from seg_ros.ros.middleware import prepare_process
from seg_ros.ros.starting import start_ros

__all__ = ['add_arguments', 'main']

LOOK_S = 0.05  # how soon keys and signals are noticed
JUMP_S = 5.0
SHOW_S = 0.25  # between changes of the line that says where it is
SWITCH_INTERVAL_S = 0.0005  # or the thread that reads would hold a due message up for 5 ms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('bag', type=Path, metavar='BAG', help='rosbag2 folder, .mcap or .db3')
    parser.add_argument('--rate', type=float, default=1.0, help='how fast (1)')
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument(
        '--start', type=positive_or_zero, default=0.0, metavar='S', help='begin S seconds into it'
    )
    parser.add_argument(
        '--duration', type=float, default=math.inf, metavar='S', help='play S seconds of it'
    )
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC', help='play these only')
    parser.add_argument(
        '--clock',
        type=positive_or_zero,
        default=100.0,
        metavar='HZ',
        help='rate of /clock (100); 0: none',
    )
    parser.add_argument(
        '--paused', action='store_true', help='begin with a pause; the service ~/pause ends it'
    )
    parser.add_argument(
        '--wait-for-subscriber',
        nargs='+',
        default=[],
        metavar='TOPIC',
        help='send nothing before each TOPIC has a subscriber',
    )
    parser.add_argument(
        '--wait-timeout',
        type=positive_or_zero,
        default=60.0,
        metavar='S',
        help='give up waiting (60)',
    )
    parser.add_argument(
        '--ros-args', nargs=argparse.REMAINDER, default=[], help='what follows goes to ROS'
    )


def main(arguments: argparse.Namespace) -> int:
    """Plays until the end, or until a signal comes."""
    for name in ('rate', 'duration'):
        if not getattr(arguments, name) > 0.0:
            raise ConfigurationError(f'--{name} {getattr(arguments, name):g}: give more than 0.')
    with Patience(sys.stderr) as patience:
        patience.show(f'Opening {arguments.bag}')
        bag, topics = _opened(arguments.bag, arguments.topics)
    span_ns = _span_ns(bag, arguments.start, arguments.duration)
    stop = StopRequest()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    prepare_process()
    start_ros(['--ros-args', *arguments.ros_args], signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node('player', start_parameter_services=False)
        options = {name: getattr(arguments, name) for name in ('rate', 'loop', 'paused')}
        with Player(node, bag, topics, span_ns, clock_hz=arguments.clock, **options) as player:
            for topic, why in player.skipped.items():
                print(f'{topic} is not played. {why}', file=sys.stderr)
            _check_waited_for(player, arguments)
            awaited = arguments.wait_for_subscriber
            with Patience(sys.stderr) as patience:
                if awaited:
                    patience.show(f'Waiting for who reads {", ".join(awaited)}')
                wait_for_subscribers(
                    lambda: player.without_subscriber(awaited), arguments.wait_timeout, stop
                )
            with Keys() as keys, Progress(sys.stdout) as progress:
                _greet(bag, len(topics), keys)
                length_s = (bag.end_ns - bag.begin_ns) / NS_PER_S
                line = Position(player, arguments.rate, length_s, progress)
                said = _play(node, player, keys, stop, line)
            print(said, flush=True)
            player.finish()
        for sentence in bag.trouble:
            print(sentence, file=sys.stderr)
    finally:
        rclpy.try_shutdown()
    return 0


def _opened(path: Path, names: Collection[str]) -> tuple[BagRecording, dict[str, RecordedTopic]]:
    """Returns the bag and those of its topics that are wanted; no names want all."""
    bag = BagRecording(path)
    if bag.is_ros1:
        msg = (
            f'{path} is a ROS 1 bag, whose messages ROS 2 cannot read. Convert it: '
            f'rosbags-convert --src {path} --dst {path.with_suffix("")}'
        )
        raise ConfigurationError(msg)
    if unknown := sorted(set(names) - set(bag.topics)):
        msg = f'--topics {unknown[0]}: {path} has {", ".join(sorted(bag.topics))}. Name these.'
        raise ConfigurationError(msg)
    return bag, {name: row for name, row in bag.topics.items() if not names or name in names}


def _span_ns(bag: BagRecording, start_s: float, duration_s: float) -> tuple[int, int]:
    length_s = (bag.end_ns - bag.begin_ns) / NS_PER_S
    if not 0.0 <= start_s < length_s:
        msg = f'--start {start_s:g}: {bag.path} has {length_s:.1f} s. Begin within these.'
        raise ConfigurationError(msg)
    span = RecordedSpan(start_s, None if math.isinf(duration_s) else duration_s)
    return span.limits_ns(bag.begin_ns, bag.end_ns)


def _check_waited_for(player: Player, arguments: argparse.Namespace) -> None:
    if unknown := sorted(set(arguments.wait_for_subscriber) - set(player.topics)):
        msg = (
            f'--wait-for-subscriber {unknown[0]}: it is not played. Name one of '
            f'{", ".join(player.topics)}.'
        )
        raise ConfigurationError(msg)


def _greet(bag: BagRecording, count: int, keys: Keys) -> None:
    how = 'ros2 service call /player/pause std_srvs/srv/SetBool "{data: true}" pauses'
    if keys.there:
        how = f'space pauses, the arrows jump by {JUMP_S:g} s, Ctrl-C ends it'
    length_s = (bag.end_ns - bag.begin_ns) / NS_PER_S
    print(f'Playing {bag.path}: {count} topics, {length_s:.1f} s; {how}.', flush=True)


class Position:
    """Shows where in the recording it is, and how fast that goes.

    Args:
        player: Is asked.
        rate: That is wanted.
        length_s: Of the recording.
        progress: Takes the line.
    """

    def __init__(self, player: Player, rate: float, length_s: float, progress: Progress) -> None:
        self._player, self._rate, self._length_s = player, rate, length_s
        self._progress = progress
        self._shown_s, self._shown_at_s, self._published = time.monotonic(), player.at_s, 0

    def say(self, text: str) -> None:
        """Writes a line that stays."""
        self._progress.say(text)

    def show(self) -> None:
        """Shows it, at times."""
        now_s, player = time.monotonic(), self._player
        passed_s = now_s - self._shown_s
        if passed_s < SHOW_S:
            return
        ratio = (player.at_s - self._shown_at_s) / passed_s
        rate_hz = (player.published - self._published) / passed_s
        how = 'paused' if player.paused else f'x{ratio:.2f} of x{self._rate:g}'
        self._progress.show(
            f'{player.at_s:7.1f} of {self._length_s:.1f} s    {how}    {rate_hz:.0f} messages a '
            'second'
        )
        self._shown_s, self._shown_at_s, self._published = now_s, player.at_s, player.published


def _play(node: Node, player: Player, keys: Keys, stop: StopRequest, line: Position) -> str:
    """Publishes and serves until the end; returns what came of it, in a sentence."""
    node.create_service(
        SetBool, '~/pause', lambda request, answer: _answer(player, request, answer, line)
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    begun_s = time.monotonic()
    player.begin()
    while not stop.requested and (wait_s := player.step()) is not None:
        executor.spin_once(timeout_sec=min(wait_s, LOOK_S))
        _obey(player, keys.pressed(), line)
        line.show()
    sentence = f'Published {player.published} messages in {time.monotonic() - begun_s:.1f} s'
    if player.late:
        return f'{sentence}; {player.late} came late, this machine is too slow for it.'
    return f'{sentence}.'


def _answer(
    player: Player, request: SetBool.Request, answer: SetBool.Response, line: Position
) -> object:
    _pause(player, request.data, line)
    answer.success = True
    answer.message = f'{"Paused" if player.paused else "Playing"} at {player.at_s:.2f} s'
    return answer


def _obey(player: Player, key: str, line: Position) -> None:
    if key == 'space':
        _pause(player, not player.paused, line)
    elif key:
        player.jump(JUMP_S if key == 'right' else -JUMP_S)
        line.say(f'Jumped to {player.at_s:.2f} s.')


def _pause(player: Player, paused: bool, line: Position) -> None:
    player.pause(paused)
    line.say(f'{"Paused at" if paused else "Goes on from"} {player.at_s:.2f} s.')
