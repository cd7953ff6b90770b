# SPDX-License-Identifier: Apache-2.0
"""ONNX files: the deployment graph, and what makes graphs keep its contract.

Read ``contract.py`` first; with ``model_file.py`` it is all that a robot needs, without the
``onnx`` package. What needs that asks ``wrapping.onnx()``. May import ``seg_ros.core`` alone.
"""
