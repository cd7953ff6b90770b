# SPDX-License-Identifier: Apache-2.0
"""``seg_ros calibrate``: how a camera is mounted, from the lane markings that it sees.

Read ``command.py`` first. ``pictures.py`` says where pictures and lens come from, ``findings.py``
what was found and how sure that is, ``picture.py`` draws it. May import recordings and pictures.
"""
