"""The transforms of a recording, newest of each; what a replay needs of tf2."""

from __future__ import annotations

from typing import Any, NamedTuple

from seg_ros.messages.conversions import header_of, stamp_ns_of
from seg_ros.messages.mounting import Quaternion, product
from seg_ros.messages.plain import plain_type

__all__ = ['TransformTree']


class Link(NamedTuple):
    """Where a frame is in its parent.

    Attributes:
        parent: Name of the parent frame.
        translation: x, y, z in metres.
        rotation: x, y, z, w.
        stamp_ns: When it was so; 0 is always.
    """

    parent: str
    translation: tuple[float, float, float]
    rotation: Quaternion
    stamp_ns: int


class TransformTree:
    """Knows the newest transform of every frame to its parent.

    Where several of a chain move, each is taken at its newest time; tf2 would interpolate.
    """

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}

    def take(self, message: Any, *, static: bool) -> None:
        """Takes a tf2_msgs/TFMessage of /tf or, if ``static``, of /tf_static."""
        for row in message.transforms:
            t, q = row.transform.translation, row.transform.rotation
            self._links[row.child_frame_id.lstrip('/')] = Link(
                row.header.frame_id.lstrip('/'),
                (t.x, t.y, t.z),
                (q.x, q.y, q.z, q.w),
                0 if static else stamp_ns_of(row.header),
            )

    def look_up(self, base_frame: str, frame_id: str) -> Any:
        """Returns the geometry_msgs/TransformStamped from a frame to the base frame.

        Its stamp is that of the oldest transform on the way that moves, 0 where none does.

        Raises:
            LookupError: There is no way from one to the other.
        """
        up_base = self._way_up(base_frame.lstrip('/'))
        up_frame = self._way_up(frame_id.lstrip('/'))
        common = next((name for name in up_frame if name in up_base), None)
        if common is None:
            raise LookupError(f'the recording does not connect {frame_id} with {base_frame}')
        links_to_frame, links_to_base = up_frame[common], up_base[common]
        translation, rotation = _followed(links_to_frame)
        base_translation, base_rotation = _followed(links_to_base)
        back = _inverse(base_rotation)
        difference = tuple(a - b for a, b in zip(translation, base_translation, strict=True))
        stamps = [row.stamp_ns for row in (*links_to_frame, *links_to_base) if row.stamp_ns]
        made = plain_type('geometry_msgs/msg/TransformStamped')(
            header=header_of(min(stamps, default=0), base_frame), child_frame_id=frame_id
        )
        t, q = made.transform.translation, made.transform.rotation
        t.x, t.y, t.z = _rotated(back, difference)
        q.x, q.y, q.z, q.w = product(back, rotation)
        return made

    def look_up_at(self, frame: str, of_frame: str, _stamp_ns: int) -> Any:
        """Returns the newest transform, also where that of a time is asked for."""
        return self.look_up(frame, of_frame)

    def _way_up(self, frame: str) -> dict[str, list[Link]]:
        """Every frame from this one up to the root, with the links that lead there."""
        way: dict[str, list[Link]] = {frame: []}
        links: list[Link] = []
        while (link := self._links.get(frame)) is not None and link.parent not in way:
            links = [*links, link]
            frame = link.parent
            way[frame] = links
        return way


Vector = tuple[float, ...]


def _followed(links: list[Link]) -> tuple[Vector, Quaternion]:
    """Where the lowest frame is in the highest one."""
    translation: Vector = (0.0, 0.0, 0.0)
    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)
    for link in links:
        turned = _rotated(link.rotation, translation)
        translation = tuple(a + b for a, b in zip(turned, link.translation, strict=True))
        rotation = product(link.rotation, rotation)
    return translation, rotation


def _rotated(rotation: Quaternion, vector: Vector) -> Vector:
    x, y, z = vector
    return product(product(rotation, (x, y, z, 0.0)), _inverse(rotation))[:3]


def _inverse(rotation: Quaternion) -> Quaternion:
    x, y, z, w = rotation
    return -x, -y, -z, w
