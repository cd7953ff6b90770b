"""What the tests on the graph share."""

from test.ros.fixtures import *  # noqa: F403
