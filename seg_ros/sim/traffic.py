# SPDX-License-Identifier: Apache-2.0
"""Everybody else on the road: cars, people on foot, cyclists. They move in road coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seg_ros.sim.config import CrossingEvent, SceneConfig
from seg_ros.sim.profile import NOWHERE_M, RoadProfile
from seg_ros.sim.road import Road
from seg_ros.sim.scenery import Scenery
from seg_ros.sim.vehicle import FRONT_M, HALF_WIDTH_M, Obstacle, VehicleState

__all__ = ['Car', 'Cyclist', 'Traffic', 'Walker']

BEHIND_M = 25.0
PEOPLE_AHEAD_M = 130.0
CARS_AHEAD_M = 220.0
CELL_M = 12.0
# Of who is not as tall as others: of seven, seated, flat on the back
HEIGHTS_M = {'child': 1.15, 'wheelchair': 1.3, 'lying': 0.3}
ADULT_M = 1.7

CAR_LENGTH_M = 4.4
CAR_GAP_M = 3.0
CAR_ACCELERATION_MPS2 = 1.8
CAR_BRAKING_MPS2 = 3.0
CAR_TIME_GAP_S = 1.3

POLITE_MARGIN_M = 7.0
POLITE_BRAKING_MPS2 = 2.5
CROSSING_ZONE_M = 75.0


@dataclass
class Walker:
    """Somebody on foot. ``mode``: ``walk``, ``stand``, ``wait`` (to cross) or ``cross``."""

    id: int
    s_m: float
    d_m: float
    speed_mps: float
    height_m: float
    look: int
    mode: str
    along: int  # +1 walks with s, -1 against it
    phase: float = 0.0  # of the walk, in strides
    moving: bool = True
    heading_rad: float = 0.0  # against the road
    cross_to_d_m: float = 0.0
    patience_s: float = 0.0
    pause_at_d_m: float = math.nan
    pause_s: float = 0.0
    forced: bool = False
    who: str = 'adult'


@dataclass
class Car:
    """A car under way. Direction -1 is oncoming."""

    id: int
    s_m: float
    d_m: float
    speed_mps: float
    wanted_mps: float
    direction: int
    look: int
    braking: bool = False


@dataclass
class Cyclist:
    id: int
    s_m: float
    d_m: float
    speed_mps: float
    direction: int
    height_m: float
    look: int
    phase: float = 0.0


class Traffic:
    """Moves everybody, lets people appear far ahead and forgets them behind."""

    def __init__(
        self, config: SceneConfig, road: Road, profile: RoadProfile, scenery: Scenery
    ) -> None:
        self._config = config
        self._road = road
        self._profile = profile
        self._scenery = scenery
        self._generator = np.random.default_rng([config.seed, 37])
        self._next_id = 1
        self._filled_to_m = -BEHIND_M
        self._seen_crossings: set[int] = set()
        self._events = sorted(config.crossing_events, key=lambda event: event.at_m)
        self.walkers: list[Walker] = []
        self.cars: list[Car] = []
        self.cyclists: list[Cyclist] = []

    def start(self, ego: VehicleState) -> None:
        """Fills the road that is in view at the beginning."""
        self._fill_pavement(ego.s_m + PEOPLE_AHEAD_M)
        self._prepare_crossings(ego)
        count = int(self._generator.poisson(2.5 * self._config.car_density))
        for _ in range(count):
            self._add_car(float(ego.s_m + self._generator.uniform(30.0, CARS_AHEAD_M)), -1, ego)
        if self._generator.random() < 0.5 * self._config.car_density:
            self._add_car(float(ego.s_m + self._generator.uniform(35.0, 70.0)), 1, ego)

    def step(self, ego: VehicleState, dt_s: float) -> None:
        """Everybody a moment later."""
        self._appear(ego, dt_s)
        self._start_events(ego)
        self._move_walkers(ego, dt_s)
        self._move_cars(ego, dt_s)
        self._move_cyclists(dt_s)
        self._forget(ego)

    def obstacles(self, ego: VehicleState) -> list[Obstacle]:
        """What is in the way of the ego vehicle, or about to be."""
        found = []
        front_m = ego.s_m + FRONT_M
        reach_m = 12.0 + ego.speed_mps * 1.5 + ego.speed_mps**2 / (2 * 2.0)
        side_m = HALF_WIDTH_M + 0.5
        for walker in self.walkers:
            gap_m = walker.s_m - front_m
            if not -2.0 < gap_m < reach_m or walker.mode != 'cross':
                continue
            ahead_d = walker.d_m + 1.6 * walker.speed_mps * math.sin(walker.heading_rad)
            low, high = sorted((walker.d_m, ahead_d if walker.moving else walker.d_m))
            if low < ego.d_m + side_m and high > ego.d_m - side_m:
                found.append(Obstacle(gap_m - 0.3, 0.0, is_person=True))
        for cyclist in self.cyclists:
            gap_m = cyclist.s_m - 0.9 - front_m
            if -2.0 < gap_m < 60.0 and abs(cyclist.d_m - ego.d_m) < HALF_WIDTH_M + 0.5:
                speed = cyclist.speed_mps * cyclist.direction
                found.append(Obstacle(gap_m, speed, is_person=False))
        for car in self.cars:
            gap_m = car.s_m - 0.5 * CAR_LENGTH_M - front_m
            if -2.0 < gap_m < 80.0 and abs(car.d_m - ego.d_m) < 1.9:
                found.append(Obstacle(gap_m, car.speed_mps * car.direction, is_person=False))
        return found

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    # Appearing and leaving

    def _appear(self, ego: VehicleState, dt_s: float) -> None:
        generator = self._generator
        self._fill_pavement(ego.s_m + PEOPLE_AHEAD_M)
        self._prepare_crossings(ego)
        density = self._config.car_density
        if generator.random() < 1.0 - math.exp(-0.16 * density * dt_s):
            self._add_car(ego.s_m + CARS_AHEAD_M, -1, ego)
        if generator.random() < 1.0 - math.exp(-0.04 * density * dt_s):
            self._add_car(ego.s_m + 160.0, 1, ego)
        overtakes = generator.random() < 1.0 - math.exp(-0.06 * density * dt_s)
        if overtakes and self._profile.lanes_per_direction > 1:
            self._add_car(ego.s_m - BEHIND_M + 3.0, 1, ego)
        if generator.random() < 1.0 - math.exp(-0.05 * self._config.cyclist_density * dt_s):
            self._add_cyclist(ego)

    def _fill_pavement(self, to_s_m: float) -> None:
        per_cell = {'city': 0.3, 'suburb': 0.16, 'country': 0.07}[self._config.surroundings]
        while self._filled_to_m < to_s_m:
            for sign in (1, -1):
                side = self._profile.side(sign)
                count = int(self._generator.poisson(per_cell * self._config.people_density))
                if side.pavement_from_m >= NOWHERE_M:
                    continue
                for _ in range(count):
                    self._add_walker(self._filled_to_m, sign)
            self._filled_to_m += CELL_M

    def _add_walker(self, cell_s_m: float, sign: int) -> None:
        generator = self._generator
        side = self._profile.side(sign)
        low = side.pavement_from_m + 0.35
        high = max(low + 0.3, side.pavement_to_m - 0.5)
        s = cell_s_m + float(generator.uniform(0.0, CELL_M))
        d = sign * float(generator.uniform(low, high))
        mode = 'stand' if generator.random() < 0.15 else 'walk'
        walker = self._walker(s, d, mode)
        self.walkers.append(walker)
        if generator.random() < 0.25:
            friend_d = d + (0.65 if abs(d + 0.65) < abs(sign * high) + 0.3 else -0.65)
            friend = self._walker(s + float(generator.uniform(-0.2, 0.2)), friend_d, mode)
            friend.along = walker.along
            friend.speed_mps = walker.speed_mps
            friend.heading_rad = walker.heading_rad
            self.walkers.append(friend)

    def _walker(self, s_m: float, d_m: float, mode: str) -> Walker:
        generator = self._generator
        child = generator.random() < 0.14
        height_m = generator.uniform(1.05, 1.45) if child else generator.normal(1.71, 0.08)
        along = 1 if generator.random() < 0.5 else -1
        heading = 0.0 if along > 0 else math.pi
        if mode == 'stand':
            heading = float(generator.uniform(-math.pi, math.pi))
        return Walker(
            id=self._new_id(),
            s_m=s_m,
            d_m=d_m,
            speed_mps=float(generator.uniform(0.9, 1.7)),
            height_m=float(min(max(height_m, 1.0), 1.95)),
            look=int(generator.integers(1 << 30)),
            mode=mode,
            along=along,
            phase=float(generator.random()),
            moving=mode == 'walk',
            heading_rad=heading,
        )

    def _prepare_crossings(self, ego: VehicleState) -> None:
        """People who mean to use a crossing are there when it comes into view."""
        generator = self._generator
        ahead = self._scenery.crossings_m(ego.s_m + 10.0, ego.s_m + CROSSING_ZONE_M)
        for at_m in ahead:
            key = round(at_m * 10.0)
            if key in self._seen_crossings:
                continue
            self._seen_crossings.add(key)
            count = int(generator.poisson(1.3 * self._config.people_density))
            for _ in range(min(count, 6)):
                sign = 1 if generator.random() < 0.5 else -1
                s = at_m + float(generator.uniform(-1.2, 1.2))
                self._add_crosser(s, sign, float(generator.exponential(3.0)))
        if self._config.people_density and ahead:
            self._seen_crossings = {k for k in self._seen_crossings if k > 10.0 * ego.s_m - 3000}

    def _add_crosser(self, s_m: float, sign: int, patience_s: float) -> Walker:
        generator = self._generator
        d = sign * (self._profile.side(sign).asphalt_m + float(generator.uniform(0.4, 1.2)))
        walker = self._walker(s_m, d, 'wait')
        walker.moving = False
        walker.heading_rad = -sign * 0.5 * math.pi
        walker.patience_s = patience_s
        walker.cross_to_d_m = self._far_side(sign)
        self.walkers.append(walker)
        return walker

    def _far_side(self, sign: int) -> float:
        side = self._profile.side(-sign)
        inner = min(side.pavement_from_m, side.asphalt_m + 2.0)
        return -sign * (inner + 0.9)

    def _start_events(self, ego: VehicleState) -> None:
        while self._events and ego.s_m >= (
            self._events[0].at_m - self._events[0].trigger_distance_m
        ):
            self._start_event(self._events.pop(0))

    def _start_event(self, event: CrossingEvent) -> None:
        sign = 1 if event.from_left else -1
        walker = self._add_crosser(event.at_m, sign, 0.0)
        walker.d_m = sign * (self._profile.side(sign).asphalt_m + 0.2)
        walker.speed_mps = event.speed_mps
        walker.mode = 'cross'
        walker.moving = True
        walker.forced = True
        walker.who, walker.height_m = event.who, HEIGHTS_M.get(event.who, walker.height_m)
        lane_d_m = self._profile.lane_centre_m(self._profile.lanes_per_direction - 1)
        if event.stops_in_lane_s > 0.0 or event.who == 'lying':
            walker.pause_at_d_m, walker.pause_s = lane_d_m, event.stops_in_lane_s
        if event.who == 'lying':
            walker.d_m, walker.moving = lane_d_m, False

    def _add_car(self, s_m: float, direction: int, ego: VehicleState) -> None:
        generator = self._generator
        lanes = self._profile.lanes_per_direction
        lane = int(generator.integers(lanes))
        if s_m < ego.s_m:
            lane = 0  # overtakes on the left; the ego vehicle keeps right
        d = self._profile.lane_centre_m(lane, direction)
        wanted = self._config.speed_mps * float(generator.uniform(0.9, 1.3))
        wanted = max(wanted, 4.0)
        look = int(generator.integers(1 << 30))
        for car in self.cars:
            if abs(car.d_m - d) < 1.0 and abs(car.s_m - s_m) < 14.0:
                return
        if abs(ego.d_m - d) < 2.0 and abs(ego.s_m - s_m) < 16.0:
            return
        speed = wanted if direction < 0 else max(wanted, ego.speed_mps)
        self.cars.append(Car(self._new_id(), s_m, d, speed, wanted, direction, look))

    def _add_cyclist(self, ego: VehicleState) -> None:
        generator = self._generator
        direction = 1 if generator.random() < 0.5 else -1
        d = -direction * (self._profile.half_road_m - 0.3)
        speed = float(generator.uniform(3.2, 5.5))
        s = ego.s_m + (110.0 if direction < 0 else float(generator.uniform(60.0, 100.0)))
        height_m = float(generator.uniform(1.6, 1.85))
        look = int(generator.integers(1 << 30))
        if any(abs(c.s_m - s) < 8.0 and c.direction == direction for c in self.cyclists):
            return
        self.cyclists.append(Cyclist(self._new_id(), s, d, speed, direction, height_m, look))

    def _forget(self, ego: VehicleState) -> None:
        def near(s_m: float, ahead_m: float) -> bool:
            return ego.s_m - BEHIND_M <= s_m <= ego.s_m + ahead_m

        self.walkers = [w for w in self.walkers if near(w.s_m, PEOPLE_AHEAD_M + 40.0)]
        self.cyclists = [c for c in self.cyclists if near(c.s_m, PEOPLE_AHEAD_M + 40.0)]
        self.cars = [c for c in self.cars if near(c.s_m, CARS_AHEAD_M + 60.0)]

    # Moving

    def _move_walkers(self, ego: VehicleState, dt_s: float) -> None:
        for walker in self.walkers:
            if walker.mode == 'wait':
                self._wait(walker, ego, dt_s)
            elif walker.mode == 'walk':
                self._maybe_jaywalk(walker, ego, dt_s)
            elif walker.mode == 'cross':
                self._pause(walker, dt_s)
            if not walker.moving:
                continue
            bend = float(self._road.curvature(walker.s_m))
            step_m = walker.speed_mps * dt_s
            walker.s_m += step_m * math.cos(walker.heading_rad) / (1.0 - bend * walker.d_m)
            walker.d_m += step_m * math.sin(walker.heading_rad)
            walker.phase += step_m / (0.82 * walker.height_m)
            if walker.mode == 'cross':
                side = math.copysign(1.0, walker.cross_to_d_m)
                if walker.d_m * side >= abs(walker.cross_to_d_m):
                    walker.mode = 'walk'
                    walker.heading_rad = 0.0 if walker.along > 0 else math.pi

    def _wait(self, walker: Walker, ego: VehicleState, dt_s: float) -> None:
        walker.patience_s -= dt_s
        if walker.patience_s <= 0.0 and self._may_cross(walker, ego):
            walker.mode = 'cross'
            walker.moving = True

    def _may_cross(self, walker: Walker, ego: VehicleState) -> bool:
        """Whether the ego vehicle can still stop in comfort, stands, or has passed."""
        gap_m = walker.s_m - ego.s_m - FRONT_M
        if gap_m < -6.0:
            return True
        stopping_m = ego.speed_mps**2 / (2 * POLITE_BRAKING_MPS2) + 1.0 * ego.speed_mps
        stands = ego.speed_mps < 0.3 and gap_m > 1.5
        return stands or gap_m > stopping_m + POLITE_MARGIN_M

    def _maybe_jaywalk(self, walker: Walker, ego: VehicleState, dt_s: float) -> None:
        rate = 0.012 * self._config.people_density * dt_s
        if self._generator.random() >= rate or not self._may_cross(walker, ego):
            return
        if not 0.0 < walker.s_m - ego.s_m < 70.0:
            return
        sign = 1 if walker.d_m > 0.0 else -1
        walker.mode = 'cross'
        walker.heading_rad = -sign * (0.5 * math.pi)
        walker.cross_to_d_m = self._far_side(sign)

    def _pause(self, walker: Walker, dt_s: float) -> None:
        if math.isnan(walker.pause_at_d_m):
            return
        direction = math.copysign(1.0, walker.cross_to_d_m)
        if (walker.d_m - walker.pause_at_d_m) * direction >= 0.0:
            walker.pause_s -= dt_s
            walker.moving = walker.pause_s <= 0.0
            if walker.moving and walker.who == 'lying':  # gets up
                walker.who, walker.height_m = 'adult', ADULT_M

    def _move_cars(self, ego: VehicleState, dt_s: float) -> None:
        for car in self.cars:
            acceleration = self._car_acceleration(car, ego)
            car.braking = acceleration < -0.6 or car.speed_mps < 0.2
            car.speed_mps = max(0.0, car.speed_mps + acceleration * dt_s)
            car.s_m += car.direction * car.speed_mps * dt_s

    def _car_acceleration(self, car: Car, ego: VehicleState) -> float:
        front_m = car.s_m * car.direction + 0.5 * CAR_LENGTH_M
        acceleration = min(max(car.wanted_mps - car.speed_mps, -2.0), CAR_ACCELERATION_MPS2)
        leaders = [
            (other.s_m * car.direction - 0.5 * CAR_LENGTH_M, other.speed_mps, other.d_m)
            for other in self.cars
            if other is not car and other.direction == car.direction
        ]
        if car.direction > 0:
            leaders.append((ego.s_m - 0.9, ego.speed_mps, ego.d_m))
        for rear_m, speed_mps, d_m in leaders:
            gap_m = rear_m - front_m
            if abs(d_m - car.d_m) < 1.6 and -1.0 < gap_m < 80.0:
                acceleration = min(acceleration, _follow(car.speed_mps, gap_m, speed_mps))
        for walker in self.walkers:
            gap_m = walker.s_m * car.direction - front_m
            if walker.mode == 'cross' and -0.5 < gap_m < 45.0:
                coming = walker.d_m + 1.8 * math.sin(walker.heading_rad)
                low, high = sorted((walker.d_m, coming))
                if low < car.d_m + 1.5 and high > car.d_m - 1.5:
                    acceleration = min(acceleration, _follow(car.speed_mps, gap_m - 1.0, 0.0))
        return max(acceleration, -8.0)

    def _move_cyclists(self, dt_s: float) -> None:
        for cyclist in self.cyclists:
            cyclist.s_m += cyclist.direction * cyclist.speed_mps * dt_s
            cyclist.phase += cyclist.speed_mps * dt_s / 5.0


def _follow(speed: float, gap_m: float, leader_mps: float) -> float:
    braking = 2.0 * math.sqrt(CAR_ACCELERATION_MPS2 * CAR_BRAKING_MPS2)
    wanted_m = CAR_GAP_M + max(
        0.0, speed * CAR_TIME_GAP_S + speed * (speed - leader_mps) / braking
    )
    return CAR_ACCELERATION_MPS2 * (1.0 - (wanted_m / max(gap_m, 0.5)) ** 2)
