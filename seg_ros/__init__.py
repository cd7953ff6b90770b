# SPDX-License-Identifier: Apache-2.0
"""Semantic segmentation for ROS 2: camera images in, label images and decisions out."""

__version__ = '0.2.0'

__all__ = ['__version__']
