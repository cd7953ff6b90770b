"""Which images are made of a camera's frame: one row a topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ['OUTPUTS', 'Output']


class Output(NamedTuple):
    """One topic.

    Attributes:
        topic: Name below the node, or below the camera where there are several.
        image: Which image of ``pipeline.IMAGES`` it carries.
        encoding: Its pixels; jpeg is published as CompressedImage.
    """

    topic: str
    image: str
    encoding: str

    @property
    def type_name(self) -> str:
        return f'sensor_msgs/msg/{"CompressedImage" if self.encoding == "jpeg" else "Image"}'


OUTPUTS: Mapping[str, Output] = {
    row.topic: row
    for row in (
        Output('label', 'label', 'mono8'),
        Output('confidence', 'confidence', 'mono8'),
        Output('overlay', 'overlay', 'rgb8'),
        Output('overlay/compressed', 'overlay', 'jpeg'),
    )
}
