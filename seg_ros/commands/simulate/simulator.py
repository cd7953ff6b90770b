"""The vehicle of ``seg_ros simulate``: drives a course by what the node publishes, in lock-step.

Simulated time stands still while the node works. For each frame the clock, the odometry, the
calibration and the image are published; the next picture is painted meanwhile; then the answer is
waited for: the lane's status of that stamp (with the path of that stamp, where it says that there
is one) and a pedestrian stop that was decided with that frame. The command that follows from the
answer takes effect one period later, on every machine: a slow one takes longer, with the same
result. A frame that is not answered within ``ANSWER_S`` counts as silence, which is a stop.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path as FilePath
from typing import NamedTuple

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Quaternion
from nav_msgs.msg import Odometry, Path
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool, Header

from seg_ros.commands.camera.topics import camera_info_message
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.labels import LabelMap
from seg_ros.core.units import NS_PER_S
from seg_ros.inference.engine import load_engine
from seg_ros.messages.conversions import ReusedImage, stamp_ns_of, stamp_text
from seg_ros.ros.middleware import prepare_process
from seg_ros.sim.classes import CLASS_NAMES
from seg_ros.sim.courses import RATE_HZ, STOP, Leg, course
from seg_ros.sim.follower import Follower
from seg_ros.sim.frame import EgoState, SimFrame
from seg_ros.sim.labels.renderer import LabelWorld
from seg_ros.sim.leg_record import LegRecord
from seg_ros.sim.vehicle import WHEELBASE_M
from seg_ros.sim.world import World

__all__ = ['main']

NODE = '/segmentation'
FIRST_ANSWER_S = 180.0  # the engine is loaded and the graph is found meanwhile
WARM_UP_S = 1.0  # for one answer before the drive
ANSWER_S = 20.0  # of one frame; a network on a busy CPU takes seconds
MAX_SILENT = 5  # frames in a row, then the node is taken for dead
HAND_OVER_FRAMES = 20  # that the simulation's own driver drives, while the lane is found
STUCK_S = 60.0  # simulated; people are out of the way sooner
BETWEEN_LEGS_NS = 5_000_000_000  # a jump of time, after which the node begins anew
PERIOD_NS = round(NS_PER_S / RATE_HZ)
REPORT_S = 1.0  # between lines of progress
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


class Answer(NamedTuple):
    """What the node published about a frame.

    Attributes:
        path: ``(N, 2)`` of the lane, base frame; empty without one.
        stop: The pedestrian stop; true in silence.
        complete: All of it came in time.
    """

    path: NDArray[np.float64]
    stop: bool
    complete: bool


class Vehicle(Node):
    """The camera and odometry of the vehicle, and what it hears of the node.

    Args:
        lens: Of the camera.
    """

    def __init__(self, lens: CameraIntrinsics) -> None:
        super().__init__('simulator', start_parameter_services=False)
        self._info = camera_info_message(lens, (lens.width, lens.height))
        self._image = ReusedImage('rgb8')
        self._clock_out = self.create_publisher(Clock, '/clock', RELIABLE)
        self._odometry_out = self.create_publisher(Odometry, '/odom', RELIABLE)
        self._info_out = self.create_publisher(CameraInfo, '/camera/camera_info', RELIABLE)
        self._image_out = self.create_publisher(Image, '/camera/image', RELIABLE)
        self._paths: dict[str, NDArray[np.float64]] = {}
        self._lane: dict[str, bool] = {}  # whether there is a path, by stamp
        self._stop = True
        self._judged: tuple[str, bool] = ('', True)  # stamp of the frame, and the stop
        for kind, topic, hear, qos in (
            (Path, 'lane_track', self._on_path, RELIABLE),
            (DiagnosticStatus, 'lane_track/status', self._on_lane, RELIABLE),
            (Bool, 'pedestrian_stop', self._on_stop, NEWEST),
            (DiagnosticStatus, 'pedestrian_stop/status', self._on_judged, NEWEST),
        ):
            self.create_subscription(kind, f'{NODE}/{topic}', hear, qos)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def is_connected(self) -> bool:
        """Returns whether the node hears the vehicle, and the vehicle the node."""
        outputs = (self._clock_out, self._odometry_out, self._info_out, self._image_out)
        heard = all(output.get_subscription_count() for output in outputs)
        return heard and self.count_publishers(f'{NODE}/lane_track/status') > 0

    def show(self, image: NDArray[np.uint8], ego: EgoState, stamp_ns: int) -> None:
        """Publishes a frame and all that belongs to it; the image last."""
        self._paths.clear()
        self._lane.clear()
        header = Header(frame_id='camera_optical')
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
        self._clock_out.publish(Clock(clock=header.stamp))
        self._odometry_out.publish(odometry_message(ego, header))
        self._info.header = header
        self._info_out.publish(self._info)
        np.copyto(self._image.pixels(image.shape), image)
        self._image.message.header = header
        self._image_out.publish(self._image.message)

    def answer(self, stamp_ns: int, timeout_s: float) -> Answer:
        """Returns what the node says about a frame, once it has said all of it."""
        stamp = stamp_text(stamp_ns)
        give_up_s = time.monotonic() + timeout_s
        while not self._is_answered(stamp):
            left_s = give_up_s - time.monotonic()
            if left_s <= 0.0:
                return Answer(np.zeros((0, 2)), True, False)
            self._executor.spin_once(timeout_sec=left_s)
        return Answer(self._paths.get(stamp, np.zeros((0, 2))), self._stop, True)

    def spin(self, timeout_s: float) -> None:
        self._executor.spin_once(timeout_sec=timeout_s)

    def _is_answered(self, stamp: str) -> bool:
        if stamp not in self._lane or (self._lane[stamp] and stamp not in self._paths):
            return False
        # The signal has no stamp; it is of this frame when its status is, and says the same.
        return self._judged == (stamp, self._stop)

    def _on_path(self, message: Path) -> None:
        points = [(row.pose.position.x, row.pose.position.y) for row in message.poses]
        self._paths[stamp_text(stamp_ns_of(message.header))] = np.array(points)

    def _on_lane(self, message: DiagnosticStatus) -> None:
        values = {row.key: row.value for row in message.values}
        self._lane[values['stamp']] = values['valid'] == 'true'

    def _on_stop(self, message: Bool) -> None:
        self._stop = message.data

    def _on_judged(self, message: DiagnosticStatus) -> None:
        values = {row.key: row.value for row in message.values}
        self._judged = values.get('frame_stamp', ''), values['stop'] == 'true'


class Simulator:
    """Drives legs, one after the other.

    Args:
        vehicle: Talks to the node.
        exact: Show the exact labels, in the colours of the label map, and no pictures.
        label_map: Of the engine.
    """

    def __init__(self, vehicle: Vehicle, label_map: LabelMap, *, exact: bool) -> None:
        self._vehicle = vehicle
        self._exact = exact
        self._colours = label_colours(label_map)
        self._stamp_ns = BETWEEN_LEGS_NS
        self._reported_s = -math.inf

    def wait_for_node(self, leg: Leg) -> None:
        """Returns once the node answers.

        Raises:
            SegRosError: It does not.
        """
        give_up_s = time.monotonic() + FIRST_ANSWER_S
        frame = self._world(leg).render()
        while time.monotonic() < give_up_s:
            if not self._vehicle.is_connected():
                self._vehicle.spin(0.1)
                continue
            self._stamp_ns += PERIOD_NS
            self._vehicle.show(self._picture(frame), frame.ego, self._stamp_ns)
            if self._vehicle.answer(self._stamp_ns, WARM_UP_S).complete:
                return
        raise SegRosError(f'The node has not answered within {FIRST_ANSWER_S:g} s.')

    def drive(self, leg: Leg) -> LegRecord:
        """Returns what happened on a leg.

        Raises:
            SegRosError: The node is silent.
        """
        world = self._world(leg)
        record = LegRecord(STOP, 1.0 / RATE_HZ)
        follower = Follower()
        command: tuple[float | None, float | None] = (None, None)
        standing_s, silent = 0.0, 0
        self._stamp_ns += BETWEEN_LEGS_NS
        frame, number = world.render(), 0
        while not self._is_over(leg, record, standing_s):
            self._vehicle.show(self._picture(frame), frame.ego, self._stamp_ns)
            world.step(1.0 / RATE_HZ, *command)
            following = world.render()  # while the node works
            answer = self._vehicle.answer(self._stamp_ns, ANSWER_S)
            silent = 0 if answer.complete else silent + 1
            if silent == MAX_SILENT:
                raise SegRosError(f'The node has left {silent} frames in a row unanswered.')
            wanted = follower.command(
                self._stamp_ns, answer.path, answer.stop, frame.ego.speed_mps
            )
            if number >= HAND_OVER_FRAMES:
                command = wanted
                record.add(
                    frame,
                    stop=answer.stop,
                    pathless=follower.pathless,
                    answered=answer.complete,
                )
                moves = frame.ego.speed_mps > 0.0
                standing_s = 0.0 if moves else standing_s + 1.0 / RATE_HZ
            self._report(leg, record)
            frame, number = following, number + 1
            self._stamp_ns += PERIOD_NS
        record.stuck = standing_s > STUCK_S
        return record

    def _world(self, leg: Leg) -> World:
        return (LabelWorld if self._exact else World)(leg.scene)

    def _picture(self, frame: SimFrame) -> NDArray[np.uint8]:
        if not self._exact:
            return frame.image
        return np.asarray(cv2.applyColorMap(frame.labels, self._colours))

    @staticmethod
    def _is_over(leg: Leg, record: LegRecord, standing_s: float) -> bool:
        if standing_s > STUCK_S:
            return True
        return record.way_m >= leg.length_m and not record.is_stopping

    def _report(self, leg: Leg, record: LegRecord) -> None:
        """Prints how far it is, now and then."""
        now_s = time.monotonic()
        if now_s - self._reported_s >= REPORT_S:
            self._reported_s = now_s
            print(json.dumps({'leg': leg.number, 'way_m': round(record.way_m)}), flush=True)


def odometry_message(ego: EgoState, header: Header) -> Odometry:
    """Returns what wheel encoders and a gyroscope would say."""
    message = Odometry(child_frame_id='base_link')
    message.header = Header(stamp=header.stamp, frame_id='odom')
    message.pose.pose.position.x = ego.x_m
    message.pose.pose.position.y = ego.y_m
    half = 0.5 * ego.yaw_rad
    message.pose.pose.orientation = Quaternion(z=math.sin(half), w=math.cos(half))
    message.twist.twist.linear.x = ego.speed_mps
    message.twist.twist.angular.z = ego.speed_mps * math.tan(ego.steering_rad) / WHEELBASE_M
    return message


def label_colours(label_map: LabelMap) -> NDArray[np.uint8]:
    """Returns the colours, as ``cv2.applyColorMap`` takes them, of the simulation's labels.

    Raises:
        ConfigurationError: The engine lacks one of the classes.
    """
    colour_of = {row.name: row.colour_rgb for row in label_map.classes}
    colours = np.zeros((256, 1, 3), np.uint8)
    for number, name in CLASS_NAMES.items():
        if name in colour_of:
            colours[number] = colour_of[name]
        elif name != 'unlabelled':
            msg = f'The engine has no class {name}; exact labels need all of the simulation.'
            raise ConfigurationError(msg)
    return colours


def main() -> None:
    """Drives the legs that are not in the log yet, and adds them to it."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--km', type=float, required=True)
    parser.add_argument('--seed', type=int, required=True)
    parser.add_argument('--engine', required=True)
    parser.add_argument('--labels', choices=('exact', 'network'), required=True)
    parser.add_argument('--log', type=FilePath, required=True)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    prepare_process()
    engine = load_engine(arguments.engine)
    legs = course(arguments.km, arguments.seed, engine.network_size_wh)
    done = {json.loads(line)['leg'] for line in arguments.log.read_text().splitlines()}
    left = [leg for leg in legs if leg.number not in done]
    if not left:
        return
    rclpy.init()
    scene = left[0].scene
    vehicle = Vehicle(
        CameraIntrinsics.from_field_of_view(scene.size_wh, math.radians(scene.horizontal_fov_deg))
    )
    simulator = Simulator(vehicle, engine.label_map, exact=arguments.labels == 'exact')
    try:
        simulator.wait_for_node(left[0])
        for leg in left:
            row = {'leg': leg.number, **simulator.drive(leg).as_dict()}
            with arguments.log.open('a') as log:
                log.write(json.dumps(row) + '\n')
    except SegRosError as error:
        sys.exit(str(error))
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
