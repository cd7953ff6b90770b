# SPDX-License-Identifier: Apache-2.0
"""What reads bytes of others, one function a kind; each raises nothing but errors of ours."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from seg_ros.commands.evaluate.lane.tusimple import read_frames
from seg_ros.core.errors import SegRosError
from seg_ros.core.image.announced import is_turned
from seg_ros.core.image.decoding import decode_compressed, decode_file
from seg_ros.core.parameters.gate_config import GateConfig
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.inference.engine import ONNX_FILE, load_engine, model_of
from seg_ros.inference.onnx.model_file import cut_to_outputs, read_inputs_and_outputs
from seg_ros.inference.spec import SPEC_FILE
from seg_ros.inference.tensorrt.plan_cache import PlanCache
from seg_ros.inference.tuning.memory import recall, tuned_path
from seg_ros.messages.plain import typestore
from seg_ros.parameter_files import config_of_given, given_parameters, values_of_mapping
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.image_file import labels_of_file
from seg_ros.replay.job import read_lens
from seg_ros.replay.snapshot import DIGEST_BYTES, MAGIC, restored
from test.fuzz.told import KINDS, PIXELS, Told, told_by_fields
from test.inference.tensorrt.plans import KEY
from test.tiny_onnx import write_engine

__all__ = ['TARGETS', 'Target', 'run']

Target = Callable[[bytes], None]
_FOLDER = Path(tempfile.mkdtemp(prefix='seg_ros-fuzz-'))
_ENGINE = write_engine(_FOLDER / 'engine')


def run(name: str, data: bytes) -> None:
    """Gives bytes to a target; an error of ours is an answer."""
    with suppress(SegRosError):
        TARGETS[name](data)


# Messages


def message(data: bytes) -> None:
    """Raw CDR, as a bag has it, of every kind of message that is read."""
    told = Told(_ENGINE)
    for kind in KINDS:
        try:
            read = typestore().deserialize_cdr(data, kind)
        except Exception:
            continue  # what BagRecording.read makes an error of ours
        told.take(kind, read)


def fields(data: bytes) -> None:
    """Messages whose fields have any values that their types can."""
    told_by_fields(_ENGINE, data)


# Pictures


def image(data: bytes) -> None:
    is_turned(data)
    with suppress(SegRosError):
        decode_file(data, PIXELS).rgb((64, 36))
    decode_compressed(data, 'jpeg', PIXELS).rgb((64, 36))


def label_image(data: bytes) -> None:
    labels_of_file(_file('label.png', data), PIXELS)


# Engines


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


# What people write


def parameters(data: bytes) -> None:
    """A file of the node's, or the gate's, and the same text on the command line."""
    file = _file('parameters.yaml', data)
    for config in NodeConfig(), GateConfig():
        with suppress(SegRosError):
            config_of_given(given_parameters([file], config=type(config)), config)
    text = data.decode(errors='replace')
    with suppress(SegRosError):
        values_of_mapping(text, 'parameters')
    for words in text, f'stop.hold_s:={text}', f'zones.names:={text}':
        with suppress(SegRosError):
            config_of_given(given_parameters([], [words]), NodeConfig())


def calibration(data: bytes) -> None:
    read_lens(_file('lens.yaml', data)).intrinsics((640, 360))


def truth(data: bytes) -> None:
    """The labels of a data set of lanes."""
    list(read_frames(_file('truth/labels.json', data).parent))


# Caches


def sidecar(data: bytes) -> None:
    cache = PlanCache(_FOLDER / 'cache')
    cache.folder.mkdir(exist_ok=True)
    for name in (KEY.stem, 'other'):
        (cache.folder / f'{name}.json').write_bytes(data)
        (cache.folder / f'{name}.plan').write_bytes(b'plan')
    cache.load(KEY)
    json.dumps([row.damage for row in cache.plans()])


def tuned(data: bytes) -> None:
    """What was measured on this machine; its key is ``{}``."""
    engine = load_engine(_ENGINE)
    path = tuned_path(engine, {}, _FOLDER / 'tuned')
    _file(f'tuned/{path.name}', data)
    recall(engine, {}, path.parent)


def checkpoint(data: bytes) -> None:
    """Also with a checksum that is right, behind which a mutation would never come else."""
    body = data[len(MAGIC) + DIGEST_BYTES :]
    for content in data, MAGIC + hashlib.sha256(body).digest() + body:
        with suppress(ValueError):
            restored(content)


# Recordings


def bag(data: bytes) -> None:
    _read(_file('mcap/drive.mcap', data))


def database(data: bytes) -> None:
    _read(_file('db3/drive.db3', data))


def ros1(data: bytes) -> None:
    _read(_file('ros1/drive.bag', data))


def packed(data: bytes) -> None:
    _read(_file('packed/drive.mcap.zstd', data))


def metadata(data: bytes) -> None:
    """The metadata.yaml of a bag that is whole."""
    folder = _file('indexed/metadata.yaml', data).parent
    shutil.copy(Path(__file__).parent / 'corpus/bag/drive.mcap', folder)
    _read(folder)


def _read(path: Path) -> None:
    recording = BagRecording(path)
    for row in recording.messages(recording.topics):
        with suppress(SegRosError):
            recording.read(row)


def _file(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


TARGETS: dict[str, Target] = {
    row.__name__: row
    for row in (
        message, fields, image, label_image, spec, network, parameters, calibration, truth,
        sidecar, tuned, checkpoint, bag, database, ros1, packed, metadata,
    )
}  # fmt: skip
