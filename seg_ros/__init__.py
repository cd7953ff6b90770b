"""Semantic segmentation for ROS 2: camera images in, label images and decisions out."""

__version__ = '0.1.0'

__all__ = ['__version__']
