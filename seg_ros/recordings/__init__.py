# SPDX-License-Identifier: Apache-2.0
"""Recordings: one reader of bags, videos and folders of images, and cameras that play them.

Read ``recording.py`` first (what a recording is), then ``bag.py`` and ``picture_files.py`` (all
that there are). May import ``messages``, ``sim`` and ``core``; knows no ROS graph.
"""
