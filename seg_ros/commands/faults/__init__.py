# SPDX-License-Identifier: Apache-2.0
"""``seg_ros demo``: camera, node and recorder as processes, and what came of it in files.

Read ``command.py`` first, then ``recording.py``, which reads the bag. May import ``shared``,
recordings and pictures.
"""
