# SPDX-License-Identifier: Apache-2.0
"""``seg_ros camera``: a drive, video, folder or bag as a camera on the ROS graph.

Read ``command.py`` first. May import ``rclpy``, ``recordings``, ``messages`` and
``commands.shared``.
"""
