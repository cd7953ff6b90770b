# SPDX-License-Identifier: Apache-2.0
"""``seg_ros doctor``: checks of the machine, ROS, the backends and the engines, with what to fix.

Read ``command.py`` first; the other files each yield results of checks. May import ``inference``
``ros.middleware`` and ``ros.silence``; never rclpy, which is tried in a child process.
"""
