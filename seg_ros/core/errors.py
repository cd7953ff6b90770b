# SPDX-License-Identifier: Apache-2.0
"""Every error that this package raises on purpose.

    SegRosError
    ├── ConfigurationError    a parameter, calibration or option that cannot work
    ├── EngineError           an engine folder, spec or ONNX file that cannot be used
    ├── BackendError          a backend that failed while it worked
    │   ├── BackendUnavailable    a backend that cannot run on this machine
    │   └── DeviceLost            a device that this process cannot use any more
    └── FrameError            one broken camera frame; the next one may be good

Each message says what was asked, what came, and what to do.
"""

__all__ = [
    'BackendError',
    'BackendUnavailable',
    'ConfigurationError',
    'DeviceLost',
    'EngineError',
    'FrameError',
    'SegRosError',
]


class SegRosError(Exception):
    """The root of the tree."""


class ConfigurationError(SegRosError):
    """A parameter, calibration or option that cannot work."""


class EngineError(SegRosError):
    """An engine folder, spec or ONNX file that cannot be used."""


class BackendError(SegRosError):
    """A backend that failed while it worked."""


class BackendUnavailable(BackendError):
    """A backend that cannot run on this machine."""


class DeviceLost(BackendError):
    """A device that this process cannot use any more, whatever it does: a new process can."""


class FrameError(SegRosError):
    """One broken camera frame; the next one may be good.

    Attributes:
        kind: A short stable name of what is broken, used to count and to log once per kind.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
