# SPDX-License-Identifier: Apache-2.0
"""Training of the shipped networks, on torch: never installed on the robot."""
