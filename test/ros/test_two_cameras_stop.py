# SPDX-License-Identifier: Apache-2.0
"""Two cameras on one vehicle: the stop is the OR, and each camera has a status of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Bool

from test.ros.drive import PERIOD_S, empty_road
from test.ros.graph import Graph, image_message, values_of, wait_for
from test.ros.nodes import canned, street

CAMERAS = ('front', 'left')
STOP = 'pedestrian_stop'


class Vehicle:
    """A node with two cameras, which send while they are told to.

    Attributes:
        sending: Names of the cameras that send.
        images: What each of them sees.
    """

    def __init__(self, graph: Graph, engine: Path) -> None:
        topics = {name: f'/{name}/image' for name in CAMERAS}
        self.sending = set(CAMERAS)
        self.images = dict.fromkeys(CAMERAS, empty_road())
        self._stops = graph.collect(Bool, f'/segmentation/{STOP}')
        self._status = {
            'vehicle': graph.collect(DiagnosticStatus, f'/segmentation/{STOP}/status'),
            **{
                name: graph.collect(DiagnosticStatus, f'/segmentation/{name}/{STOP}/status')
                for name in CAMERAS
            },
        }
        graph.node(**canned(engine, camera_names=CAMERAS, image_topics=list(topics.values())))
        self._clock = graph.peer.get_clock()
        self._cameras = {name: graph.publisher(topic=topic) for name, topic in topics.items()}
        self._random = np.random.default_rng(1)
        graph.peer.create_timer(PERIOD_S, self._send)

    def says(self, *, stop: bool, words: str = '', **kinds: str) -> bool:
        """Whether the newest stop, the reason of the vehicle and the kinds are these."""
        if not self._stops or not all(self._status.values()):
            return False
        newest = {name: rows[-1] for name, rows in self._status.items()}
        return (
            self._stops[-1].data is stop
            and newest['vehicle'].message.startswith(words)
            and {name: values_of(row)['kind'] for name, row in newest.items()} == kinds
        )

    def goes(self) -> bool:
        return self.says(stop=False, vehicle='clear', front='clear', left='clear')

    def _send(self) -> None:
        for name in self.sending & set(CAMERAS):
            noise = self._random.integers(-2, 3, self.images[name].shape)
            pixels = np.clip(self.images[name] + noise, 0, 255).astype(np.uint8)
            message = image_message(pixels, self._clock.now().nanoseconds, f'{name}_optical')
            self._cameras[name].publish(message)


@pytest.fixture
def vehicle(graph: Graph, engine: Path) -> Vehicle:
    return Vehicle(graph, engine)


@pytest.mark.parametrize(('silent', 'other'), [CAMERAS, CAMERAS[::-1]])
def test_one_silent_camera_stops_the_vehicle_until_it_sends_again(
    vehicle: Vehicle, silent: str, other: str
) -> None:
    wait_for(vehicle.goes, 'the way is clear for both')

    vehicle.sending = {other}
    wait_for(
        lambda: vehicle.says(
            stop=True,
            words=f'{silent}: the newest frame is ',
            **{'vehicle': 'stale', silent: 'stale', other: 'clear'},
        ),
        f'a stop because of {silent} alone',
    )

    vehicle.sending = set(CAMERAS)
    wait_for(vehicle.goes, 'the way is clear again')


def test_a_person_before_one_camera_stops_the_vehicle_until_it_has_gone(vehicle: Vehicle) -> None:
    wait_for(vehicle.goes, 'the way is clear for both')

    vehicle.images['left'] = street()[0]
    wait_for(
        lambda: vehicle.says(
            stop=True,
            words='left: a person is in the zone',
            vehicle='person',
            left='person',
            front='clear',
        ),
        'a stop because of the person on the left alone',
    )

    vehicle.images['left'] = empty_road()
    wait_for(vehicle.goes, 'the way is clear again')
