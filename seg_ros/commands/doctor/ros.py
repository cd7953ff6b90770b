# SPDX-License-Identifier: Apache-2.0
"""What ``seg_ros doctor`` looks at in ROS: an image through the middleware, and its settings.

ROS runs in a child process: the command line never imports it, and a broken installation cannot
take the doctor with it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from seg_ros.commands.doctor.check import CheckResult
from seg_ros.ros.middleware import (
    FASTDDS_PROFILE,
    LARGEST_DOMAIN,
    TRANSPORT_VARIABLE,
    profile_variable,
    said_by_ros,
    start_advice,
)
from seg_ros.ros.silence import IMAGE_TYPES, cameras_among, nobody_publishes

__all__ = ['Finding', 'discovery_rows', 'find_ros', 'ros_rows', 'shared_memory_rows']

SHARED_MEMORY = Path('/dev/shm')  # noqa: S108  where Fast DDS keeps its segments
SEGMENT_BYTES = 32 << 20  # one per process, by our profile
ROOMY_BYTES = 8 * SEGMENT_BYTES  # node, recorder and a few camera drivers
LARGE_IMAGE_BYTES = 4 << 20  # a segment must hold more than one image: 1280x720 rgb8 has 2.7 MB

MESSAGES = ('sensor_msgs', 'std_msgs', 'diagnostic_msgs', 'lifecycle_msgs', 'rcl_interfaces')
MORE = {
    'vision_msgs': 'label_info and detections',
    'nav2_msgs': 'speed_limit',
}  # topics that are left out without these
# Without these a node waits in vain; odometry, say, need not come
MUST_COME = (*IMAGE_TYPES, 'sensor_msgs/msg/CameraInfo')
RANGES = ('SUBNET', 'LOCALHOST', 'SYSTEM_DEFAULT', 'OFF')

INSTALL = (
    "Without a ROS installation: pip install '.[jazzy,cpu]' in the repository. With one: source "
    '/opt/ros/<distribution>/setup.bash, then: rosdep install --from-paths src -y'
)

CHILD_TIMEOUT_S = 40.0  # the child itself looks for 11 s at most

# Sends an image to itself, and tells who is on the graph that it meets within a second.
CHILD = """
import array, json, os, time
import rclpy
from rclpy.qos import qos_profile_sensor_data as sensor_data
from sensor_msgs.msg import Image

rclpy.init()
node = rclpy.create_node('seg_ros_doctor')
own = '/seg_ros_doctor_%d' % os.getpid()
received = []
node.create_subscription(Image, own, received.append, sensor_data)
publisher = node.create_publisher(Image, own, sensor_data)
image = Image(height=1, width=1, encoding='mono8', step=1, data=array.array('B', [0]))
start = time.monotonic()
while time.monotonic() - start < (1.0 if received else 10.0):
    publisher.publish(image)
    rclpy.spin_once(node, timeout_sec=0.1)
offered = {}
topics = {}
for topic, types in node.get_topic_names_and_types():
    rows = node.get_publishers_info_by_topic(topic) if topic != own else []
    if rows:
        topics[topic] = types
        words = {row.qos_profile.reliability.name.lower().replace('_', ' ') for row in rows}
        offered[topic] = 'best effort' if 'best effort' in words else words.pop()
readers = {}
for name, namespace in node.get_node_names_and_namespaces():
    if name != node.get_name():
        try:
            read = node.get_subscriber_names_and_types_by_node(name, namespace)
        except Exception:  # it has gone meanwhile
            continue
        readers[namespace.rstrip('/') + '/' + name] = dict(read)
print(json.dumps({
    'middleware': rclpy.get_rmw_implementation_identifier(),
    'received': len(received),
    'topics': topics,
    'offered': offered,
    'readers': readers,
}))
node.destroy_node()
rclpy.shutdown()
"""


class Finding(NamedTuple):
    """What the child process saw of ROS.

    Attributes:
        middleware: Name of the rmw implementation, empty when ROS does not start.
        received: Whether an image came back.
        cameras: Reliability that each image topic's publisher offers; our own outputs are none.
        unfed: What each running node reads of cameras and stops though nobody publishes it; the
            type by the topic.
        error: Last line of what the child said when it failed.
    """

    middleware: str = ''
    received: bool = False
    cameras: Mapping[str, str] = {}
    unfed: Mapping[str, Mapping[str, str]] = {}
    error: str = ''


def find_ros() -> Finding:
    """Starts ROS in a child process, sends an image through it and looks at the graph."""
    try:
        child = subprocess.run(
            [sys.executable, '-c', CHILD],
            capture_output=True,
            text=True,
            timeout=CHILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding(error=f'it did not answer within {CHILD_TIMEOUT_S:.0f} s')
    if child.returncode:
        said = child.stderr.strip().splitlines() or [f'exit code {child.returncode}']
        return Finding(error=said[-1])
    told = json.loads(child.stdout.strip().splitlines()[-1])
    topics = told['topics']
    return Finding(
        told['middleware'],
        bool(told['received']),
        {topic: told['offered'][topic] for topic in cameras_among(topics)},
        _unfed(told['readers'], topics),
    )


def _unfed(
    readers: Mapping[str, Mapping[str, Sequence[str]]], topics: Collection[str]
) -> dict[str, dict[str, str]]:
    """Returns what nodes read of cameras and stops though nobody publishes it."""
    found: dict[str, dict[str, str]] = {}
    for node, read in readers.items():
        for topic, types in read.items():
            is_stop = topic.endswith('/pedestrian_stop')
            kinds = [kind for kind in types if kind in MUST_COME or is_stop]
            if kinds and topic not in topics:
                found.setdefault(node, {})[topic] = kinds[0]
    return found


def ros_rows(finding: Finding) -> Iterable[CheckResult]:
    """Yields distribution, middleware, messages and the cameras on the graph."""
    wheels = _wheel_distributions()
    sourced = os.environ.get('ROS_DISTRO', '')
    distribution = wheels[0] if wheels else sourced or 'unknown distribution'
    prefixes = os.environ.get('AMENT_PREFIX_PATH', 'no prefix')
    origin = 'wheels' if wheels else prefixes.split(':')[-1]
    if finding.error:
        is_missing = any(word in finding.error for word in ('ModuleNotFoundError', 'ImportError'))
        said = finding.error if is_missing else said_by_ros(finding.error)
        fix = INSTALL if is_missing else start_advice(said)
        yield CheckResult('ROS', False, f'does not start: {said}', fix)
        return
    if len(wheels) > 1 or (wheels and sourced and sourced not in wheels):
        yield CheckResult(
            'ROS',
            True,
            f'{", ".join(wheels)} as wheels, {sourced or "none"} sourced',
            'Two distributions in one process end badly: open a shell that sources none.',
        )
    else:
        yield CheckResult('ROS', True, f'{distribution} ({origin})')
    if finding.received:
        yield CheckResult('middleware', True, f'{finding.middleware}; an image came through')
    else:
        yield CheckResult(
            'middleware',
            False,
            f'{finding.middleware}; no image came through within 10 s',
            'Unset ROS_AUTOMATIC_DISCOVERY_RANGE, ROS_LOCALHOST_ONLY and FASTDDS_*, look at '
            'the rows below, and let a firewall pass UDP 7400 to 65535 on the loopback.',
        )
    if missing := [name for name in MESSAGES if find_spec(name) is None]:
        packages = ' '.join(f'ros-{distribution}-{name.replace("_", "-")}' for name in missing)
        yield CheckResult(
            'messages', False, f'missing: {", ".join(missing)}', f'apt install {packages}'
        )
    else:
        less = [f'without {name} no {what}' for name, what in MORE.items() if not find_spec(name)]
        yield CheckResult('messages', True, '; '.join(['all', *less]))
    yield _camera_row(finding)
    for node, topics in sorted(finding.unfed.items()):
        yield _reader_row(node, topics, sorted(finding.cameras))


def shared_memory_rows(finding: Finding) -> Iterable[CheckResult]:
    """Yields how large images travel between processes of this machine."""
    try:
        usage = shutil.disk_usage(SHARED_MEMORY)
    except OSError as error:
        yield CheckResult(
            'shared memory',
            True,
            f'no {SHARED_MEMORY}: {error.strerror}; images go through UDP and are slower',
            f'Mount a tmpfs at {SHARED_MEMORY}.',
        )
    else:
        words = f'{usage.free >> 20} of {usage.total >> 20} MB free in {SHARED_MEMORY}'
        fix = (
            'In a container: --shm-size=512m or --ipc=host. Else remove stale files: fastdds shm '
        )
        fix += f'clean, or rm {SHARED_MEMORY}/fastrtps_* when no ROS process runs.'
        is_enough = usage.free >= SEGMENT_BYTES
        yield CheckResult(
            'shared memory', is_enough, words, '' if usage.free >= ROOMY_BYTES else fix
        )
    if finding.middleware and 'fastrtps' not in finding.middleware:
        yield CheckResult('Fast DDS', True, f'not in use ({finding.middleware})')
    else:
        yield _fast_dds_row()


def discovery_rows() -> Iterable[CheckResult]:
    """Yields who can hear whom."""
    domain = os.environ.get('ROS_DOMAIN_ID', '')
    if domain and not (domain.isdigit() and int(domain) <= LARGEST_DOMAIN):
        yield CheckResult(
            'domain',
            False,
            f'ROS_DOMAIN_ID is {domain!r}',
            f'Set it to a number from 0 to {LARGEST_DOMAIN} (0 to 101 is safe everywhere).',
        )
    else:
        yield CheckResult('domain', True, f'ROS_DOMAIN_ID {domain or "0 (not set)"}')
    reach = os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '')
    if reach and reach not in RANGES:
        yield CheckResult(
            'discovery',
            False,
            f'ROS_AUTOMATIC_DISCOVERY_RANGE is {reach!r}',
            f'Set it to one of {", ".join(RANGES)}, or unset it.',
        )
    elif reach == 'OFF':
        yield CheckResult(
            'discovery',
            False,
            'ROS_AUTOMATIC_DISCOVERY_RANGE is OFF; the node finds no camera',
            'Set it to LOCALHOST or SUBNET, or unset it.',
        )
    elif reach == 'LOCALHOST' or os.environ.get('ROS_LOCALHOST_ONLY') == '1':
        yield CheckResult(
            'discovery', True, 'this machine only; cameras on other machines are not found'
        )
    else:
        yield CheckResult('discovery', True, f'{reach or "SUBNET (not set)"}')


def _wheel_distributions() -> list[str]:
    """Returns the ROS distributions that are installed as wheels."""
    names = (row.metadata['Name'] or '' for row in metadata.distributions())
    found = (re.fullmatch(r'ros-(\w+)-rclpy', name) for name in names)
    return sorted({match[1] for match in found if match})


def _camera_row(finding: Finding) -> CheckResult:
    if not finding.cameras:
        return CheckResult('cameras', True, 'no image topic on the graph now')
    words = ', '.join(f'{topic} ({offered})' for topic, offered in sorted(finding.cameras.items()))
    if 'best effort' in finding.cameras.values():
        return CheckResult(
            'cameras',
            True,
            words,
            'Best-effort images over 0.5 MB arrive only when the camera driver, too, was started '
            f'with {profile_variable()}={FASTDDS_PROFILE}; or set the driver to reliable.',
        )
    return CheckResult('cameras', True, words)


def _reader_row(node: str, topics: Mapping[str, str], cameras: Sequence[str]) -> CheckResult:
    """Returns what a running node waits for, and what was probably meant."""
    value = ', '.join(f'{topic} ({kind})' for topic, kind in sorted(topics.items()))
    images = [topic for topic, kind in sorted(topics.items()) if kind in IMAGE_TYPES]
    fixes = [nobody_publishes(topic, cameras) for topic in images]
    others = [f'nobody publishes {topic}' for topic in sorted(topics) if topic not in images]
    text = '. '.join(row[0].upper() + row[1:] for row in [*fixes, *others])
    return CheckResult(f'node {node}', True, f'waits for {value}', f'{text}.')


def _fast_dds_row() -> CheckResult:
    """Returns whether large images find a segment that holds them."""
    if transports := os.environ.get(TRANSPORT_VARIABLE):
        return CheckResult(
            'Fast DDS',
            True,
            f'{TRANSPORT_VARIABLE}={transports}; our profile is not applied',
            f'Unset {TRANSPORT_VARIABLE} unless images over 0.5 MB are known to arrive.',
        )
    chosen = os.environ.get(profile_variable(), '')
    if not chosen or Path(chosen) == FASTDDS_PROFILE:
        return CheckResult(
            'Fast DDS',
            True,
            'our profile with 32 MB of shared memory'
            + ('' if chosen else ', for our own processes'),
            ''
            if chosen
            else f'For camera drivers too: export {profile_variable()}={FASTDDS_PROFILE}',
        )
    fix = f'Unset {profile_variable()}, or set it to {FASTDDS_PROFILE}'
    try:
        tree = ElementTree.parse(chosen)  # noqa: S314  the user's own file
    except (OSError, ElementTree.ParseError) as error:
        return CheckResult(
            'Fast DDS', False, f'{profile_variable()}={chosen} cannot be read: {error}', fix
        )
    segments = [
        int(node.text or 0)
        for node in tree.iter()
        if node.tag.rpartition('}')[2] == 'segment_size'
    ]
    size = max(segments, default=512 << 10)  # what Fast DDS takes by itself
    return CheckResult(
        'Fast DDS',
        True,
        f'{chosen} with {size / (1 << 20):.3g} MB of shared memory',
        '' if size >= LARGE_IMAGE_BYTES else f'Larger images get lost. {fix}',
    )
