# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from test.inference.fake_builds import machine  # noqa: F401  a fixture
