# SPDX-License-Identifier: Apache-2.0
"""``seg_ros golden``: three simulated drives, replayed and held against what is expected.

Read ``command.py`` first. May import ``sim``, ``replay`` and ``report``.
"""
