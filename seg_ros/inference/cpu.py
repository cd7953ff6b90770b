"""What this machine's processor can do and how much of it is ours."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ['available_cores', 'bf16_instructions', 'inference_threads']

BF16_FLAGS = ('amx_bf16', 'avx512_bf16')  # Intel Sapphire Rapids and AMD Zen 4 onwards


def inference_threads(asked: int) -> int:
    """Returns the threads for inference: what was asked, or for 0 one per free core.

    One core is left to the camera and the executor. With a thread too many, a busy neighbour
    doubles the latency (platform-facts.md, section 3).
    """
    return asked or max(1, available_cores() - 1)


def available_cores(cpu_max: Path = Path('/sys/fs/cgroup/cpu.max')) -> int:
    """Returns the cores that this process may use, by its affinity and its container's limit."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
    except OSError:  # no container, or control groups of version 1
        return cores
    return cores if quota == 'max' else min(cores, max(1, int(quota) // int(period)))


def bf16_instructions(cpuinfo: Path = Path('/proc/cpuinfo')) -> tuple[str, ...]:
    """Returns which bf16 instructions the processor has; empty without any, or unknown."""
    try:
        flags = set(cpuinfo.read_text().split())
    except OSError:
        return ()
    return tuple(flag for flag in BF16_FLAGS if flag in flags)
