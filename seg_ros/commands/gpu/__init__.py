# SPDX-License-Identifier: Apache-2.0
"""``seg_ros gpu-check``: what only a machine with a GPU can say; read ``command.py``."""
