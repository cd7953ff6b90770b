"""What happened on a recorded drive: figures, timeline and worst moments, to read and to compare.

May import ``seg_ros.pictures`` and ``seg_ros.core``; needs no ROS.
"""
