# SPDX-License-Identifier: Apache-2.0
"""Broken messages are counted and named; the next good frame is served as if nothing had been."""

from __future__ import annotations

import array
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CompressedImage, Image

from test.ros.graph import (
    Graph,
    header_of,
    image_message,
    latest_status,
    pixels_of,
    values_of,
    wait_for,
)
from test.ros.nodes import canned, street

WIDTH, HEIGHT = 128, 64


def good(**changes: object) -> Image:
    message = image_message(street()[0])
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def jpeg(cut: int) -> CompressedImage:
    _, data = cv2.imencode('.jpg', street()[0])
    message = CompressedImage(format='jpeg', header=header_of(5))
    message.data = array.array('B', data.tobytes()[:-cut])
    return message


BROKEN: dict[str, tuple[str, Callable[[], Image | CompressedImage]]] = {
    'size 0': ('size_zero', lambda: good(width=0)),
    'data too short': ('data_too_short', lambda: good(data=array.array('B', bytes(100)))),
    'step too small': ('step_too_small', lambda: good(step=WIDTH)),
    'unknown encoding': ('encoding_unknown', lambda: good(encoding='rgb7')),
    'empty encoding': ('encoding_empty', lambda: good(encoding='')),
    'truncated jpeg': ('compressed_broken', lambda: jpeg(cut=200)),
}


@pytest.mark.parametrize('name', BROKEN)
def test_a_broken_frame_is_counted_and_named_and_the_next_one_is_served(
    graph: Graph, engine: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    kind, make = BROKEN[name]
    message = make()
    graph.node(**canned(engine))
    camera = graph.publisher(type(message))
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.connected(camera)

    for count in (1, 2, 3):
        camera.publish(message)
        wait_for(
            lambda n=count: (
                values_of(latest_status(diagnostics)).get(f'frames_broken.{kind}') == str(n)
            ),
            f'broken frame {count} counted as {kind}',
        )
    assert not labels
    assert capfd.readouterr().err.count('frame left out') == 1  # the others are throttled

    whole = good() if isinstance(message, Image) else whole_jpeg()
    camera.publish(whole)
    wait_for(lambda: labels, 'a label image')
    assert labels[0].header == whole.header
    assert labels[0].width == WIDTH


def whole_jpeg() -> CompressedImage:
    _, data = cv2.imencode('.jpg', street()[0])
    message = CompressedImage(format='jpeg', header=header_of(6))
    message.data = array.array('B', data.tobytes())
    return message


def test_stamps_that_go_backwards_are_served_and_counted(graph: Graph, engine: Path) -> None:
    graph.node(**canned(engine))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.connected(camera)
    for count, stamp_ns in enumerate((9_000_000_000, 1_000_000_000, 2_000_000_000), start=1):
        camera.publish(image_message(street()[0], stamp_ns=stamp_ns))
        wait_for(lambda n=count: len(labels) == n, 'a label image')
    assert [row.header.stamp.sec for row in labels] == [9, 1, 2]
    wait_for(
        lambda: values_of(latest_status(diagnostics)).get('backward_stamps') == '1',
        'one jump back',
    )


def test_padded_rows_do_not_skew_the_labels(graph: Graph, engine: Path) -> None:
    image, truth = street()
    graph.node(**canned(engine))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)
    padded = np.full((HEIGHT, WIDTH * 3 + 13), 77, np.uint8)
    padded[:, : WIDTH * 3] = image.reshape(HEIGHT, -1)
    camera.publish(good(step=padded.shape[1], data=array.array('B', padded.tobytes())))
    wait_for(lambda: labels, 'a label image')
    np.testing.assert_array_equal(pixels_of(labels[0]), truth)
    assert labels[0].step == WIDTH


def test_a_camera_may_change_its_size_between_two_frames(graph: Graph, engine: Path) -> None:
    graph.node(**canned(engine))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)
    for count, scale in enumerate((1, 4, 2), start=1):
        image, truth = street(scale)
        camera.publish(image_message(image))
        wait_for(lambda n=count: len(labels) == n, 'a label image')
        np.testing.assert_array_equal(pixels_of(labels[-1]), truth)
