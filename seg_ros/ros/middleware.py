# SPDX-License-Identifier: Apache-2.0
"""What a process that handles camera images sets before ``rclpy.init``.

Measured: without the profile best-effort images over 0.5 MB are nearly all lost; without the
allocator thresholds every large message costs hundreds of page faults, 2 to 3 times its time.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

__all__ = [
    'FASTDDS_PROFILE',
    'LARGEST_DOMAIN',
    'PROFILE_VARIABLES',
    'TRANSPORT_VARIABLE',
    'prepare_process',
    'profile_variable',
    'said_by_ros',
    'start_advice',
]

FASTDDS_PROFILE = Path(__file__).parents[1] / 'resource' / 'fastdds.xml'

# The library of each Fast DDS and the variable that it takes a profile from.
PROFILE_VARIABLES = {
    'libfastrtps.so': 'FASTRTPS_DEFAULT_PROFILES_FILE',  # 2: Humble, Jazzy
    'libfastdds.so': 'FASTDDS_DEFAULT_PROFILES_FILE',  # 3: Kilted and later
}
TRANSPORT_VARIABLE = 'FASTDDS_BUILTIN_TRANSPORTS'

# mallopt(3): parameter, value, and the variable by which a user sets the same.
ALLOCATOR_SETTINGS = (
    (-3, 512 << 20, 'MALLOC_MMAP_THRESHOLD_'),
    (-1, 1 << 30, 'MALLOC_TRIM_THRESHOLD_'),
    (-2, 64 << 20, 'MALLOC_TOP_PAD_'),
)

# What rcl adds to a sentence: where it found that out, and who asked it
PLACES = re.compile(r', at /[^ ,]+:\d+')
LAYERS = re.compile(r'^([\w.]*Error: |failed to initialize (rcl|logging): )')

LARGEST_DOMAIN = 232  # above it the ports of DDS do not exist

# What ROS says when it does not start, and what to do about it
ADVICE = (
    (
        ('log directory', 'logging directory', 'log file'),
        'Its log goes to $ROS_LOG_DIR, else to ~/.ros/log: set one to what this user can write.',
    ),
    (('DOMAIN_ID',), f'Set ROS_DOMAIN_ID to a number from 0 to {LARGEST_DOMAIN}, or unset it.'),
    (('external configuration',), 'Leave --log-config-file out.'),
    (('severity',), 'Its levels are debug, info, warn, error and fatal.'),
    (('remap rule',), 'Write it like -r image:=/camera/image or -r __ns:=/robot.'),
    (('parameter override',), 'Write it like -p stop.hold_s:=1.5.'),
    (('RMW', 'rmw'), 'Unset RMW_IMPLEMENTATION, or install what it names.'),
)


def prepare_process() -> list[str]:
    """Sets the Fast DDS profile and the allocator, unless the user has set their own.

    Returns:
        What was done, one sentence each, for the log.
    """
    return [_prepare_fastdds(), _prepare_allocator()]


def profile_variable() -> str:
    """Returns the variable that the installed Fast DDS takes a profile from; each has its own."""
    for folder in os.environ.get('LD_LIBRARY_PATH', '').split(os.pathsep):
        for library, variable in PROFILE_VARIABLES.items():
            if folder and (Path(folder) / library).exists():
                return variable
    return PROFILE_VARIABLES['libfastdds.so']


def said_by_ros(error: str) -> str:
    """Returns what ROS says without where in its sources it says so, on one line."""
    text = ' '.join(PLACES.sub('', error).split())
    while (shorter := LAYERS.sub('', text)) != text:
        text = shorter
    return text.rstrip('.')


def start_advice(reason: str) -> str:
    """Returns what to do when ROS does not start for a reason that it gives."""
    for words, advice in ADVICE:
        if any(word in reason for word in words):
            return advice
    return 'Look at the arguments after --ros-args and at the variables ROS_*.'


def _prepare_fastdds() -> str:
    names = (*PROFILE_VARIABLES.values(), TRANSPORT_VARIABLE)
    if theirs := [name for name in names if os.environ.get(name)]:
        return f'Fast DDS: left as {theirs[0]}={os.environ[theirs[0]]} says.'
    os.environ[profile_variable()] = str(FASTDDS_PROFILE)
    return f'Fast DDS: 32 MB of shared memory for images, by {FASTDDS_PROFILE}.'


def _prepare_allocator() -> str:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return 'Allocator: no mallopt in this C library; large messages cost more time.'
    for parameter, value, variable in ALLOCATOR_SETTINGS:
        if variable not in os.environ:
            mallopt(parameter, value)
    return 'Allocator: memory of large messages is kept for the next one.'
