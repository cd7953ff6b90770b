# SPDX-License-Identifier: Apache-2.0
"""Sight: whether blind pictures are refused, and clean ones are not."""
