# SPDX-License-Identifier: Apache-2.0
"""Pure logic: numpy and cv2 only. No rclpy, no messages, no engine, no clock, no files."""
