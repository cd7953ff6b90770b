# SPDX-License-Identifier: Apache-2.0
"""Records what a launch file says; see the README beside."""
