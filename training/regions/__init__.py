# SPDX-License-Identifier: Apache-2.0
"""Segmentation by regions and what came after it, beside the networks; no robot runs it."""
