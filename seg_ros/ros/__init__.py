# SPDX-License-Identifier: Apache-2.0
"""The node on a ROS graph, and its gate.

Read ``segmentation_node.py`` first, then ``worker.py``, which takes a frame to its topics. May
import rclpy, message packages, and all that is below; never the workshop.
"""
