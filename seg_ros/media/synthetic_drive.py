"""The simulated road as a camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from seg_ros.core.errors import ConfigurationError
from seg_ros.media.sources import SourceFrame, SourceOptions
from seg_ros.sim import SCENARIOS, Drive, SceneConfig
from seg_ros.sim.classes import CLASS_NAMES, UNLABELLED

__all__ = ['SyntheticDrive', 'open_source']


class SyntheticDrive:
    """Drives a scene, without end.

    Args:
        name: What people call it.
        scene: What the drive looks like.
    """

    class_names: Mapping[int, str] | None = {
        class_id: name for class_id, name in CLASS_NAMES.items() if class_id != UNLABELLED
    }

    def __init__(self, name: str, scene: SceneConfig) -> None:
        self.name = f'synthetic road, {name}'
        self._scene = scene
        self.camera = Drive(scene).world.camera

    def frames(self) -> Iterator[SourceFrame]:
        for frame in Drive(self._scene):
            yield SourceFrame(frame.image, frame.stamp_ns, frame.labels)


def open_source(options: SourceOptions) -> SyntheticDrive:
    if options.what not in SCENARIOS:
        msg = (
            f'--scenario {options.what} is not known. Choose one of {", ".join(SCENARIOS)}, or '
            'play --video, --images or --bag.'
        )
        raise ConfigurationError(msg)
    scene = SCENARIOS[options.what]
    if options.rate_hz is not None:
        scene = replace(scene, rate_hz=options.rate_hz)
    if options.seed is not None:
        scene = replace(scene, seed=options.seed)
    return SyntheticDrive(options.what, scene)
