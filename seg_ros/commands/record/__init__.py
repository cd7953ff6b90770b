# SPDX-License-Identifier: Apache-2.0
"""What the demo records with: topics of the ROS graph into a bag.

Read ``recorder.py`` first. May import ``rclpy``, ``recordings`` and ``commands.shared``.
"""
