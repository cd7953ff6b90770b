# SPDX-License-Identifier: Apache-2.0
"""Engines and the backends that run them; read ``base.py``, then ``registry.py``.

May import ``seg_ros.core``; never ROS, and a runtime's library only where it is used. In which
order its own files may import each other is a contract in ``pyproject.toml``.
"""
