# SPDX-License-Identifier: Apache-2.0
"""Inputs of navigation stacks: obstacles, free space, costmap images, people as detections.

Read ``navigator`` first: it makes of a frame what is wanted of ``obstacles`` and ``free_space``.
"""
