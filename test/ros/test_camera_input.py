# SPDX-License-Identifier: Apache-2.0
"""The subscription follows its publisher, and says why nothing arrives."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from seg_ros.messages.conversions import compressed_message
from test.ros.graph import BEST_EFFORT, RELIABLE, Graph, image_message, wait_for
from test.ros.nodes import canned, street

RELIABILITY_OF = {'reliable': RELIABLE, 'best_effort': BEST_EFFORT}


def reliability_asked_for(graph: Graph) -> str:
    """Returns the reliability of the node's subscription as the graph sees it."""
    rows = [
        row
        for row in graph.peer.get_subscriptions_info_by_topic('/image')
        if row.node_name == 'segmentation'
    ]
    return rows[0].qos_profile.reliability.name.lower() if len(rows) == 1 else ''


@pytest.mark.parametrize('offered', ['reliable', 'best_effort'])
@pytest.mark.parametrize('camera_first', [True, False])
def test_the_node_asks_for_reliable_where_the_camera_offers_it(
    graph: Graph, engine: Path, offered: str, camera_first: bool
) -> None:
    def start_camera() -> object:
        return graph.publisher(qos=RELIABILITY_OF[offered])

    camera = start_camera() if camera_first else None
    graph.node(**canned(engine))
    camera = camera or start_camera()
    labels = graph.collect(Image, '/segmentation/label')
    wait_for(lambda: reliability_asked_for(graph) == offered, f'the node asks for {offered}')
    graph.connected(camera)
    camera.publish(image_message(street()[0]))
    wait_for(lambda: labels, 'a label image')


def test_an_input_that_has_ended_does_not_subscribe_again(graph: Graph, engine: Path) -> None:
    """A timer may be at it in another thread while the node is deactivated."""
    node = graph.node(**canned(engine))
    (camera,) = node.inputs
    camera.destroy()
    camera.watch(60.0)
    assert camera._subscription is None
    wait_for(
        lambda: not graph.peer.get_subscriptions_info_by_topic('/image'), 'the subscription ends'
    )


def test_one_best_effort_camera_among_reliable_ones_decides(graph: Graph, engine: Path) -> None:
    graph.publisher(qos=RELIABLE)
    graph.node(**canned(engine))
    wait_for(lambda: reliability_asked_for(graph) == 'reliable', 'reliable first')
    graph.publisher(qos=BEST_EFFORT)
    wait_for(lambda: reliability_asked_for(graph) == 'best_effort', 'best effort for both')


@pytest.mark.parametrize(
    'parameters',
    [
        {'qos_reliability': 'best_effort'},
        {'qos_overrides./image.subscription.reliability': 'best_effort'},
    ],
)
def test_the_users_reliability_wins(
    graph: Graph, engine: Path, parameters: dict[str, str]
) -> None:
    camera = graph.publisher(qos=RELIABLE)
    node = graph.node(**canned(engine, **parameters))
    wait_for(lambda: camera.get_subscription_count() > 0, 'the node subscribes')
    for camera_input in node.inputs:
        camera_input.watch(1.0)
    wait_for(lambda: reliability_asked_for(graph) == 'best_effort', 'best effort')


def test_a_qos_override_sets_the_depth(graph: Graph, engine: Path) -> None:
    node = graph.node(**canned(engine, **{'qos_overrides./image.subscription.depth': 7}))
    assert node.get_parameter('qos_overrides./image.subscription.depth').value == 7
    subscription = next(row for row in node.subscriptions if row.topic_name == '/image')
    assert subscription.qos_profile.depth == 7


def test_a_compressed_camera_is_read_as_it_is(graph: Graph, engine: Path) -> None:
    graph.node(**canned(engine))
    camera = graph.publisher(CompressedImage)
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)
    message = compressed_message(street(8)[0], quality=95)
    message.header = image_message(street()[0]).header
    camera.publish(message)
    wait_for(lambda: labels, 'a label image')
    got = np.frombuffer(labels[0].data, np.uint8).reshape(labels[0].height, -1)
    small = cv2.resize(got, (64, 32), interpolation=cv2.INTER_NEAREST)
    assert (small == street(1)[1]).mean() > 0.97  # JPEG blurs the edges


@pytest.mark.parametrize(
    ('kind', 'qos', 'parameters', 'words'),
    [
        (String, RELIABLE, {}, 'It publishes std_msgs/msg/String, this node reads sensor_msgs'),
        (Image, BEST_EFFORT, {'qos_reliability': 'reliable'}, 'QoS does not fit: peer publishes'),
        (Image, RELIABLE, {}, '_DEFAULT_PROFILES_FILE='),
        (Image, RELIABLE, {'use_sim_time': True}, '/clock stands still'),
        (CompressedImage, RELIABLE, {'image_transport': 'raw'}, 'set image_transport to raw'),
    ],
)
def test_a_silent_camera_is_named_with_its_likely_cause(
    graph: Graph,
    engine: Path,
    capfd: pytest.CaptureFixture[str],
    kind: type,
    qos: QoSProfile,
    parameters: dict[str, object],
    words: str,
) -> None:
    if 'use_sim_time' in parameters:
        graph.publisher(Clock, '/clock')
    graph.node(**canned(engine, silence_warn_s=0.3, **parameters))
    graph.publisher(kind, qos=qos)
    log = ''

    def warned() -> bool:
        nonlocal log
        log += capfd.readouterr().err
        return words in log

    wait_for(warned, f'a warning with: {words}')
    assert 'Camera camera: /image has a publisher, but nothing has arrived' in log


def test_no_publisher_is_no_warning(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    node = graph.node(**canned(engine, silence_warn_s=0.1))
    for _ in range(3):
        for camera_input in node.inputs:
            camera_input.watch(0.0)
    assert 'has a publisher' not in capfd.readouterr().err
