# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from torch.nn import functional  # noqa: E402

from training.fast_cpu import BatchNormClip, DepthwiseConv2d, kernels  # noqa: E402

pytestmark = pytest.mark.skipif(
    kernels() is None, reason='the kernels need g++ and a CPU with AVX-512 bf16'
)


def activation(channels: int, height: int, width: int) -> torch.Tensor:
    x = torch.randn(2, channels, height, width) * 2 + 1
    return x.bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()


@pytest.mark.parametrize('kernel', [3, 5])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize(('channels', 'height', 'width'), [(16, 13, 17), (24, 32, 18), (40, 9, 8)])
def test_depthwise_gradients_are_those_of_torch(
    kernel: int, stride: int, channels: int, height: int, width: int
) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv2d(channels, kernel, stride).train()
    x = activation(channels, height, width)
    y = layer(x)
    gradient = torch.randn_like(y)
    y.backward(gradient)

    exact = x.detach().float().requires_grad_()
    weight = layer.weight.detach().bfloat16().float().requires_grad_()
    expected = functional.conv2d(exact, weight, None, stride, kernel // 2, groups=channels)
    expected.backward(gradient.float())
    torch.testing.assert_close(y.float(), expected, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(x.grad.float(), exact.grad, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(layer.weight.grad, weight.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(('low', 'high'), [(0.0, 6.0), (0.0, math.inf), (-math.inf, math.inf)])
@pytest.mark.parametrize('channels', [16, 24, 40])
def test_batch_norm_with_clip_is_that_of_torch(low: float, high: float, channels: int) -> None:
    torch.manual_seed(0)
    layer = BatchNormClip(channels, low, high).train()
    layer.weight.data.uniform_(0.5, 2)
    layer.bias.data.normal_()
    plain = torch.nn.BatchNorm2d(channels).train()
    plain.load_state_dict(layer.state_dict())
    x = activation(channels, 11, 12)
    y = layer(x)
    gradient = torch.randn_like(y)
    y.backward(gradient)

    exact = x.detach().float().requires_grad_()
    expected = functional.hardtanh(plain(exact), low, high) if high > low else plain(exact)
    expected.backward(gradient.float())
    torch.testing.assert_close(y.float(), expected, rtol=1e-2, atol=2e-2)
    # bf16 rounding may clip a value on the border differently
    assert ((x.grad.float() - exact.grad).abs() < 0.02).float().mean() > 0.995
    torch.testing.assert_close(layer.bias.grad, plain.bias.grad, rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(layer.running_mean, plain.running_mean)
    torch.testing.assert_close(layer.running_var, plain.running_var)
