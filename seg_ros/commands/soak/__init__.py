# SPDX-License-Identifier: Apache-2.0
"""``seg_ros soak``: four cameras for as long as one likes, and what grows meanwhile.

Read ``command.py`` first, then ``drift.py``, which says what may grow and by how much.
"""
