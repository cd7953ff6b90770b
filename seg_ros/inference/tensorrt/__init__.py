"""TensorRT: plans are made (``plan_maker.py``), cached and run (read ``backend.py`` first).

May import ``seg_ros.inference`` with its rooms ``cuda`` and ``onnx``, and TensorRT through
``api.py`` alone; of ``seg_ros.inference`` only the registry and what it switches import this.
"""
