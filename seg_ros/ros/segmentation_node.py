# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: camera topics in, label images and diagnostics out.

The executor's thread only stores the newest frame of each camera; the worker's thread runs the
network and publishes, so that a slow network never blocks the graph.
"""

from __future__ import annotations

import functools
import gc
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import cv2
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.timer import Timer
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from seg_ros.core.errors import ConfigurationError, DeviceLost, SegRosError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.text import parameters_help
from seg_ros.core.stop.decision import Fault, StopDecision, StopKind
from seg_ros.core.stop.vehicle_stop import VehicleDecision, VehicleStop
from seg_ros.core.stop.zones import Motion
from seg_ros.core.units import NS_PER_MS, NS_PER_S
from seg_ros.decisions import CameraDecisions
from seg_ros.inference.engine import engine_search_path, load_engine
from seg_ros.inference.registry import ChosenBackend, PlanOptions, TuneOptions, create_backend
from seg_ros.inference.switchable_backend import BackendStatus, backend_status, is_measuring
from seg_ros.inference.tensorrt.plan_build import possible_batch
from seg_ros.messages.outputs import decision_outputs
from seg_ros.perception import Perception
from seg_ros.ros.camera_input import CameraInput
from seg_ros.ros.device_lost import EXIT_DEVICE_LOST
from seg_ros.ros.diagnostics import CameraStatistics, camera_status
from seg_ros.ros.middleware import prepare_process
from seg_ros.ros.outputs import CameraOutputs, DecisionOutputs
from seg_ros.ros.parameters import (
    changed_config,
    declare_parameters,
    given_overrides,
    read_config,
)
from seg_ros.ros.scheduling import put_on_cores
from seg_ros.ros.silence import SpeedWatch, wrong_stamps
from seg_ros.ros.spinning import ended_by_signal, spin_while
from seg_ros.ros.starting import start_ros
from seg_ros.ros.steady_clock import steady_ns
from seg_ros.ros.stop_heartbeat import ClockWatch, StopHeartbeat
from seg_ros.ros.stream_watch import StreamWatch
from seg_ros.ros.vehicle_geometry import (
    CameraGeometry,
    OdometryInput,
    lane_placing,
    node_mounting,
    node_transforms,
)
from seg_ros.ros.worker import CameraPort, FrameWorker

__all__ = ['SegmentationNode', 'main']

NODE_NAME = 'segmentation'
WATCH_PERIOD_S = 0.25  # how soon the node follows a publisher's QoS and type
LAST_WORDS_S = 0.25  # some heartbeats that say why, before there is none
# Stops for which it may be known why no frame came, or not in time
UNTIMELY = (StopKind.NO_FRAME, StopKind.STALE, StopKind.UNPROVEN, StopKind.FUTURE_STAMP)
SWITCH_INTERVAL_S = 0.0005  # a due heartbeat or image waits this long for another thread, not 5 ms

NodeT = TypeVar('NodeT', bound='SegmentationNode')
Transition = Callable[[NodeT, LifecycleState], TransitionCallbackReturn]


def reported(transition: Transition[NodeT]) -> Transition[NodeT]:
    """Logs what a transition raises and releases what it has built; rclpy does neither.

    rclpy swallows exceptions of transitions (ros2/rclpy#1673).
    """

    @functools.wraps(transition)
    def wrapper(self: NodeT, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(self, state)
        except SegRosError as error:
            reason = f'{transition.__name__} refused: {error}'
            self.get_logger().error(reason)
            if isinstance(error, DeviceLost):
                self.lose(str(error))
        except Exception as error:
            reason = f'{transition.__name__} failed: {error}'
            if self.context.ok():  # else the process was told to end meanwhile
                self.get_logger().error(f'{reason}\n{traceback.format_exc()}')
        self.stop_working()
        self._become_idle(f'{StopKind.INACTIVE.meaning}: {reason}')
        if transition.__name__ == 'on_configure':
            self.release()
        return TransitionCallbackReturn.FAILURE

    return wrapper


class SegmentationNode(LifecycleNode):
    """Segments the images of one or several cameras with one engine.

    Attributes:
        owns_process: Whether nothing else runs in the process.
        lost: Why only a new process can go on, and this one should end; empty while it can.

    Raises:
        ConfigurationError: A parameter given at start cannot be declared, or the process of the
            heartbeat cannot be started.
    """

    owns_process = False  # then the garbage collector is the node's to settle
    lost = ''
    _heartbeat: StopHeartbeat | None = None  # until the node is whole

    def __init__(self, **node_arguments: object) -> None:
        super().__init__(NODE_NAME, **node_arguments)
        try:
            declare_parameters(self)
            self.config = read_config(self, NodeConfig())
        except ConfigurationError:
            self.destroy_node()  # else it stays on the graph until Python collects it
            raise
        self.chosen: ChosenBackend | None = None
        self._perception: Perception | None = None
        self._ports: dict[str, CameraPort] = {}
        self.inputs: list[CameraInput] = []
        self._worker: FrameWorker | None = None
        self._watch_timer: Timer | None = None
        self._diagnostics_timer: Timer | None = None
        self._backend_state = ''
        self._mounting_problems: dict[str, str] = {}  # by camera, as they were logged
        self._own_vehicles: dict[str, str] = {}  # the same
        self._odometry: OdometryInput | None = None
        self._clock_watch = ClockWatch()
        self._streams = StreamWatch(self)
        self._speeds: dict[str, SpeedWatch] = {}  # by camera
        self._told_of_stamps: set[str] = set()  # cameras of which the log has it
        self._silences: dict[str, str] = {}  # why nothing comes in time, by camera
        self._unwanted_s: dict[str, float] = {}  # since when, by camera; -inf once it was told
        self._vehicle: VehicleStop | None = None  # while the node is active
        self._idle = VehicleDecision(
            StopDecision.without_frame(StopKind.INACTIVE, self._now_ns()), '', {}
        )
        self._disabled: VehicleDecision | None = None  # while ~/enable says so
        self._measuring = self._idle  # what is said while it is measured what is to serve
        self.create_service(SetBool, '~/enable', self._on_enable)
        try:
            self._heartbeat = StopHeartbeat(
                self,
                self.config.heartbeat_hz,
                self._decide_stop,
                own_process=self.config.heartbeat_process,
                priority=self.config.heartbeat_priority,
            )
        except ConfigurationError:
            self.destroy_node()
            raise
        self._diagnostics = self.create_publisher(
            DiagnosticArray, '/diagnostics', QoSProfile(depth=10)
        )
        self.add_on_set_parameters_callback(self._on_parameters)

    @reported
    def on_configure(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Reads the parameters, loads the engine, creates the publishers."""
        self.config = config = read_config(self, NodeConfig())
        put_on_cores(config.cpu_cores)  # before the backend counts them
        ours = [Path(config.engines_path)] if config.engines_path else []
        engine = load_engine(config.engine, [*ours, *engine_search_path()], config.network_size)
        self.chosen = create_backend(
            config.backend,
            engine,
            threads=config.inference_threads,
            precision=config.precision,
            plans=PlanOptions(
                Path(config.cache_path) if config.cache_path else None,
                possible_batch(engine, len(config.camera_names)),
                build_in_background=True,
            ),
            tuning=TuneOptions(len(config.camera_names), in_background=config.auto_tune),
        )
        self._backend_state = backend_status(self.chosen.backend).state
        backend = self.chosen.backend
        self._perception = Perception(backend)
        transforms = node_transforms(self, config)
        mounting = node_mounting(config, transforms)
        for camera, topic in zip(config.camera_names, config.image_topics, strict=True):
            prefix = '~' if len(config.camera_names) == 1 else f'~/{camera}'
            self._ports[camera] = CameraPort(
                CameraOutputs(self, prefix, engine),
                CameraDecisions(config, engine.label_map, engine.domain),
                DecisionOutputs(
                    self,
                    prefix,
                    config.base_frame,
                    decision_outputs(config),
                    lane_placing(config, transforms),
                ),
                CameraGeometry(self, camera, topic, config, mounting),
                CameraStatistics(),
            )
        self._odometry = OdometryInput(self, config.odometry_topic, self._on_motion)
        self._diagnostics_timer = self._steady_timer(
            config.diagnostics_period_s, self._publish_diagnostics
        )
        width, height = engine.network_size_wh
        self.get_logger().info(
            f'Engine {engine.name} ({width}x{height}, {len(engine.label_map.classes)} classes) '
            f'runs on {backend.name}, {backend.detail}. {self.chosen.in_short}; '
            f'{engine.origin}'
        )
        self.get_logger().debug(self.chosen.reason)
        return TransitionCallbackReturn.SUCCESS

    @reported
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribes to the cameras and starts the worker."""
        if self._perception is None:
            raise ConfigurationError('The node is not configured. Configure it first.')
        header = Header(stamp=self.get_clock().now().to_msg())
        for port in self._ports.values():
            port.outputs.publish_classes(header, self.config.min_confidence)
        self._worker = self._start_worker(self._perception)
        for camera, topic in zip(self.config.camera_names, self.config.image_topics, strict=True):
            self.inputs.append(CameraInput(self, camera, topic, self.config, self._on_image))
        self._watch_streams()
        self._watch_timer = self._steady_timer(WATCH_PERIOD_S, self._watch)
        measuring = StopDecision.without_frame(StopKind.MEASURING, self._now_ns())
        self._measuring = VehicleDecision(measuring, '', {})
        self._vehicle = VehicleStop({name: row.decisions for name, row in self._ports.items()})
        if self.owns_process:
            # What is there now stays: to look through it takes 25 ms, in which no thread moves
            gc.collect()
            gc.freeze()
        return super().on_activate(state)

    @reported
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends the subscriptions and the worker; the engine stays loaded."""
        self.stop_working()
        return super().on_deactivate(state)

    @reported
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees the engine and removes the publishers."""
        self.release()
        return super().on_cleanup(state)

    @reported
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Releases everything, from any state."""
        self.stop_working()
        self.release()
        return super().on_shutdown(state)

    @reported
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Releases everything, so that the node can be configured again."""
        self.stop_working()
        self.release()
        return super().on_error(state)

    def stop_working(self) -> None:
        """Undoes activate: no subscription, no thread, no label is published after it."""
        self._become_idle(StopKind.INACTIVE.meaning)
        if self._watch_timer is not None:
            self.destroy_timer(self._watch_timer)
            self._watch_timer = None
        for camera in self.inputs:
            camera.destroy()
        self.inputs.clear()
        self._streams.reset()
        self._speeds, self._silences = {}, {}
        self._told_of_stamps = set()
        self._unwanted_s = {}
        if self._worker is not None and not self._worker.stop():
            self.get_logger().error(
                'Inference hangs; its thread and the engine are left behind. Restart the process '
                'to free them.'
            )
            self.chosen = None  # a backend must not be closed while it works
        self._worker = None
        if self.context.ok():
            for port in self._ports.values():
                port.decision_outputs.publish_silence()

    def release(self) -> None:
        """Undoes configure: no engine, no publishers."""
        if self._diagnostics_timer is not None:
            self.destroy_timer(self._diagnostics_timer)
            self._diagnostics_timer = None
        if self._odometry is not None:
            self._odometry.destroy()
            self._odometry = None
        ports, self._ports = self._ports, {}  # a timer may be at them in another thread
        for port in ports.values():
            port.outputs.destroy()
            port.decision_outputs.destroy()
            port.geometry.destroy()
        self._perception = None
        if self.owns_process:
            gc.unfreeze()
        if self.chosen is not None:
            self.chosen.backend.close()
            self.chosen = None

    def destroy_node(self) -> None:
        """Ends everything, the heartbeat last; also of a node whose parameters were refused."""
        if self._heartbeat is not None:
            self.stop_working()
            self.release()
            self._heartbeat.destroy()
        super().destroy_node()
        # rclpy leaves it to the garbage collector, and the lifecycle services stay until then
        self._state_machine.destroy_when_not_in_use()

    def _on_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """Takes over changes that may happen now; refuses the others with the reason."""
        try:
            self.config = changed_config(
                self.config, changes, live_only=self._perception is not None
            )
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for port in self._ports.values():
            port.decisions.configure(self.config.stop)
        return SetParametersResult(successful=True)

    def _on_image(self, camera: str, message: Image | CompressedImage, missed: int) -> None:
        if self._worker is None or self._disabled is not None or self._is_measuring():
            return  # nothing may run beside what is measured but the cameras themselves
        self._worker.put(camera, message, missed)

    def _on_enable(self, request: SetBool.Request, answer: SetBool.Response) -> SetBool.Response:
        """Switches off and on: while it is off no image is looked at, and the stop is true."""
        if request.data:
            self._disabled = None
        elif self._disabled is None:
            stop = StopDecision.without_frame(StopKind.DISABLED, self._now_ns())
            self._disabled = VehicleDecision(stop, '', {})
        answer.success = True
        answer.message = 'on' if request.data else f'off: the stop is true ({StopKind.DISABLED})'
        return answer

    def _on_motion(self, motion: Motion) -> None:
        for port in self._ports.values():
            port.decisions.moved(motion)

    def _decide_stop(self, now_ns: int) -> VehicleDecision:
        """The stop of now, in any state of the node; called by the heartbeat's own thread."""
        vehicle, worker, disabled = self._vehicle, self._worker, self._disabled
        if disabled is not None:
            return disabled
        if vehicle is None or worker is None:
            return self._idle
        if self._is_measuring():
            return self._measuring
        if not worker.is_alive:
            reason = 'the worker thread has ended; it is started again'
            failed = StopDecision.without_frame(StopKind.FAILED, now_ns, reason)
            return VehicleDecision(failed, '', {})
        now_steady_ns = steady_ns()
        is_sim_time = self.get_clock().ros_time_is_active  # which may go slower than any watch
        decision = vehicle.check(now_ns, None if is_sim_time else now_steady_ns)
        fault = self._graph_fault(now_ns, now_steady_ns)
        if decision.stop or fault is None:
            return self._explained(decision)
        kind, reason = fault
        stopped = replace(decision.decision, stop=True, kind=kind, reason=reason, since_ns=now_ns)
        return replace(decision, decision=stopped)

    def _explained(self, vehicle: VehicleDecision) -> VehicleDecision:
        """Adds why no frame came, or not in time, where that is known."""
        decision = vehicle.decision
        if decision.kind not in UNTIMELY:
            return vehicle
        why = self._silences.get(vehicle.camera, '')
        if not why:
            return vehicle
        return replace(vehicle, decision=replace(decision, reason=f'{decision.reason}: {why}'))

    def _graph_fault(self, now_ns: int, steady_ns: int) -> Fault | None:
        """What is wrong around the node, so that no frame proves the way clear."""
        standing_s = self._clock_watch.standing_s(now_ns, steady_ns)
        if problem := self._streams.problem:
            return Fault(StopKind.TWO_PUBLISHERS, problem)
        if 0.0 < self.config.stop.clock_timeout_s < standing_s:  # by which no frame ever is old
            reason = f'{StopKind.CLOCK_STOPPED.meaning}, for {standing_s:.1f} s'
            return Fault(StopKind.CLOCK_STOPPED, reason)
        return None

    def _become_idle(self, reason: str) -> None:
        """From now on the stop is true for this reason."""
        decision = StopDecision.without_frame(StopKind.INACTIVE, self._now_ns(), reason)
        self._vehicle, self._idle = None, VehicleDecision(decision, '', {})

    def _is_measuring(self) -> bool:
        chosen = self.chosen
        return chosen is not None and is_measuring(chosen.backend)

    def _start_worker(self, perception: Perception) -> FrameWorker:
        return FrameWorker(
            self, perception, self._ports, lambda: self.config, self._is_stop_wanted, self.lose
        )

    def lose(self, reason: str) -> None:
        """Notes that only a new process can go on; the stop stays true until this one ends."""
        self.lost = reason

    def _is_stop_wanted(self) -> bool:
        return self._heartbeat is not None and self._heartbeat.is_wanted()

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _watch(self) -> None:
        if self._worker is not None and not self._worker.is_alive and self._perception is not None:
            self.get_logger().error('The worker thread has ended; it is started again.')
            for port in self._ports.values():
                port.decisions.failed('the worker thread has ended')
            self._worker = self._start_worker(self._perception)
        for camera in self.inputs:
            camera.watch(self.config.silence_warn_s)
            slow = self._watch_speed(camera.name)
            untimely = self._watch_readability(camera.name) or self._watch_stamps(camera.name)
            self._silences[camera.name] = camera.problem or untimely or slow
            self._watch_wishes(camera.name)
        self._watch_streams()
        for port in self._ports.values():
            port.geometry.watch()
        oldest_ns = self._now_ns() - int(self.config.diagnostics_stale_s * NS_PER_S)
        for port in self._ports.values():
            newest_ns = port.statistics.newest_stamp_ns
            if newest_ns is None or newest_ns < oldest_ns:
                port.decision_outputs.publish_silence()

    def _watch_readability(self, camera: str) -> str:
        """Returns why images come and none is looked at; the worker logs it."""
        unreadable = self._ports[camera].statistics.unreadable
        return f'images come, but cannot be read. {unreadable.rstrip(".")}' if unreadable else ''

    def _watch_stamps(self, camera: str) -> str:
        """Returns what is wrong with the stamps of a camera, logged once."""
        stop = self.config.stop
        problem = wrong_stamps(
            self._ports[camera].statistics.late_s(),
            stop.stale_timeout_s,
            stop.future_tolerance_s,
            is_sim_time=self.get_clock().ros_time_is_active,
        )
        if problem and camera not in self._told_of_stamps:
            self._told_of_stamps.add(camera)
            self.get_logger().warning(f'Camera {camera}: {problem}.')
        return problem

    def _watch_speed(self, camera: str) -> str:
        """Returns why frames of a camera get too old, logged once; empty where they do not."""
        if self.get_clock().ros_time_is_active:  # which may go slower than any watch
            return ''
        statistics = self._ports[camera].statistics
        watch = self._speeds.setdefault(camera, SpeedWatch())
        news = watch.look(
            time.monotonic(),
            statistics.received + statistics.missed,
            statistics.published + statistics.broken.total(),
            statistics.latency.newest_ms('received_to_published') * NS_PER_MS / NS_PER_S,
            self.config.stop.stale_timeout_s,
            statistics.late_s(),
        )
        if news:
            self.get_logger().warning(f'Camera {camera}: {news}.')
        return watch.problem

    def _watch_wishes(self, camera: str) -> None:
        """Says once that images come and nobody wants a result, so that none is looked at."""
        statistics, now_s = self._ports[camera].statistics, time.monotonic()
        if not statistics.idle or statistics.published:
            return
        waited_s = now_s - self._unwanted_s.setdefault(camera, now_s)
        if self.config.silence_warn_s <= waited_s < math.inf:
            self._unwanted_s[camera] = -math.inf
            self.get_logger().info(
                f'Camera {camera}: images come, but nobody subscribes to a result yet, so that '
                'none is looked at. To look: seg_ros view.'
            )

    def _watch_streams(self) -> None:
        """Looks for a second camera on an image topic, a second lens, and another node's stop."""
        for camera in self.inputs:
            self._streams.look(
                camera.topic,
                'They take turns, and each hides what the other sees: end all but one.',
                camera.type_name,
                turns=camera.turns,
            )
        for port in self._ports.values():
            self._streams.listen(
                port.geometry.topic,
                'They take turns, and people are placed by the lens of either: end all but one.',
                port.geometry.turns,
            )
        if self._heartbeat is not None:
            self._streams.look(
                self._heartbeat.topic,
                'Somebody else says go or stop in the name of this node: end it, or give one of '
                'them another name (-r __node:=NAME).',
                dead=self._heartbeat.dead_publishers,
            )

    def _publish_diagnostics(self) -> None:
        chosen = self.chosen
        if chosen is None:
            return
        status = backend_status(chosen.backend)
        self._log_backend(status)
        ros_now = self.get_clock().now()
        topics = {camera.name: camera.description for camera in self.inputs}
        problems = {
            camera.name: self._streams.problem_of(camera.topic)
            or self._streams.problem_of(self._ports[camera.name].geometry.topic)
            for camera in self.inputs
        }
        stop_problem = self._streams.problem_of(self._heartbeat.topic) if self._heartbeat else ''
        message = DiagnosticArray(header=Header(stamp=ros_now.to_msg()))
        for camera, port in self._ports.items():
            facts = {
                'camera': camera,
                'input': topics.get(camera, 'none: the node is not active'),
                'enabled': str(self._disabled is None).lower(),
                'geometry': port.geometry.reason or 'known',
                'mounting': self._mounting_problem(camera, port) or 'not contradicted',
                'own_vehicle': self._own_vehicle(camera, port) or 'not found',
                'engine': chosen.backend.engine.name,
                'backend': chosen.backend.name,
                'backend_detail': chosen.backend.detail,
                'backend_reason': chosen.reason,
                'backend_state': status.state,
                'backend_progress': f'{status.progress:.2f}',
                'backend_status': status.reason,
            }
            message.status.append(
                camera_status(
                    f'{self.get_name()}: {camera}',
                    port.statistics,
                    facts,
                    fault=(port.geometry.reason if port.geometry.is_refused else '')
                    or port.decisions.mounting_problem,
                    now_ns=time.monotonic_ns(),
                    ros_now_ns=ros_now.nanoseconds,
                    stale_s=self.config.diagnostics_stale_s,
                    problem=problems.get(camera, '') or stop_problem,
                    silence=self._silences.get(camera, ''),
                )
            )
        self._diagnostics.publish(message)

    def _mounting_problem(self, camera: str, port: CameraPort) -> str:
        """What the lane says against the mounting; the log says it once."""
        problem = port.decisions.mounting_problem
        was = self._mounting_problems.get(camera, '')
        if bool(problem) != bool(was):
            text = problem or 'the lines of the lane agree with the mounting again'
            self.get_logger().warning(f'Camera {camera}: {text}.')
        self._mounting_problems[camera] = problem
        return problem

    def _own_vehicle(self, camera: str, port: CameraPort) -> str:
        """Where the own vehicle was found in the picture; the log says it once."""
        polygon = port.decisions.own_vehicle
        text = f'stop.ego_mask: [{", ".join(map(str, polygon))}]' if polygon else ''
        if bool(polygon) != bool(self._own_vehicles.get(camera)):
            self.get_logger().info(
                f'Camera {camera}: the own vehicle stands in the lowest '
                f'{1.0 - min(polygon[1::2]):.0%} of the picture and is taken out of it; '
                f'{text} does so from the start.'
                if polygon
                else f'Camera {camera}: the own vehicle is not seen in the picture any more.'
            )
        self._own_vehicles[camera] = text
        return text

    def _log_backend(self, status: BackendStatus) -> None:
        """Logs once that a better backend is made, has taken over, or could not be had."""
        if status.state == self._backend_state:
            return
        self._backend_state = status.state
        log = self.get_logger()
        text = f'Backend, {status.state}: {status.reason}'
        if status.state == 'failed':
            log.warning(text)
        else:
            log.info(text)

    def _steady_timer(self, period_s: float, callback: Callable[[], None]) -> Timer:
        """A timer that goes on while sim time stands still."""
        return self.create_timer(period_s, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))


HELP = """usage: seg_ros run [--ros-args ROS_ARGUMENT ...]

Runs the segmentation node. Parameters, remappings and log level are ROS arguments:

  seg_ros run --ros-args -p engine:=roadseg -r image:=/camera/image
  seg_ros run --ros-args --params-file config/segmentation.yaml --log-level debug

Parameters:
"""


def main(argv: Sequence[str]) -> int:
    """Runs the node until it is told to end.

    Args:
        argv: ROS arguments; ``--help`` prints the parameters.

    Returns:
        0 when it ended as told, 1 when it could not start.
        ``EXIT_DEVICE_LOST`` ends the process at once, when only a new one can use the GPU.

    Raises:
        ConfigurationError: An argument, parameter or setting with which it cannot start.
    """
    if {'-h', '--help'} & set(argv):
        print(HELP + parameters_help(), end='')
        return 0
    given = given_overrides(argv, NODE_NAME, NodeConfig())
    prepared = prepare_process()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    cv2.setNumThreads(1)  # the cores belong to the network; resizing takes a fraction of a ms
    start_ros(argv)
    executor = SingleThreadedExecutor()  # Kilted's rclpy makes none after a shutdown
    node = None
    try:
        with ended_by_signal():
            node = SegmentationNode(parameter_overrides=given.parameters)
            node.owns_process = True
            for sentence in prepared:
                node.get_logger().info(sentence)
            for sentence in given.warnings:
                node.get_logger().warning(sentence)
            if node.config.autostart and not autostart(node) and rclpy.ok() and not node.lost:
                return 1
            executor.add_node(node)
            serving = node
            spin_while(
                lambda: bool(rclpy.ok() and not serving.lost), executor, node.get_logger().error
            )
            if node.lost:
                node.get_logger().fatal(f'The process ends: {node.lost}')
                time.sleep(LAST_WORDS_S)
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    if node is not None and node.lost:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_DEVICE_LOST)  # Python would free what TensorRT has there, which may hang
    return 0


def autostart(node: SegmentationNode) -> bool:
    """Configures and activates; returns whether both succeeded."""
    success = TransitionCallbackReturn.SUCCESS
    return bool(node.trigger_configure() == success and node.trigger_activate() == success)
