# SPDX-License-Identifier: Apache-2.0
"""Tests of the node and of replay share a process: there, both have the messages of ROS.

Hypothesis draws the same examples in every run, so that a run says something about the code alone;
SEG_ROS_EXPLORE=1 draws new ones. None has a deadline: on a busy machine a test is not wrong.
"""

import contextlib
import os

from seg_ros.core.errors import ConfigurationError

with contextlib.suppress(ConfigurationError):  # the tests of the training have no messages
    import seg_ros.messages.types  # noqa: F401  decides, before a replay prefers plain classes

with contextlib.suppress(ImportError):  # the tests of the training draw nothing
    from hypothesis import settings

    explore = bool(os.environ.get('SEG_ROS_EXPLORE'))
    settings.register_profile('seg_ros', derandomize=not explore, deadline=None)
    settings.load_profile('seg_ros')
