"""Engines and the backends that run them. May import ``seg_ros.core``; never ROS."""
