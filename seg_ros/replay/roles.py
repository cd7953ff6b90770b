# SPDX-License-Identifier: Apache-2.0
"""Which topic of a recording is what to the node."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.messages.camera_info import camera_info_topic
from seg_ros.recordings.contents import nodes_in
from seg_ros.recordings.recording import CAMERA_INFO, IMAGES, Recording
from seg_ros.replay.outputs import NODE

__all__ = ['USED', 'Roles', 'roles_of']

USED = 'used'
ODOMETRY = 'nav_msgs/msg/Odometry'
TRANSFORMS = ('tf', 'tf_static')  # under the namespace of their robot, too
TF_MESSAGE = 'tf2_msgs/msg/TFMessage'


@dataclass(frozen=True)
class Roles:
    """What is read of a recording.

    Attributes:
        cameras: Name of the camera by its image topic.
        others: Role of every other topic that is used: lens, odometry, tf or tf_static.
        lenses: Name of the camera by its CameraInfo topic.
        copied: Topics that are copied.
    """

    cameras: Mapping[str, str]
    others: Mapping[str, str]
    lenses: Mapping[str, str]
    copied: tuple[str, ...]

    @property
    def topics(self) -> list[str]:
        """All that must be read."""
        return sorted({*self.cameras, *self.others, *self.copied})

    @property
    def has_transforms(self) -> bool:
        return bool({'tf', 'tf_static'} & set(self.others.values()))

    def of(self, topic: str) -> str:
        """Returns what a topic is for; empty if it is only copied."""
        return 'image' if topic in self.cameras else self.others.get(topic, '')


def roles_of(
    recording: Recording,
    config: NodeConfig,
    topics: Sequence[str],
    odometry: str,
    copied: Sequence[str],
) -> Roles:
    """Finds out what is what.

    Args:
        recording: Has the topics.
        config: The node's parameters.
        topics: Image topic of each camera; none takes those of the parameters if they are there,
            else the first camera of the recording.
        odometry: Its topic; empty takes that of the parameters, else the only one there is.
        copied: Patterns of what is copied; ``used`` is what is read.

    Raises:
        ConfigurationError: There is no such topic, or no image.
    """
    types = {name: row.type_name for name, row in recording.topics.items()}
    images = _image_topics(recording, types, config, topics)
    cameras = dict(zip(images, config.camera_names, strict=True))
    lenses = {
        info: camera
        for image, camera in cameras.items()
        if types.get(info := camera_info_topic(image)) == CAMERA_INFO
    }
    others = dict.fromkeys(lenses, 'lens')
    if odometry := _odometry_topic(recording, types, config, odometry, images[0]):
        others[odometry] = 'odometry'
    for role in TRANSFORMS:
        if topic := _transforms_topic(recording, types, role, images[0]):
            others[topic] = role
    return Roles(cameras, others, lenses, _copied(types, (*cameras, *others), copied))


def _image_topics(
    recording: Recording, types: Mapping[str, str], config: NodeConfig, topics: Sequence[str]
) -> list[str]:
    ours = nodes_in(types)
    there = [name for name, kind in types.items() if kind in IMAGES and not _is_ours(name, ours)]
    if not there:
        raise ConfigurationError(
            f'{recording.name} has no sensor_msgs/Image or CompressedImage in it to segment.'
        )
    if unknown := [name for name in topics if name not in there]:
        msg = f'--topic {unknown[0]}: the image topics of {recording.name} are {", ".join(there)}.'
        raise ConfigurationError(msg)
    wanted = list(topics) or [_absolute(name) for name in config.image_topics]
    if len(wanted) != len(config.camera_names):
        raise ConfigurationError(
            f'{len(wanted)} image topics for {len(config.camera_names)} camera_names. Give one '
            '--topic per camera.'
        )
    if all(name in there for name in wanted):
        return wanted
    if len(wanted) > 1:
        missing = [name for name in wanted if name not in there]
        msg = f'{recording.name} has no {missing[0]}; its image topics are {", ".join(there)}.'
        raise ConfigurationError(msg)
    # What has a camera_info beside it is a camera, and no label image or depth.
    there.sort(key=lambda name: types.get(camera_info_topic(name)) != CAMERA_INFO)
    if wanted != [_absolute(name) for name in NodeConfig().image_topics]:
        recording.tell(
            f'{recording.name} has no {wanted[0]}, as the parameters have it; {there[0]} is taken.'
        )
    if len(there) > 1:
        recording.tell(
            f'{recording.name} has {len(there)} image topics; {there[0]} is taken. --topic takes '
            f'another: {", ".join(there[1:])}.'
        )
    return there[:1]


def _odometry_topic(
    recording: Recording, types: Mapping[str, str], config: NodeConfig, asked: str, image: str
) -> str:
    there = [name for name, kind in types.items() if kind == ODOMETRY]
    if asked and asked not in there:
        raise ConfigurationError(
            f'--odometry {asked}: {recording.name} has {", ".join(there) or "none"}.'
        )
    wanted = asked or _absolute(config.odometry_topic)
    if wanted in there or not there:
        return wanted if there else ''
    of_robot = _nearest(there, image)
    if len(of_robot) > 1:
        recording.tell(
            f'None of {", ".join(of_robot)} is taken as odometry; --odometry takes one.'
        )
        return ''
    recording.tell(f'{of_robot[0]} is taken as odometry; --odometry takes another.')
    return of_robot[0]


def _transforms_topic(
    recording: Recording, types: Mapping[str, str], role: str, image: str
) -> str:
    """Returns ``/tf`` or that of the camera's robot, where each has its own."""
    there = [
        name for name, kind in types.items() if kind == TF_MESSAGE and name.endswith(f'/{role}')
    ]
    of_robot = _nearest(there, image)
    if len(of_robot) > 1:
        recording.tell(
            f'None of {", ".join(of_robot)} is taken, for they are of other robots than {image}.'
        )
        return ''
    if of_robot and of_robot[0] != f'/{role}':
        recording.tell(f'Transforms are taken from {of_robot[0]}.')
    return of_robot[0] if of_robot else ''


def _nearest(topics: Sequence[str], image: str) -> list[str]:
    """Returns those of some topics whose namespace is that of an image, or nearest to it.

    ``/robot1/odom`` is nearer to ``/robot1/camera/image`` than ``/odom``, and that is nearer than
    ``/robot2/odom``.
    """
    parts = image.split('/')[:-1]

    def nearness(topic: str) -> tuple[int, bool]:
        own = topic.split('/')[:-1]
        pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(own, parts, strict=False))
        same = len(list(pairs))
        return same, same == len(own)

    most = max(map(nearness, topics), default=None)
    return [topic for topic in topics if nearness(topic) == most]


def _copied(
    types: Mapping[str, str], used: Sequence[str], patterns: Sequence[str]
) -> tuple[str, ...]:
    chosen: set[str] = set()
    for pattern in patterns:
        if pattern == USED:
            chosen |= set(used)
        elif pattern != 'none':
            found = fnmatch.filter(types, '*' if pattern == 'all' else pattern)
            if not found:
                msg = f'--copy {pattern}: there is no such topic. There are {" ".join(types)}.'
                raise ConfigurationError(msg)
            chosen |= {name for name in found if not _is_ours(name, nodes_in(types))}
    return tuple(sorted(chosen))


def _absolute(topic: str) -> str:
    return f'/{topic.lstrip("/")}'


def _is_ours(topic: str, nodes: Sequence[str]) -> bool:
    """Whether a node that was recorded said it; the new bag has it anew."""
    return any(topic.startswith(f'{node}/') for node in (NODE, *nodes))
