# SPDX-License-Identifier: Apache-2.0
"""Uses beside the road, end to end: pictures that we render, and what came out, judged.

`shelf` runs empty, `scan` has one channel of 16 bits, `rows` are driven between. Each renders its
pictures with exact labels and judges the bag that the node or `seg_ros replay` has written; what
lies between is the way of everybody's own classes. `picture_set` writes the files.
"""
