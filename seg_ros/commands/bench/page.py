# SPDX-License-Identifier: Apache-2.0
"""What ``seg_ros view`` costs: its processor time with one viewer, and with none."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, final

import cv2
import numpy as np

from seg_ros.commands.bench.stage import Stage
from seg_ros.core.errors import SegRosError
from seg_ros.inference.engine import load_engine

__all__ = ['measure_view', 'view_figures']

ENGINE = 'roadseg-s'  # keeps up with the page on a small machine
PICTURES_PER_S = 5.0  # what the page shows unless told otherwise
READY_S = 60.0  # until node and page have come up on a loaded machine
SETTLE_S = 2.0  # what is imported and discovered once is done by then


def measure_view(seconds: float) -> dict[str, Any]:
    """Measures the process of the page while somebody looks, and while nobody does.

    The node runs a real network on the synthetic road, with a mounting, so that the page has
    everything to show: overlay, zone, people, lane and the ground from above.

    Args:
        seconds: Of each.

    Raises:
        SegRosError: The page never had everything to show.
    """
    with Stage() as stage:
        stage.drive(load_engine(ENGINE).folder)
        port = _free_port()
        page = stage.view(port, PICTURES_PER_S)
        with closing(_Viewer(port)) as viewer:
            viewer.look(SETTLE_S)
            before_s, seen = page.processor_s(), viewer.pictures
            viewer.look(seconds)
            processor_s, pictures = page.processor_s() - before_s, viewer.pictures - seen
            size_wh = viewer.size_wh()
        time.sleep(SETTLE_S)
        before_s = page.processor_s()
        time.sleep(seconds)
        idle_s = page.processor_s() - before_s
    return {
        'view': {
            'seconds': seconds,
            'processor_s': processor_s,
            'pictures': pictures,
            'picture_wh': size_wh,
            'idle_processor_s': idle_s,
        }
    }


def view_figures(raw: Mapping[str, Any]) -> dict[str, float]:
    """Returns the shares of a core; {} where the page was not measured.

    A machine that shows fewer than five pictures a second is not let off for it.
    """
    if 'view' not in raw:
        return {}
    view = raw['view']
    return {
        'view_of_a_core': view['processor_s'] / max(view['pictures'], 1) * PICTURES_PER_S,
        'view_unwatched_of_a_core': view['idle_processor_s'] / view['seconds'],
    }


@final
class _Viewer:
    """Looks as a browser does: a stream of events, and each new picture.

    Args:
        port: Of the page, on this machine.

    Attributes:
        pictures: How many have been seen.
    """

    def __init__(self, port: int) -> None:
        deadline_s = time.monotonic() + READY_S
        while not _is_served(port):
            if time.monotonic() > deadline_s:
                raise SegRosError(f'seg_ros view serves nothing on port {port}.')
            time.sleep(0.1)
        self._events = http.client.HTTPConnection('127.0.0.1', port, timeout=READY_S)
        self._events.request('GET', '/events')
        self._stream = self._events.getresponse()
        self._pictures = http.client.HTTPConnection('127.0.0.1', port, timeout=READY_S)
        self._number = 0
        self._picture = b''
        self.pictures = 0
        while not self._see():
            if time.monotonic() > deadline_s:
                raise SegRosError('seg_ros view shows no picture with its ground from above.')

    def look(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self._see()

    def size_wh(self) -> tuple[int, int]:
        """Returns the size of the last picture."""
        pixels = cv2.imdecode(np.frombuffer(self._picture, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        height, width = pixels.shape[:2]
        return width, height

    def close(self) -> None:
        self._stream.close()
        self._events.close()
        self._pictures.close()

    def _see(self) -> bool:
        """Reads a line and fetches a picture if it tells of one; whether all was there to see."""
        line = self._stream.readline()
        if not line.startswith(b'data: '):
            return False
        scene = json.loads(line[6:])
        number = scene['picture_number']
        if number != self._number:
            self._number = number
            self._pictures.request('GET', '/picture')
            self._picture = self._pictures.getresponse().read()
            self.pictures += 1
        return bool(number and scene['ground']['known'])


def _is_served(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
        return port
