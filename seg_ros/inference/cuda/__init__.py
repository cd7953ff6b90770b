# SPDX-License-Identifier: Apache-2.0
"""The GPU's driver and memory, without TensorRT; read ``device_memory.py`` first.

May import ``seg_ros.core``; CUDA's libraries only when a GPU is asked for.
"""
