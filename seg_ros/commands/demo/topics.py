# SPDX-License-Identifier: Apache-2.0
"""The topics of the demo: what the camera sends, what the node answers.

These are their names in the bag. On the graph they are below ``NAMESPACE``, so that they are never
a robot's.
"""

from __future__ import annotations

__all__ = [
    'CAMERA_INFO',
    'CLASSES',
    'CONFIDENCE',
    'DECISIONS',
    'DIAGNOSTICS',
    'IMAGE',
    'IMAGE_COMPRESSED',
    'LABEL',
    'LABEL_INFO',
    'NAMESPACE',
    'OVERLAY',
    'RECORDED',
    'TRUTH',
    'TRUTH_CLASSES',
]

NAMESPACE = '/seg_ros_demo'

IMAGE = '/camera/image'
IMAGE_COMPRESSED = '/camera/image/compressed'
CAMERA_INFO = '/camera/camera_info'
TRUTH = '/camera/truth/label'
TRUTH_CLASSES = '/camera/truth/classes'

LABEL = '/segmentation/label'
CONFIDENCE = '/segmentation/confidence'
OVERLAY = '/segmentation/overlay/compressed'
CLASSES = '/segmentation/classes'
LABEL_INFO = '/segmentation/label_info'
DIAGNOSTICS = '/diagnostics'

DECISIONS = (
    'pedestrian_stop',
    'pedestrian_stop/status',
    'pedestrians',
    'lane_track',
    'lane_track/left',
    'lane_track/right',
    'lane_track/pose',
    'lane_track/status',
    'markers',
    'obstacles',
    'scan',
    'drivable',
    'costmap/mask',
)

# The raw image goes to the node alone: as JPEG beside it a bag of 20 s has 30 MB, not 300.
RECORDED = (
    IMAGE_COMPRESSED,
    CAMERA_INFO,
    TRUTH,
    TRUTH_CLASSES,
    LABEL,
    CONFIDENCE,
    OVERLAY,
    CLASSES,
    LABEL_INFO,
    DIAGNOSTICS,
    *(f'/segmentation/{name}' for name in DECISIONS),
)
