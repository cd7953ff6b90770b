# SPDX-License-Identifier: Apache-2.0
"""People who touch, told apart by a learned head: its data, its training, its figures."""
