# SPDX-License-Identifier: Apache-2.0
"""What the host and the GPU hand to each other: two sets of pinned arrays that take turns.

While the GPU has one set, the other is read and filled again. They are not the runner's: when a
GPU fails and a new runner is made, what was prepared meanwhile and what it said before stay valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import RgbBatch
from seg_ros.inference.cuda.device_memory import DeviceMemory
from seg_ros.inference.onnx.contract import CONFIDENCE, IMAGE, LABEL
from seg_ros.inference.onnx.plan_network import HEALTH

__all__ = ['SETS', 'HostSet', 'HostSets', 'tensor_shapes']

SETS = 2  # one for the GPU, one for the host


class HostSet(NamedTuple):
    """The arrays of one batch, by the names of their tensors.

    Attributes:
        arrays: Pinned.
        addresses: Where a GPU that works in the host's memory finds them; empty for others.
    """

    arrays: Mapping[str, NDArray[Any]]
    addresses: Mapping[str, int]


def tensor_shapes(
    count: int, size_wh: tuple[int, int]
) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
    """Returns shape and type of every tensor of a plan, for so many images."""
    width, height = size_wh
    return {
        IMAGE: ((count, height, width, 3), np.uint8),
        LABEL: ((count, height, width), np.uint8),
        CONFIDENCE: ((count, height, width), np.uint8),
        HEALTH: ((count,), np.float32),
    }


class HostSets:
    """Two sets that take turns; freed with their memory.

    Args:
        memory: Of the GPU, current in the calling thread.
        count: Images of a batch at most.
        size_wh: Network size.

    Attributes:
        count: As given.
    """

    def __init__(self, memory: DeviceMemory, count: int, size_wh: tuple[int, int]) -> None:
        self.count = count
        # The GPU of a Jetson works in the memory of the processor: nothing needs to be copied.
        is_mapped = memory.gpu.is_integrated
        sets = []
        for _ in range(SETS):
            arrays: dict[str, NDArray[Any]] = {}
            for name, (shape, dtype) in tensor_shapes(count, size_wh).items():
                arrays[name] = memory.host_array(shape, dtype, mapped=is_mapped)
                arrays[name][...] = 0
            addresses = {
                name: memory.mapped_address(array) for name, array in arrays.items() if is_mapped
            }
            sets.append(HostSet(arrays, addresses))
        self._sets = tuple(sets)
        self._next = 0

    def __getitem__(self, index: int) -> HostSet:
        return self._sets[index]

    def room(self, count: int) -> RgbBatch:
        """Returns the images of the set whose turn is next; the GPU does not have it."""
        images: RgbBatch = self._sets[self._next].arrays[IMAGE][:count]
        return images

    def take(self, images: RgbBatch) -> int:
        """Returns the number of the next set, with the images in it, and turns.

        Args:
            images: ``uint8 (N, H, W, 3)``, any strides; copied unless they are in its room.
        """
        index, room = self._next, self.room(len(images))
        is_there = images.flags.c_contiguous and images.ctypes.data == room.ctypes.data
        if not is_there:
            np.copyto(room, images)
        self._next = (index + 1) % SETS
        return index
