# SPDX-License-Identifier: Apache-2.0
"""``seg_ros wrap``: a network of somebody else becomes an engine; read ``command.py``."""
