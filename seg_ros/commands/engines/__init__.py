"""``seg_ros engines``: the TensorRT plans of this machine; read ``command.py``."""
