# SPDX-License-Identifier: Apache-2.0
"""TensorRT: read ``backend.py``, which runs a plan, then ``plan_maker.py``, which makes one.

May import ``seg_ros.inference`` with its rooms ``cuda`` and ``onnx``, and TensorRT through
``api.py`` alone; of ``seg_ros.inference`` only the registry and what it switches import this.

    plan_key       what a plan depends on       plan_build        ONNX in, plan out
    plan_cache     where plans lie              plan_check        compares it with ONNX Runtime
    plan_lock      who builds one now           plan_maker        all of these in order, once
    plan_runner    a plan on the GPU            background_build  has build_process do all that
"""
