# SPDX-License-Identifier: Apache-2.0
"""``seg_ros simulate``: the closed loop, a simulated vehicle that follows what the node publishes.

Read ``command.py`` first, then ``simulator.py``, which drives in a process of its own. May import
``shared``, ``ros`` and ``sim``.
"""
