# SPDX-License-Identifier: Apache-2.0
"""``seg_ros play``: a bag on the ROS graph as it was recorded, with its clock.

Read ``player.py`` first. May import ``rclpy``, ``recordings``, ``messages`` and
``commands.shared``.
"""
