# SPDX-License-Identifier: Apache-2.0
"""The node's parameters from a YAML file and from ``name:=value``, without a node."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.parameter_files import NODE, config_of_given, given_parameters

__all__ = ['config_of']

LOGGER = logging.getLogger(__name__)


def config_of(
    file: Path | None,
    assignments: Sequence[str],
    node: str = NODE,
    warn: Callable[[str], object] = LOGGER.warning,
) -> NodeConfig:
    """Returns the parameters as the node would have them.

    Args:
        file: A parameter file of ROS, like ``config/segmentation.yaml``; None has the defaults.
        assignments: Like ``mount.z:=[1.4]``; they win.
        node: Full name of the node that the file is read for.
        warn: Is told what the node would warn of, a sentence each.

    Raises:
        ConfigurationError: The file cannot be read or has nothing for the node, or a name or
            value that the node would refuse.
    """
    given = given_parameters([] if file is None else [file], assignments, node)
    for sentence in given.warnings:
        warn(sentence)
    return config_of_given(given, NodeConfig(), warn)
