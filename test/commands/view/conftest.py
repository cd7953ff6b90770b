# SPDX-License-Identifier: Apache-2.0
"""What the tests on the graph share."""

from test.ros.fixtures import *  # noqa: F403
