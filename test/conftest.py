"""Tests of the node and of replay share a process: there, both have the messages of ROS."""

from seg_ros.messages.types import uses_ros

uses_ros()
