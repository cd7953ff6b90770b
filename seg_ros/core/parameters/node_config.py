# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the node, once: type, default, unit, range, meaning.

The ROS declarations, ``config/segmentation.yaml`` and ``docs/parameters.md`` follow from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.mount_config import MountConfig
from seg_ros.core.image.announced import MAX_PIXELS
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.navigation.config import NavigationConfig
from seg_ros.core.parameters.option import option
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.vehicle import VehicleConfig
from seg_ros.core.watched_zones.config import ZoneConfig

__all__ = ['NodeConfig']

CAMERA_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*')  # what ROS allows as one part of a topic name


@dataclass(frozen=True)
class NodeConfig:
    """The parameters of the segmentation node."""

    camera_names: tuple[str, ...] = option(
        ('camera',),
        'Names of the cameras. With one camera its topics are ~/label and so on, with several '
        '~/<camera>/label.',
    )
    image_topics: tuple[str, ...] = option(
        ('image',), 'Image topic of each camera, in the order of camera_names; may be remapped.'
    )
    image_transport: str = option(
        'auto',
        'Message type of the image topics: raw is sensor_msgs/Image, compressed is '
        'sensor_msgs/CompressedImage, auto takes the type that the publisher offers.',
        choices=('auto', 'raw', 'compressed'),
    )
    max_image_pixels: int = option(
        MAX_PIXELS,
        'Pixels that an image may have, by default those of 8K: a larger one, or a file that only '
        'says so, is refused before anything is decoded.',
        unit='px',
        low=1,
        high=1 << 30,
    )
    image_is_rectified: str = option(
        'auto',
        'Whether the distortion was taken out of the images already, so that P of the CameraInfo '
        'counts and not K and D; auto goes by the topic, after remapping: what has rect or '
        'rectified in its name, like image_rect or rect/image, is.',
        choices=('auto', 'true', 'false'),
    )
    qos_reliability: str = option(
        'auto',
        'Reliability that the image subscription asks for; auto asks for reliable where every '
        'publisher offers it. A qos_overrides parameter of the topic wins.',
        choices=('auto', 'reliable', 'best_effort'),
    )
    engine: str = option('roadseg', 'Name of an engine (a folder in engines/) or path of one.')
    network_size: str = option(
        '',
        "Width and height that the network runs at, such as '480x272': smaller is faster and sees "
        "less far; empty takes the engine's own.",
    )
    engines_path: str = option(
        '', 'Folder that is searched for engines first; empty searches the usual ones only.'
    )
    backend: str = option(
        'auto',
        'What runs the network; auto takes TensorRT where it can, else what seg_ros tune has '
        'found to be the fastest here, and says why.',
        choices=('auto', 'tensorrt', 'onnxruntime', 'openvino', 'canned'),
    )
    cache_path: str = option(
        '',
        'Folder of the built TensorRT plans; empty takes $SEG_ROS_CACHE, else ~/.cache/seg_ros.',
    )
    precision: str = option(
        'auto',
        'Arithmetic of the network; auto lets the backend take what is fast and safe here.',
        choices=('auto', 'fp32', 'bf16', 'fp16', 'int8'),
    )
    inference_threads: int = option(
        0, 'Threads of CPU inference; 0 takes one per free core.', low=0, high=256
    )
    pipeline_depth: int = option(
        2,
        'Batches on their way at most: with 2 the last one is finished and the next one prepared '
        'while a GPU works; 1 does one after the other. On a CPU it is always 1: the network has '
        'its cores.',
        low=1,
        high=2,
        live=True,
    )
    auto_tune: bool = option(
        True,
        'Whether backend auto measures once, on a CPU that it does not know yet with this engine, '
        'what is fastest: for up to 20 s no image is looked at, and the stop is true. False goes '
        'by rules until seg_ros tune has measured.',
    )
    min_confidence: float = option(
        0.0,
        'Pixels whose label is less certain than this are published as unlabelled; 0 keeps all.',
        low=0.0,
        high=1.0,
        live=True,
    )
    overlay_alpha: float = option(
        0.5, 'Opacity of the label colours in the overlay.', low=0.0, high=1.0, live=True
    )
    jpeg_quality: int = option(
        80, 'JPEG quality of overlay/compressed.', low=1, high=100, live=True
    )
    diagnostics_stale_s: float = option(
        0.5,
        'Age by header stamp above which the diagnostics warn of the newest result, and '
        'speed_limit is the lowest one. The stop has its own: stop.stale_timeout_s.',
        unit='s',
        low=0.01,
        high=60.0,
        live=True,
    )
    silence_warn_s: float = option(
        2.0,
        'Silence of a camera whose publisher exists after which the likely cause is logged.',
        unit='s',
        low=0.1,
        high=3600.0,
        live=True,
    )
    diagnostics_period_s: float = option(
        1.0, 'Time between two messages on /diagnostics.', unit='s', low=0.1, high=60.0
    )
    autostart: bool = option(
        True, 'Configure and activate at start; false leaves it to a lifecycle manager.'
    )
    base_frame: str = option(
        'base_link', 'Frame of the vehicle (x forward, y left, on the ground), of all decisions.'
    )
    odometry_topic: str = option(
        'odom', 'nav_msgs/Odometry of the vehicle; may be remapped and need not exist.'
    )
    heartbeat_hz: float = option(
        20.0,
        'Rate of the pedestrian_stop heartbeat; the timeout of its consumer must be a multiple.',
        unit='Hz',
        low=1.0,
        high=200.0,
    )
    heartbeat_process: bool = option(
        True,
        'A process of its own publishes pedestrian_stop: it says stop even when the node is '
        'killed or stands still. False lets the node do so, without that, and without the memory '
        'of a second process.',
    )
    heartbeat_priority: int = option(
        0,
        'Real-time priority of that process (SCHED_RR): its beat comes in time however busy the '
        'machine is. 0 gives none; where it is not allowed, a warning says what to do.',
        low=0,
        high=99,
    )
    cpu_cores: str = option(
        '',
        "Cores that the node may run on, such as '2-5,7', so that the others are free for what "
        'drives the vehicle; empty takes all.',
    )
    mount: MountConfig = MountConfig()  # noqa: RUF009  frozen
    vehicle: VehicleConfig = VehicleConfig()  # noqa: RUF009  frozen
    stop: StopConfig = StopConfig()  # noqa: RUF009  frozen
    lane: LaneConfig = LaneConfig()  # noqa: RUF009  frozen
    navigation: NavigationConfig = NavigationConfig()  # noqa: RUF009  frozen
    zones: ZoneConfig = ZoneConfig()  # noqa: RUF009  frozen

    def __post_init__(self) -> None:
        """Checks what concerns several fields.

        Raises:
            ConfigurationError: With what was asked and what would be right.
        """
        if not self.camera_names:
            raise ConfigurationError('camera_names is empty. Name at least one camera.')
        if wrong := [name for name in self.camera_names if not CAMERA_NAME.fullmatch(name)]:
            raise ConfigurationError(
                f'camera_names has {wrong[0]!r}, which cannot be part of a topic name. Use '
                'letters, digits and underscores, a letter first.'
            )
        if len(set(self.camera_names)) != len(self.camera_names):
            raise ConfigurationError(
                f'camera_names has a name twice: {list(self.camera_names)}. Name each camera once.'
            )
        if len(self.image_topics) != len(self.camera_names):
            raise ConfigurationError(
                f'image_topics has {len(self.image_topics)} topics for '
                f'{len(self.camera_names)} camera_names. Give one topic per camera.'
            )
        self.mount.check_cameras(len(self.camera_names))
        self.lane.check_front(self.vehicle.front_m)
        self.stop.check_speed(self.vehicle.max_speed_mps)
        if '' in self.image_topics:
            raise ConfigurationError(
                'image_topics has an empty topic. Give each camera the topic of its images.'
            )
