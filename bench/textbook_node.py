#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The peer of ``seg_ros bench``: semantic segmentation in ROS 2 as tutorials write it.

Typed messages, cv_bridge, pre- and post-processing in numpy, reliable QoS of depth 10, one
thread, ONNX Runtime as it comes. Nothing is made slow on purpose; bench/README.md says where it
was given more than the usual tutorial has.

    python textbook_node.py --ros-args -p model:=network.onnx -r image:=/camera/image
"""

import cv2
import numpy as np
import onnxruntime
import rclpy
from cv_bridge import CvBridge
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image


class TextbookSegmentation(Node):
    """Publishes a label image for every camera image."""

    def __init__(self) -> None:
        super().__init__('textbook')
        model = self.declare_parameter('model', '').value
        mean = self.declare_parameter('mean', [0.485, 0.456, 0.406]).value
        std = self.declare_parameter('std', [0.229, 0.224, 0.225]).value
        self.mean = np.array(mean, np.float32)
        self.std = np.array(std, np.float32)
        self.session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
        network_input = self.session.get_inputs()[0]
        self.input_name = network_input.name
        self.height, self.width = network_input.shape[2:]
        self.bridge = CvBridge()
        self.publisher = self.create_publisher(Image, 'label', 10)
        self.subscription = self.create_subscription(Image, 'image', self.on_image, 10)

    def on_image(self, message: Image) -> None:
        image = self.bridge.imgmsg_to_cv2(message, 'rgb8')

        # Pre-process
        resized = cv2.resize(image, (self.width, self.height))
        normalised = (resized.astype(np.float32) / 255.0 - self.mean) / self.std
        tensor = np.ascontiguousarray(normalised.transpose(2, 0, 1)[np.newaxis])

        # Run the network
        (scores,) = self.session.run(None, {self.input_name: tensor})

        # Post-process
        label = np.argmax(scores[0], axis=0).astype(np.uint8)
        label = cv2.resize(label, (message.width, message.height), interpolation=cv2.INTER_NEAREST)

        output = self.bridge.cv2_to_imgmsg(label, 'mono8')
        output.header = message.header
        self.publisher.publish(output)


def main() -> None:
    rclpy.init()
    node = TextbookSegmentation()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
