# SPDX-License-Identifier: Apache-2.0
"""The node on a real graph: what comes out, when, and under which header."""

from __future__ import annotations

import contextlib
import gc
import json
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from seg_ros.core.errors import ConfigurationError
from test.ros.graph import (
    BEST_EFFORT,
    LATCHED,
    RELIABLE,
    TIMEOUT_S,
    Graph,
    image_message,
    latest_status,
    pixels_of,
    values_of,
    wait_for,
)
from test.ros.nodes import PEDESTRIAN, canned, street
from test.tiny_onnx import COLOURS


def test_the_label_image_has_the_cameras_size_stamp_and_frame_and_the_right_content(
    graph: Graph, engine: Path
) -> None:
    image, truth = street()
    graph.node(**canned(engine))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)

    camera.publish(image_message(image, stamp_ns=12_000_000_034, frame_id='front_optical'))

    wait_for(lambda: labels, 'a label image')
    message = labels[0]
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (12, 34)
    assert message.header.frame_id == 'front_optical'
    assert (message.encoding, message.step) == ('mono8', message.width)
    np.testing.assert_array_equal(pixels_of(message), truth)


@pytest.mark.parametrize('byte_order', ['<', '>'])
def test_a_slice_of_sixteen_bits_has_the_labels_of_its_upper_eight(
    graph: Graph, engine: Path, byte_order: str
) -> None:
    """As a scanner's or a thermal camera's driver publishes it: raw, one channel, mono16."""
    grey = np.repeat(np.repeat(np.array([[10, 90, 230]], np.uint8), 64, 0), 40, 1)
    lower = np.random.default_rng(1).integers(0, 256, grey.shape)
    deep = (grey.astype(np.uint16) * 256 + lower).astype(f'{byte_order}u2')
    graph.node(**canned(engine))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)

    camera.publish(image_message(grey, stamp_ns=1_000_000_000))
    wait_for(lambda: len(labels) == 1, 'the labels of eight bits')
    message = image_message(deep.view(np.uint8), stamp_ns=2_000_000_000)
    message.encoding, message.width = 'mono16', grey.shape[1]
    message.is_bigendian = byte_order == '>'
    camera.publish(message)
    wait_for(lambda: len(labels) == 2, 'the labels of sixteen bits')

    assert len(np.unique(pixels_of(labels[0]))) == 3
    np.testing.assert_array_equal(pixels_of(labels[1]), pixels_of(labels[0]))


def test_confidence_and_overlays_are_made_when_somebody_subscribes(
    graph: Graph, engine: Path
) -> None:
    image, truth = street()
    graph.node(**canned(engine, overlay_alpha=1.0))
    camera = graph.publisher()
    topics = {
        '/segmentation/confidence': Image,
        '/segmentation/overlay': Image,
        '/segmentation/overlay/compressed': CompressedImage,
    }
    collected = {topic: graph.collect(kind, topic) for topic, kind in topics.items()}
    for topic in topics:
        graph.connected(camera, topic)

    camera.publish(image_message(image))
    wait_for(lambda: all(collected.values()), 'confidence and both overlays')

    confidence, overlay, compressed = (rows[0] for rows in collected.values())
    assert confidence.encoding == 'mono8'
    assert pixels_of(confidence).shape == truth.shape
    assert pixels_of(confidence).min() == 255
    np.testing.assert_array_equal(pixels_of(overlay), image)  # alpha 1: the colours alone
    decoded = cv2.imdecode(np.frombuffer(compressed.data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(int) - image).mean() < 10


def test_nothing_is_computed_while_nobody_subscribes(graph: Graph, engine: Path) -> None:
    node = graph.node(**canned(engine))
    camera = graph.publisher()
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.read(camera)

    camera.publish(image_message(street()[0]))

    wait_for(
        lambda: values_of(latest_status(diagnostics)).get('frames_without_subscriber') == '1',
        'the frame is counted as unwanted',
    )
    assert node.chosen is not None
    assert node.chosen.backend.calls == 0


def test_the_classes_reach_a_late_subscriber(graph: Graph, engine: Path) -> None:
    graph.node(**canned(engine))
    messages = graph.collect(String, '/segmentation/classes', LATCHED)
    wait_for(lambda: messages, 'the latched classes')
    classes = json.loads(messages[0].data)
    assert classes['unlabelled'] == 255
    assert classes['classes'][PEDESTRIAN] == {
        'id': PEDESTRIAN,
        'name': 'pedestrian',
        'colour': COLOURS[PEDESTRIAN],
        'roles': ['pedestrian', 'obstacle'],
    }


def test_diagnostics_tell_backend_reason_counts_and_percentiles_of_every_stage(
    graph: Graph, engine: Path
) -> None:
    graph.node(**canned(engine, backend='onnxruntime'))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.connected(camera)
    now_ns = graph.peer.get_clock().now().nanoseconds
    camera.publish(image_message(street()[0], stamp_ns=now_ns))
    wait_for(lambda: labels, 'a label image')

    status = wait_for(
        lambda: (
            (row := latest_status(diagnostics)).values
            and values_of(row)['frames_published'] == '1'
            and row
        ),
        'diagnostics of the frame',
    )
    values = values_of(status)
    assert values['backend'] == 'onnxruntime'
    assert values['backend_reason'] == 'onnxruntime: asked for by name'
    assert values['engine'] == 'tiny'
    for stage in ('wait', 'decode', 'preprocess', 'infer', 'postprocess', 'publish'):
        assert float(values[f'{stage}_ms.p95']) >= 0.0
    assert float(values['received_to_published_ms.p99']) > 0.0
    assert float(values['stamp_to_published_ms.p50']) > 0.0


def test_the_newest_frame_wins_and_what_it_replaced_is_counted(graph: Graph, engine: Path) -> None:
    node = graph.node(**canned(engine))
    assert node.chosen is not None
    backend: Any = node.chosen.backend
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.connected(camera)
    backend.hang()
    camera.publish(image_message(street()[0], stamp_ns=1))
    wait_for(lambda: backend.calls == 1, 'the first frame is in work')
    for stamp_ns in (2, 3, 4):
        camera.publish(image_message(street()[0], stamp_ns=stamp_ns))
        wait_for(
            lambda n=stamp_ns: (
                values_of(latest_status(diagnostics)).get('frames_received') == str(n)
            ),
            'the frame has arrived',
        )
    backend.recover()
    wait_for(lambda: len(labels) == 2, 'two label images')
    assert [row.header.stamp.nanosec for row in labels] == [1, 4]
    wait_for(
        lambda: values_of(latest_status(diagnostics)).get('frames_dropped') == '2', 'two drops'
    )


def test_frames_that_never_arrive_are_counted(graph: Graph, engine: Path) -> None:
    node = graph.node(**canned(engine))
    camera = graph.publisher()
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.read(camera)
    (camera_input,) = node.inputs
    for number in (7, 8, 12, 13, 2, 3):  # 9 to 11 are lost; then the camera starts again
        camera_input.receive(image_message(street()[0]), {'publication_sequence_number': number})
    wait_for(
        lambda: values_of(latest_status(diagnostics)).get('frames_missed') == '3', 'three missed'
    )


def test_the_publishers_count_comes_with_every_message(graph: Graph, engine: Path) -> None:
    node = graph.node(**canned(engine))
    camera = graph.publisher()
    graph.read(camera)
    (camera_input,) = node.inputs
    for count in (1, 2):
        camera.publish(image_message(street()[0]))
        wait_for(lambda n=count: camera_input.number == n, 'the count of the publisher')


def test_several_cameras_share_one_engine_and_each_has_its_topics(
    graph: Graph, engine: Path
) -> None:
    names = ['front', 'left', 'rear']
    graph.node(
        **canned(engine, camera_names=names, image_topics=[f'/{name}/image' for name in names])
    )
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    for index, name in enumerate(names):
        camera = graph.publisher(topic=f'/{name}/image')
        labels = graph.collect(Image, f'/segmentation/{name}/label')
        graph.connected(camera, f'/segmentation/{name}/label')
        camera.publish(image_message(street(index + 1)[0], frame_id=name))
        wait_for(lambda rows=labels: rows, f'a label image of {name}')
        assert labels[0].header.frame_id == name
        np.testing.assert_array_equal(pixels_of(labels[0]), street(index + 1)[1])
    for name in names:
        wait_for(
            lambda name=name: (
                values_of(latest_status(diagnostics, name)).get('frames_published') == '1'
            ),
            f'diagnostics of {name}',
        )


@pytest.mark.parametrize('backend', ['canned', 'onnxruntime'])
def test_at_another_network_size_the_labels_still_have_the_cameras_size(
    backend: str, graph: Graph, engine: Path
) -> None:
    node = graph.node(**canned(engine, backend=backend, network_size='96x48'))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)
    camera.publish(image_message(street(4)[0]))
    wait_for(lambda: labels, 'a label image')
    assert pixels_of(labels[0]).shape == street(4)[1].shape
    assert node.chosen is not None
    assert node.chosen.backend.engine.network_size_wh == (96, 48)
    if backend == 'canned':
        assert (pixels_of(labels[0]) == street(4)[1]).mean() > 0.95


def test_a_network_size_that_the_network_does_not_have_is_refused(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    node = graph.node(started=False, **canned(engine, backend='onnxruntime', network_size='66x32'))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert "cannot run at 66x32: its 'label' would be 68x32" in capfd.readouterr().err


def test_pixels_below_min_confidence_are_unlabelled_and_the_threshold_is_live(
    graph: Graph, engine: Path
) -> None:
    node = graph.node(**canned(engine))
    assert node.chosen is not None
    backend: Any = node.chosen.backend
    backend.confidence = 127
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)
    for threshold, expected in ((0.4, street()[1]), (0.6, np.full_like(street()[1], 255))):
        assert node.set_parameters([Parameter('min_confidence', value=threshold)])[0].successful
        labels.clear()
        camera.publish(image_message(street()[0]))
        wait_for(lambda: labels, 'a label image')
        np.testing.assert_array_equal(pixels_of(labels[0]), expected)


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('overlay_alpha', 1.7, 'out of range'),
        ('engine', 'other', 'read at configure'),
        ('camera_names', ['a', 'b'], 'read at configure'),
    ],
)
def test_a_wrong_parameter_change_is_refused_with_its_reason(
    graph: Graph, engine: Path, name: str, value: Any, words: str
) -> None:
    node = graph.node(**canned(engine))
    before = node.config
    result = node.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful
    assert words in result.reason
    assert node.config == before


def test_old_names_of_parameters_work_and_are_warned_of(
    graph: Graph, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(RcutilsLogger, 'warning', lambda _self, text: said.append(text))
    file = tmp_path / 'parameters.yaml'
    file.write_text('/**:\n  ros__parameters:\n    stop:\n      vehicle_front_m: 2.5\n')
    old = {'stale_timeout_s': 0.7}
    node = graph.node(
        started=False,
        cli_args=['--ros-args', '--params-file', str(file)],
        **canned(engine, **old),
    )
    assert (node.config.vehicle.front_m, node.config.diagnostics_stale_s) == (2.5, 0.7)
    assert node.get_parameter('vehicle.front_m').value == 2.5
    assert not node.has_parameter('stop.vehicle_front_m')
    warnings = ' '.join(said)
    assert 'stop.vehicle_front_m is called vehicle.front_m now' in warnings
    assert 'stale_timeout_s is called diagnostics_stale_s now' in warnings


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'stop.vehicle_front_m': 2.0, 'vehicle.front_m': 2.0}, 'are the same parameter'),
        ({'stop.vehicle_front_m': 'far'}, 'Parameter stop.vehicle_front_m: '),
        ({'stop.vehicle_front_m': 21.0}, 'Parameter vehicle.front_m: '),
    ],
)
def test_an_old_name_beside_the_new_one_or_with_a_wrong_value_is_refused(
    graph: Graph, engine: Path, parameters: dict[str, Any], words: str
) -> None:
    gc.disable()  # a node that is refused does not wait for it
    try:
        with pytest.raises(ConfigurationError, match=words):
            graph.node(started=False, **canned(engine, **parameters))
        time.sleep(0.2)  # as long as a node that is there takes to be seen
        wait_for(lambda: graph.peer.get_node_names() == ['peer'], 'no node is left')
    finally:
        gc.enable()


def test_a_new_engine_may_be_set_after_cleanup(graph: Graph, engine: Path) -> None:
    node = graph.node(started=False, **canned(engine))
    assert node.set_parameters([Parameter('engine', value='missing')])[0].successful
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert node.set_parameters([Parameter('engine', value=str(engine))])[0].successful
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS


def test_a_manager_starts_and_stops_the_node_through_the_lifecycle_services(
    graph: Graph, engine: Path
) -> None:
    graph.node(started=False, **canned(engine))
    change = graph.peer.create_client(ChangeState, '/segmentation/change_state')
    state = graph.peer.create_client(GetState, '/segmentation/get_state')

    def call(client: Any, request: Any) -> Any:
        assert client.wait_for_service(TIMEOUT_S)
        future = client.call_async(request)
        wait_for(future.done, 'the service answers')
        return future.result()

    def answers() -> bool:
        # A service may be seen before it sees its client; the answer is lost then.
        future = state.call_async(GetState.Request())
        with contextlib.suppress(AssertionError):
            wait_for(future.done, 'an answer', timeout_s=1.0)
        return bool(future.done())

    assert state.wait_for_service(TIMEOUT_S)
    wait_for(answers, 'the service answers')
    # A transition that the state does not have is refused; Jazzy's rclpy never answers it.
    change.call_async(
        ChangeState.Request(transition=Transition(id=Transition.TRANSITION_ACTIVATE))
    )
    assert call(state, GetState.Request()).current_state.label == 'unconfigured'
    for transition, reached in (
        (Transition.TRANSITION_CONFIGURE, 'inactive'),
        (Transition.TRANSITION_ACTIVATE, 'active'),
        (Transition.TRANSITION_DEACTIVATE, 'inactive'),
        (Transition.TRANSITION_CLEANUP, 'unconfigured'),
    ):
        request = ChangeState.Request(transition=Transition(id=transition))
        assert call(change, request).success
        assert call(state, GetState.Request()).current_state.label == reached


def test_an_inactive_node_reads_no_camera_and_goes_on_when_it_is_active_again(
    graph: Graph, engine: Path
) -> None:
    node = graph.node(**canned(engine))
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)
    node.trigger_deactivate()
    wait_for(lambda: camera.get_subscription_count() == 0, 'the subscription ends')
    node.trigger_activate()
    graph.connected(camera)
    camera.publish(image_message(street()[0]))
    wait_for(lambda: labels, 'a label image')


def test_a_destroyed_node_is_off_the_graph_at_once(graph: Graph, engine: Path) -> None:
    node = graph.node(**canned(engine))
    name = node.get_name()
    wait_for(lambda: name in graph.peer.get_node_names(), 'the peer sees the node')
    gc.disable()  # rclpy alone would leave the lifecycle services until the next collection
    try:
        graph.destroy(node)
        wait_for(lambda: name not in graph.peer.get_node_names(), 'the node is gone')
    finally:
        gc.enable()


def test_twenty_rounds_through_the_lifecycle_leave_nothing_behind(
    graph: Graph, engine: Path
) -> None:
    node = graph.node(started=False, **canned(engine, backend='onnxruntime'))

    def inventory() -> tuple[int, ...]:
        return (
            len(list(node.publishers)),
            len(list(node.subscriptions)),
            len(list(node.timers)),
            sum(thread.name == 'segmentation' for thread in threading.enumerate()),
        )

    counts = []
    for _ in range(20):
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        counts.append(inventory())
    assert set(counts) == {counts[0]}


def test_a_missing_engine_is_refused_in_one_sentence(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    node = graph.node(started=False, engine='nowhere', backend='canned')
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    wait_for(lambda: 'on_configure refused' in capfd.readouterr().err, 'the reason in the log')
    assert node.chosen is None


def test_an_unforeseen_error_in_a_transition_is_logged_with_its_traceback(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError('on purpose')

    monkeypatch.setattr('seg_ros.ros.segmentation_node.create_backend', broken)
    node = graph.node(started=False, **canned(engine))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    log = capfd.readouterr().err
    assert 'ZeroDivisionError: on purpose' in log
    assert 'segmentation_node.py' in log


def test_a_failing_network_is_an_error_in_the_diagnostics_until_it_works_again(
    graph: Graph, engine: Path
) -> None:
    node = graph.node(**canned(engine))
    assert node.chosen is not None
    backend: Any = node.chosen.backend
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    graph.connected(camera)
    backend.fail('the lens cap of the test')
    camera.publish(image_message(street()[0]))
    status = wait_for(
        lambda: (row := latest_status(diagnostics)).level == DiagnosticStatus.ERROR and row,
        'an error',
    )
    assert 'the lens cap of the test' in status.message
    assert not labels
    backend.recover()
    now_ns = graph.peer.get_clock().now().nanoseconds
    camera.publish(image_message(street()[0], stamp_ns=now_ns))
    wait_for(lambda: labels, 'a label image')
    wait_for(
        lambda: latest_status(diagnostics).level != DiagnosticStatus.ERROR, 'the error is over'
    )


def test_a_hanging_network_does_not_hang_deactivation(
    graph: Graph,
    engine: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('seg_ros.ros.worker.STOP_TIMEOUT_S', 0.2)
    node = graph.node(**canned(engine))
    assert node.chosen is not None
    backend: Any = node.chosen.backend
    camera = graph.publisher()
    labels = graph.collect(Image, '/segmentation/label')
    graph.connected(camera)
    backend.hang()
    camera.publish(image_message(street()[0]))
    wait_for(lambda: backend.calls == 1, 'the frame is in work')
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert 'Inference hangs' in capfd.readouterr().err
    backend.recover()
    assert not labels


def test_with_sim_time_the_diagnostics_are_stamped_by_the_clock_topic(
    graph: Graph, engine: Path
) -> None:
    graph.node(**canned(engine, use_sim_time=True))
    clock = graph.publisher(Clock, '/clock')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    tick = Clock()
    tick.clock.sec = 777

    def stamped() -> bool:
        clock.publish(tick)
        return bool(diagnostics) and diagnostics[-1].header.stamp.sec == 777

    wait_for(stamped, 'diagnostics at the time of the clock topic')


def test_best_effort_and_reliable_readers_both_get_the_labels(graph: Graph, engine: Path) -> None:
    graph.node(**canned(engine))
    camera = graph.publisher()
    readers = [graph.collect(Image, '/segmentation/label', q) for q in (BEST_EFFORT, RELIABLE)]
    graph.connected(camera)
    wait_for(lambda: graph.nodes[0].count_subscribers('/segmentation/label') == 2, 'both readers')
    camera.publish(image_message(street()[0]))
    wait_for(lambda: all(readers), 'both have a label image')
