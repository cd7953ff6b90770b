"""The ``seg_ros`` command line. No ROS: what needs a graph is started as a process."""
