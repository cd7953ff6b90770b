"""Which decisions are said beside DECISION_OUTPUTS: what the configuration asks for."""

from __future__ import annotations

from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.messages.decision_output import DecisionOutput
from seg_ros.messages.detection_outputs import detection_outputs
from seg_ros.messages.lane_outputs import lane_outputs
from seg_ros.messages.zone_outputs import zone_outputs

__all__ = ['configured_outputs']


def configured_outputs(config: NodeConfig) -> tuple[DecisionOutput, ...]:
    """Returns the rows, for the node and for a replay alike."""
    return (*detection_outputs(), *lane_outputs(config.lane), *zone_outputs(config.zones))
