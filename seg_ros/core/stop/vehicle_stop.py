# SPDX-License-Identifier: Apache-2.0
"""Vehicle stop: the OR over its cameras, one that stops is enough.

A camera that looks elsewhere proves nothing about the zone, but another one may: it stops the
vehicle for whoever it sees, and for its own faults, and only where no camera is left that says
go, for not having the zone in view.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from seg_ros.core.stop.decision import StopDecision, StopKind

__all__ = ['Checked', 'VehicleDecision', 'VehicleStop']


class Checked(Protocol):
    """What can be asked for the stop of now: ``PedestrianStop``, or a lock around one."""

    def check(self, now_ns: int, steady_ns: int | None = None) -> StopDecision: ...


@dataclass(frozen=True)
class VehicleDecision:
    """Whether to stop, and what each camera says.

    Attributes:
        decision: Of the camera that decides; ``reason`` names it where there are several.
        camera: Its name, empty without any.
        cameras: The decision of every camera.
    """

    decision: StopDecision
    camera: str
    cameras: Mapping[str, StopDecision]

    @property
    def stop(self) -> bool:
        return self.decision.stop


class VehicleStop:
    """The OR over the cameras.

    Args:
        cameras: A stop per camera, by its name. Without a camera it always stops.
    """

    def __init__(self, cameras: Mapping[str, Checked]) -> None:
        self.cameras = dict(cameras)
        self._since_ns: int | None = None
        self._was_stop = True

    def check(self, now_ns: int, steady_ns: int | None = None) -> VehicleDecision:
        """The decision of now, for the heartbeat; it asks every camera.

        Args:
            now_ns: The clock that the stamps come from.
            steady_ns: A clock that never steps; None without one.
        """
        found = {name: camera.check(now_ns, steady_ns) for name, camera in self.cameras.items()}
        elsewhere = [n for n, row in found.items() if row.kind is StopKind.ZONE_NOT_IN_VIEW]
        asked = [n for n in found if n not in elsewhere] or elsewhere
        name = min(asked, key=lambda key: _rank(found[key]), default='')
        chosen = found.get(name)
        stop = chosen is None or chosen.stop
        if self._since_ns is None or stop != self._was_stop or now_ns < self._since_ns:
            self._since_ns = now_ns
        self._was_stop = stop
        if chosen is None:
            decision = StopDecision.without_frame(StopKind.NO_CAMERA, self._since_ns)
            return VehicleDecision(decision, '', {})
        reason = f'{name}: {chosen.reason}' if stop and len(found) > 1 else chosen.reason
        decision = replace(chosen, stop=stop, reason=reason, since_ns=self._since_ns)
        return VehicleDecision(decision, name, found)


def _rank(decision: StopDecision) -> tuple[bool, int, float]:
    """Stops first; of these people before faults, of people the nearest."""
    person = decision.person
    distance = float('inf') if person is None else person.distance_m
    return not decision.stop, decision.kind.rank, distance
