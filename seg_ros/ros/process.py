# SPDX-License-Identifier: Apache-2.0
"""The process of ``ros2 run seg_ros segmentation_node``: what numpy must know as it comes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType

from seg_ros.core.errors import SegRosError

__all__ = ['NUMPY_UNFIT', 'ONE_THREAD', 'main_process', 'module_of']

# numpy multiplies matrices of a few hundred rows here. OpenBLAS would do that with a thread a
# core, which wait for each other in loops: on a busy machine the synthetic road costs three times
# as much, and inference loses its cores.
ONE_THREAD = ('OPENBLAS_NUM_THREADS', '1')


NUMPY_UNFIT = (
    'cv2 and cv_bridge of Ubuntu 22.04 and 24.04 are built for numpy 1. If numpy of pip lies over '
    "Ubuntu's: pip uninstall numpy, or pip install 'numpy<2'. Or take both from PyPI, in a "
    'virtual environment: pip install numpy opencv-python-headless.'
)
"""What to do when numpy and what was compiled against it do not fit each other."""


def module_of(name: str) -> ModuleType:
    """Imports a module that may need numpy and cv2.

    Raises:
        SegRosError: They do not fit each other: what was compiled for numpy 1 meets numpy 2.
        ModuleNotFoundError: A package is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise
    except ImportError as error:
        if 'numpy' not in str(error):
            raise
        raise SegRosError(f'{" ".join(str(error).split())}. {NUMPY_UNFIT}') from error


def main_process() -> None:
    """Runs the node with the arguments of the process, and ends with its exit status."""
    os.environ.setdefault(*ONE_THREAD)  # read when numpy is imported
    try:
        sys.exit(module_of('seg_ros.ros.segmentation_node').main(sys.argv[1:]))
    except SegRosError as error:
        sys.exit(f'segmentation: {error}')
