# SPDX-License-Identifier: Apache-2.0
"""The whole of the GPU code without a GPU: on a CUDA driver of our own.

    driver.c               libcuda.so.1 in host memory, stricter than a GPU
    stand_in.py            builds it, and is how a test speaks to it
    packages/tensorrt.py   a TensorRT that runs on it; its plans are ONNX models
    conftest.py            runs the tests of this folder in processes that have both

cuda-bindings, our memory, the plan runner, the commands and the node are the real ones.
"""
