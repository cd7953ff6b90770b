"""Engines and the backends that run them; read ``base.py``, then ``registry.py``.

May import ``seg_ros.core``; never ROS, and the library of a runtime only where it is used.
"""
