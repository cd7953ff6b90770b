#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What our GPU memory does on a real NVIDIA GPU, without TensorRT: half a minute, JSON on stdout.
# Needs Python 3.10 or newer with numpy and cuda-bindings. Three ways to wait for
# the GPU are compared: asleep (as the node does), as the driver likes, and spinning.
set -euo pipefail
cd "$(dirname "$0")/.."
for flag in 4 0 1; do  # cuda.h: CU_CTX_SCHED_BLOCKING_SYNC, _AUTO, _SPIN
  echo "== schedule $flag"
  PYTHONPATH=$PWD "${PYTHON:-python3}" - "$flag" <<'PYTHON'
import sys
from seg_ros.commands.gpu import memory_check
from seg_ros.inference.cuda import cuda_bindings_memory
cuda_bindings_memory.BLOCKING_SYNC = int(sys.argv[1])
sys.exit(memory_check.main())
PYTHON
done
