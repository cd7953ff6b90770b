# SPDX-License-Identifier: Apache-2.0
"""``seg_ros faults``: everything around the node breaks, and a witness judges its stop.

Read ``cases.py`` first, the table of faults, then ``stage.py``, which has hands on every process.
"""
