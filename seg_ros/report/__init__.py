# SPDX-License-Identifier: Apache-2.0
"""What happened on a recorded drive: figures, timeline and worst moments, to read and to compare.

Read ``drive.py`` first (what is read of a bag), then ``build.py`` (what is made of it). May import
``recordings``, ``pictures`` and ``core``; needs no ROS.
"""
