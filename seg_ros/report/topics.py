"""Which topics of a bag are the node's, whatever the node is called there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from seg_ros.core.errors import ConfigurationError

__all__ = ['DriveTopics', 'find_topics']

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
BOOL = 'std_msgs/msg/Bool'
STOP = '/pedestrian_stop'
LABEL = '/label'
DIAGNOSTICS = '/diagnostics'


@dataclass(frozen=True)
class DriveTopics:
    """The topics of one camera; empty for what the bag does not have.

    Attributes:
        label: Its label images.
        classes: What their numbers mean.
        overlay: JPEG pictures with the label colours.
        stop: The stop of the vehicle.
        stop_status: Its reasons.
        lane_status: Of the lane track.
        diagnostics: Of the node.
        images: What may be the camera itself: every other topic of images.
    """

    label: str
    classes: str
    overlay: str
    stop: str
    stop_status: str
    lane_status: str
    diagnostics: str
    images: tuple[str, ...]


def find_topics(path: Path, types: Mapping[str, str], camera: str = '') -> DriveTopics:
    """Returns the topics of a camera.

    Args:
        path: Of the bag, for the error.
        types: Type of each topic in it.
        camera: Part of the names that tells several cameras apart.

    Raises:
        ConfigurationError: The node has left nothing in the bag, or more than one camera.
    """
    stops = [name for name, kind in types.items() if name.endswith(STOP) and kind == BOOL]
    labels = [
        name
        for name, kind in types.items()
        if name.endswith(LABEL) and kind == IMAGE and '/truth/' not in name and camera in name
    ]
    if not stops and not labels:
        msg = (
            f'{path} has neither label images nor a pedestrian stop of the node. Make one with '
            'seg_ros replay, or record the topics of the node.'
        )
        raise ConfigurationError(msg)
    if len(labels) > 1:
        msg = f'{path} has {", ".join(sorted(labels))}. Name one with --camera.'
        raise ConfigurationError(msg)
    node = stops[0].removesuffix(STOP) if stops else labels[0].removesuffix(LABEL)
    label = labels[0] if labels else ''
    place = label.removesuffix(LABEL) if label else node

    def there(name: str) -> str:
        return name if name in types else ''

    return DriveTopics(
        label=label,
        classes=there(f'{place}/classes'),
        overlay=there(f'{place}/overlay/compressed'),
        stop=stops[0] if stops else '',
        stop_status=there(f'{node}{STOP}/status'),
        lane_status=there(f'{place}/lane_track/status'),
        diagnostics=there(DIAGNOSTICS),
        images=_images(types, node),
    )


def _images(types: Mapping[str, str], node: str) -> tuple[str, ...]:
    """Image topics of anybody but the node; raw ones first."""
    found: Collection[str] = [
        name
        for name, kind in types.items()
        if kind in (IMAGE, COMPRESSED)
        and not name.startswith(f'{node}/')
        and '/truth/' not in name
    ]
    return tuple(sorted(found, key=lambda name: types[name] != IMAGE))
