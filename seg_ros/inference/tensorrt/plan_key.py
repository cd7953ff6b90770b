# SPDX-License-Identifier: Apache-2.0
"""What a TensorRT plan depends on, all of it: another value is another plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from seg_ros.inference.cuda.gpu import GpuInfo
from seg_ros.inference.engine import Engine, network_path
from seg_ros.inference.onnx.contract import read_model
from seg_ros.inference.tensorrt.api import RTX, TensorrtApi
from seg_ros.inference.tensorrt.plan_build import BUILD_REVISION, BuildOptions

__all__ = ['PlanKey', 'plan_key']


@dataclass(frozen=True)
class PlanKey:
    """The identity of a plan.

    Attributes:
        engine: Name of the engine, for people and file names.
        onnx_sha256: Of the file that it is built from.
        flavour: 'tensorrt' or 'tensorrt_rtx'.
        version: Its full version.
        target: GPU and architecture ('Orin (16 SMs) sm_87'), or a list ('sm_86,sm_89').
        precision: fp32, fp16 or int8.
        network_size: '640x360'.
        max_batch: Images that run together at most.
        builder: Revision of our builder.
    """

    engine: str
    onnx_sha256: str
    flavour: str
    version: str
    target: str
    precision: str
    network_size: str
    max_batch: int
    builder: str = BUILD_REVISION

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> PlanKey:
        """Returns the key that ``asdict`` made a row of.

        Raises:
            KeyError: A value is missing.
            TypeError: It is no row, or a value is of the wrong type.
        """
        key = cls(**{field.name: row[field.name] for field in fields(cls)})
        for name, value in asdict(key).items():
            if type(value) is not (int if name == 'max_batch' else str):
                raise TypeError(f'{name} is {value!r}')
        return key

    @property
    def digest(self) -> str:
        """The same for the same plan only."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def stem(self) -> str:
        """File name without its suffix, readable at its beginning."""
        words = ''.join(c if c.isalnum() else '-' for c in f'{self.engine}-{self.precision}')
        return f'{words}-{self.digest[:16]}'

    def serves(self, wanted: PlanKey) -> bool:
        """Returns whether a plan of this key does what another key asks for."""
        if self == wanted:
            return True
        architecture = wanted.target.rsplit(' ', 1)[-1]
        same = all(
            getattr(self, row.name) == getattr(wanted, row.name)
            for row in fields(self)
            if row.name not in ('target', 'max_batch')
        )
        is_target = self.target == wanted.target or (
            # TensorRT for RTX finishes the kernels on the GPU that it meets.
            self.flavour == RTX and architecture in self.target.split(',')
        )
        return same and is_target and self.max_batch >= wanted.max_batch

    def differences(self, wanted: PlanKey) -> list[str]:
        """Returns in words how a plan of this key is not the one that is asked for."""
        words = []
        if self.onnx_sha256 != wanted.onnx_sha256:
            words.append('was built from another network file')
        if (self.flavour, self.version) != (wanted.flavour, wanted.version):
            words.append(
                f'was built by {self.flavour} {self.version}, this is {wanted.flavour} '
                f'{wanted.version}'
            )
        if self.target != wanted.target:
            words.append(f'is for {self.target}, this is {wanted.target}')
        if self.precision != wanted.precision:
            words.append(f'is in {self.precision}, asked is {wanted.precision}')
        if self.network_size != wanted.network_size:
            words.append(f'takes {self.network_size}, asked is {wanted.network_size}')
        if self.max_batch < wanted.max_batch:
            words.append(f'takes {self.max_batch} images at most, asked is {wanted.max_batch}')
        if self.builder != wanted.builder:
            words.append('was built by another seg_ros')
        return words


def plan_key(
    engine: Engine, options: BuildOptions, api: TensorrtApi, gpu: GpuInfo | None
) -> PlanKey:
    """Returns the key of a plan.

    Args:
        engine: Its network.
        options: What it is built for.
        api: By what.
        gpu: The GPU of this machine; needed only where the options name no targets.

    Raises:
        EngineError: INT8 without its file.
    """
    path = network_path(engine, options.precision)
    target = ','.join(sorted(options.targets))
    if not target:
        assert gpu is not None
        target = gpu.target
    width, height = engine.network_size_wh
    return PlanKey(
        engine=engine.name,
        onnx_sha256=hashlib.sha256(read_model(path)).hexdigest(),
        flavour=api.flavour,
        version=api.version,
        target=target,
        precision=options.precision,
        network_size=f'{width}x{height}',
        max_batch=options.max_batch,
    )
