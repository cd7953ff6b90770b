# SPDX-License-Identifier: Apache-2.0
"""What reads bytes of others, one function a kind; each raises nothing but errors of ours."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from seg_ros.core.errors import SegRosError
from seg_ros.core.image.announced import is_turned
from seg_ros.core.image.decoding import decode_compressed, decode_file, decode_image
from seg_ros.inference.engine import ONNX_FILE, load_engine, model_of
from seg_ros.inference.onnx.model_file import cut_to_outputs, read_inputs_and_outputs
from seg_ros.inference.spec import SPEC_FILE
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.messages.plain import typestore
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.image_file import labels_of_file
from seg_ros.replay.job import read_lens
from seg_ros.replay.snapshot import restored
from test.inference.tensorrt.plans import KEY
from test.tiny_onnx import write_engine

__all__ = ['TARGETS', 'Target', 'run']

Target = Callable[[bytes], None]
PIXELS = 1 << 22  # so that a hit of the fuzzer costs milliseconds
_FOLDER = Path(tempfile.mkdtemp(prefix='seg_ros-fuzz-'))
_ENGINE = write_engine(_FOLDER / 'engine')


def run(name: str, data: bytes) -> None:
    """Gives bytes to a target; an error of ours is an answer."""
    with suppress(SegRosError):
        TARGETS[name](data)


def image(data: bytes) -> None:
    is_turned(data)
    with suppress(SegRosError):
        decode_file(data, PIXELS).rgb((64, 36))
    decode_compressed(data, 'jpeg', PIXELS).rgb((64, 36))


def label_image(data: bytes) -> None:
    labels_of_file(_file('label.png', data), PIXELS)


def message(data: bytes) -> None:
    """The raw CDR of an image, as a bag has it."""
    for kind in ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'):
        try:
            read = typestore().deserialize_cdr(data, kind)
        except Exception:
            continue
        with suppress(SegRosError):
            decode_image(read, PIXELS).rgb((64, 36))


def spec(data: bytes) -> None:
    folder = _FOLDER / 'specs'
    folder.mkdir(exist_ok=True)
    shutil.copy(_ENGINE / ONNX_FILE, folder / ONNX_FILE)
    (folder / SPEC_FILE).write_bytes(data)
    load_engine(folder)


def network(data: bytes) -> None:
    with suppress(ValueError):
        read_inputs_and_outputs(data)
        cut_to_outputs(data, ['logits'])
    folder = _FOLDER / 'networks'
    folder.mkdir(exist_ok=True)
    shutil.copy(_ENGINE / SPEC_FILE, folder / SPEC_FILE)
    (folder / ONNX_FILE).write_bytes(data)
    engine = load_engine(folder)
    model_of(engine, engine.onnx_path)


def calibration(data: bytes) -> None:
    read_lens(_file('lens.yaml', data)).intrinsics((640, 360))


def sidecar(data: bytes) -> None:
    cache = PlanCache(_FOLDER / 'cache')
    cache.folder.mkdir(exist_ok=True)
    for name in (KEY.stem, 'other'):
        (cache.folder / f'{name}.json').write_bytes(data)
        (cache.folder / f'{name}.plan').write_bytes(b'plan')
    cache.load(KEY)
    json.dumps([row.damage for row in cache.plans()])


def checkpoint(data: bytes) -> None:
    with suppress(ValueError):
        restored(data)


def bag(data: bytes) -> None:
    recording = BagRecording(_file('drive.mcap', data))
    for row in recording.messages(recording.topics):
        with suppress(SegRosError):
            recording.read(row)


def _file(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    path.write_bytes(data)
    return path


TARGETS: dict[str, Target] = {
    row.__name__: row
    for row in (
        image, label_image, message, spec, network, calibration, sidecar, checkpoint, bag,
    )
}  # fmt: skip
