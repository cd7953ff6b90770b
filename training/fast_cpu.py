# SPDX-License-Identifier: Apache-2.0
"""Fast bf16 training on CPUs: depthwise convolution and batch norm with clip.

PyTorch 2.13 trains dense bf16 convolutions on AMX at full speed, but the gradients of depthwise
convolutions in bf16 take two thirds of a step, and batch norm, ReLU6 and their gradients half of
the rest. Two small C++ kernels (fast_cpu.cpp, built by g++ at first use into out/) bring a step
of RoadSeg from 374 to about 100 ms an image. The modules here are drop-ins: without g++, AVX-512
bf16, or outside bf16 training they are the PyTorch operations.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ['BatchNormClip', 'DepthwiseConv2d', 'kernels']

SOURCE = Path(__file__).with_name('fast_cpu.cpp')
BUILD_FOLDER = Path(__file__).resolve().parents[1] / 'out' / 'build'
NEEDED_CPU_FLAGS = {'avx512f', 'avx512bw', 'avx512vl', 'avx512_bf16'}


@functools.cache
def kernels() -> ctypes.CDLL | None:
    """The compiled kernels, or None where this machine cannot build or run them."""
    if os.environ.get('SEG_ROS_PLAIN_TORCH'):
        return None
    try:
        flags = set(Path('/proc/cpuinfo').read_text().split())
    except OSError:
        return None
    if not flags >= NEEDED_CPU_FLAGS:
        return None
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    library = BUILD_FOLDER / f'fast_cpu-{digest}.so'
    if not library.exists():
        BUILD_FOLDER.mkdir(parents=True, exist_ok=True)
        partial = library.with_suffix(f'.{os.getpid()}')
        command = ['g++', '-O3', '-march=native', '-shared', '-fPIC', '-o', partial, SOURCE]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        partial.rename(library)
    return ctypes.CDLL(str(library))


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)


def sizes(*values: int) -> list[ctypes.c_int64]:
    return [ctypes.c_int64(value) for value in values]


def rows(x: Tensor) -> Tensor:
    """`x` as contiguous channels-last memory."""
    return x.contiguous(memory_format=torch.channels_last)


class DepthwiseFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        x = rows(x.to(torch.bfloat16))
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        with torch.autocast('cpu', enabled=False):
            return functional.conv2d(
                x,
                weight.to(torch.bfloat16),
                None,
                stride,
                weight.shape[-1] // 2,
                groups=weight.shape[0],
            )

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        gradient = rows(gradient.to(torch.bfloat16))
        n, c, h, w = x.shape
        kernel = weight.shape[-1]
        taps = weight.detach().to(torch.bfloat16).float().reshape(c, -1).t().contiguous()
        dx, dtaps = torch.empty_like(x), torch.empty_like(taps)
        kernels().depthwise_backward(
            *map(pointer, (x, gradient, taps, dx, dtaps)),
            *sizes(n, h, w, c, gradient.shape[2], gradient.shape[3], kernel, ctx.stride),
        )
        return dx, dtaps.t().reshape(weight.shape).contiguous(), None


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution of kernel 3 or 5 with padding kernel // 2 and no bias."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        if fast(self, x):
            return DepthwiseFunction.apply(x, self.weight, self.stride[0])
        return super().forward(x)


class NormFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, gamma: Tensor, beta: Tensor, module: BatchNormClip) -> Tensor:
        x = rows(x)
        n, c, h, w = x.shape
        mean, variance = torch.empty(c), torch.empty(c)
        y = torch.empty_like(x)
        limits = [ctypes.c_float(v) for v in (module.eps, module.low, module.high)]
        kernels().norm_forward(
            *map(pointer, (x, gamma, beta, y, mean, variance)), *sizes(n * h * w, c), *limits
        )
        count = n * h * w
        module.running_mean.lerp_(mean, module.momentum)
        module.running_var.lerp_(variance * (count / max(count - 1, 1)), module.momentum)
        module.num_batches_tracked.add_(1)
        ctx.save_for_backward(x, gamma, beta, mean, variance)
        ctx.limits = limits
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, gamma, beta, mean, variance = ctx.saved_tensors
        gradient = rows(gradient.to(torch.bfloat16))
        n, c, h, w = x.shape
        dx, dgamma, dbeta = torch.empty_like(x), torch.empty_like(gamma), torch.empty_like(beta)
        kernels().norm_backward(
            *map(pointer, (x, gradient, gamma, beta, mean, variance, dx, dgamma, dbeta)),
            *sizes(n * h * w, c),
            *ctx.limits,
        )
        return dx, dgamma, dbeta, None


class BatchNormClip(nn.BatchNorm2d):
    """Batch norm followed by a clip to [low, high]: (0, 6) is ReLU6, (0, inf) ReLU."""

    def __init__(
        self,
        channels: int,
        low: float = 0.0,
        high: float = float('inf'),
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        if fast(self, x):
            return NormFunction.apply(x, self.weight, self.bias, self)
        y = super().forward(x)
        if self.low == 0.0:
            return (
                functional.relu(y)
                if self.high == float('inf')
                else functional.hardtanh(y, 0.0, self.high)
            )
        return y


def fast(module: nn.Module, x: Tensor) -> bool:
    """True in bf16 training on a CPU that has the kernels."""
    return (
        module.training
        and x.device.type == 'cpu'
        and x.dtype == torch.bfloat16
        and torch.is_grad_enabled()
        and kernels() is not None
    )
