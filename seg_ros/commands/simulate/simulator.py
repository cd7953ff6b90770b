# SPDX-License-Identifier: Apache-2.0
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
from pathlib import Path

import cv2
import numpy as np
import rclpy
from numpy.typing import NDArray

from seg_ros.commands.simulate.vehicle_node import VehicleNode
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.labels import LabelMap
from seg_ros.core.units import NS_PER_S
from seg_ros.files import append
from seg_ros.inference.engine import load_engine
from seg_ros.ros.middleware import prepare_process
from seg_ros.sim.classes import CLASS_NAMES
from seg_ros.sim.courses import RATE_HZ, STOP, Leg, course
from seg_ros.sim.follower import Follower
from seg_ros.sim.frame import SimFrame
from seg_ros.sim.labels.renderer import LabelWorld
from seg_ros.sim.leg_record import LegRecord
from seg_ros.sim.world import World

__all__ = ['main']

FIRST_ANSWER_S = 180.0  # the engine is loaded and the graph is found meanwhile
WARM_UP_S = 1.0  # for one answer before the drive
ANSWER_S = 20.0  # of one frame; a network on a busy CPU takes seconds
MAX_SILENT = 5  # frames in a row, then the node is taken for dead
HAND_OVER_FRAMES = 20  # that the simulation's own driver drives, while the lane is found
STUCK_S = 60.0  # simulated; people are out of the way sooner
BETWEEN_LEGS_NS = 5_000_000_000  # a jump of time, after which the node begins anew
PERIOD_NS = round(NS_PER_S / RATE_HZ)
REPORT_S = 1.0  # between lines of progress


class Simulator:
    """Drives legs, one after the other.

    Args:
        vehicle: Talks to the node.
        exact: Show the exact labels, in the colours of the label map, and no pictures.
        label_map: Of the engine.
    """

    def __init__(self, vehicle: VehicleNode, label_map: LabelMap, *, exact: bool) -> None:
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
    parser.add_argument('--log', type=Path, required=True)
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
    vehicle = VehicleNode(
        CameraIntrinsics.from_field_of_view(scene.size_wh, math.radians(scene.horizontal_fov_deg))
    )
    simulator = Simulator(vehicle, engine.label_map, exact=arguments.labels == 'exact')
    try:
        simulator.wait_for_node(left[0])
        for leg in left:
            row = {'leg': leg.number, **simulator.drive(leg).as_dict()}
            append(arguments.log, json.dumps(row) + '\n')
    except SegRosError as error:
        sys.exit(str(error))
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
