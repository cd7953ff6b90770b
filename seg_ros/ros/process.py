# SPDX-License-Identifier: Apache-2.0
"""The process of ``ros2 run seg_ros segmentation_node``: what numpy must know as it comes."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from seg_ros.core.errors import SegRosError

__all__ = ['ONE_THREAD', 'main_process']

# numpy multiplies matrices of a few hundred rows here. OpenBLAS would do that with a thread a
# core, which wait for each other in loops: on a busy machine the synthetic road costs three times
# as much, and inference loses its cores.
ONE_THREAD = ('OPENBLAS_NUM_THREADS', '1')


def main_process() -> None:
    """Runs the node with the arguments of the process, and ends with its exit status."""
    os.environ.setdefault(*ONE_THREAD)  # read when numpy is imported
    node = import_module('seg_ros.ros.segmentation_node')
    try:
        sys.exit(node.main(sys.argv[1:]))
    except SegRosError as error:
        sys.exit(f'{node.NODE_NAME}: {error}')
