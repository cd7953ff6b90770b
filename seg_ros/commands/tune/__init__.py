# SPDX-License-Identifier: Apache-2.0
"""``seg_ros tune``: which backend, precision and threads are fastest here; read ``command.py``."""
