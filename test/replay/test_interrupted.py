# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost: runs that are interrupted, disks that are full, recordings that are cut off."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rosbags.rosbag2 import CompressionMode

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.replay import ReplayProgress, replay
from seg_ros.replay.unfinished import Unfinished
from test.replay.recordings import IMAGE, drive_rows, messages_of, rows_of, write_bag

LABEL = '/segmentation/label'
CHECKPOINT_IMAGES = 7


@pytest.fixture(scope='session')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(
        tmp_path_factory.mktemp('bags') / 'drive',
        drive_rows(40, range(10, 25)),
        compression=CompressionMode.STORAGE,
        chunk_rows=20,
    )


@pytest.fixture
def job(bag: Path, tmp_path: Path, config: NodeConfig) -> ReplayJob:
    return ReplayJob(bag, tmp_path / 'out', config, checkpoint_images=CHECKPOINT_IMAGES)


def interrupted_at(images: int) -> Any:
    """Returns what is told how far a replay is, and presses Ctrl-C then."""

    def tell(progress: ReplayProgress) -> None:
        if progress.frames >= images:
            raise KeyboardInterrupt

    return tell


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def whole(job: ReplayJob, tmp_path: Path) -> dict[str, bytes]:
    """Returns what comes of it when nothing happens."""
    done = replace(job, output=tmp_path / 'whole' / 'out', resume=False)
    replay(done)
    return bytes_of(done.output)


@pytest.mark.parametrize('images', [3, 8, 22, 39])
def test_a_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(
    job: ReplayJob, tmp_path: Path, images: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        replay(job, interrupted_at(images))
    assert not job.output.exists()
    frames: list[int] = []
    summary = replay(replace(job, resume=True), lambda progress: frames.append(progress.frames))
    assert bytes_of(job.output) == whole(job, tmp_path)
    assert summary.frames == 40
    assert frames[0] >= images // CHECKPOINT_IMAGES * CHECKPOINT_IMAGES  # these are not redone
    assert [path.name for path in tmp_path.iterdir()].count('out.partial') == 0


def test_a_run_may_be_interrupted_again_and_again(job: ReplayJob, tmp_path: Path) -> None:
    for images in (9, 18, 27):
        with pytest.raises(KeyboardInterrupt):
            replay(replace(job, resume=images > 9), interrupted_at(images))
    replay(replace(job, resume=True))
    assert bytes_of(job.output) == whole(job, tmp_path)


def test_what_an_interrupted_run_wrote_can_be_read(job: ReplayJob, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        replay(job, interrupted_at(30))
    partial = tmp_path / 'out.partial' / 'replay'
    assert len(messages_of(partial, LABEL)) == 28  # the newest checkpoint
    assert (partial / 'metadata.yaml').exists()


def test_an_interrupted_run_is_not_overwritten_unasked(job: ReplayJob) -> None:
    with pytest.raises(KeyboardInterrupt):
        replay(job, interrupted_at(10))
    with pytest.raises(ConfigurationError, match='--resume, or remove it'):
        replay(job)


def test_only_the_same_work_is_resumed(job: ReplayJob) -> None:
    with pytest.raises(KeyboardInterrupt):
        replay(job, interrupted_at(10))
    with pytest.raises(ConfigurationError, match='another recording, engine or option'):
        replay(replace(job, resume=True, every=2))


def test_other_arithmetic_is_other_work_and_another_number_of_threads_is_not(
    job: ReplayJob, tmp_path: Path
) -> None:
    pytest.importorskip('openvino')
    job = replace(job, config=replace(job.config, backend='onnxruntime', inference_threads=1))
    with pytest.raises(KeyboardInterrupt):
        replay(job, interrupted_at(10))
    job = replace(job, resume=True)
    other = replace(job, config=replace(job.config, backend='openvino', precision='fp32'))
    with pytest.raises(ConfigurationError, match='another recording, engine or option'):
        replay(other)
    replay(replace(job, config=replace(job.config, inference_threads=2)))
    assert bytes_of(job.output) == whole(job, tmp_path)


def test_a_new_checkpoint_never_takes_the_place_of_the_only_good_one(tmp_path: Path) -> None:
    with Unfinished(tmp_path / 'out', {}, resume=False) as unfinished:
        for number in range(4):
            unfinished.save(b'%d' % number)
        assert unfinished.checkpoints() == [b'3', b'2']


def test_one_output_is_made_by_one_process_at_a_time(tmp_path: Path) -> None:
    with Unfinished(tmp_path / 'out', {}, resume=True) as first:
        first.bag.mkdir()
        with (
            pytest.raises(ConfigurationError, match=f'being made by process {os.getpid()}'),
            Unfinished(tmp_path / 'out', {}, resume=True),
        ):
            pass
        assert first.bag.exists()


def test_room_for_the_index_is_kept_until_it_is_needed(tmp_path: Path) -> None:
    """So that a bag can be ended on a disk that has no other byte left."""
    room = tmp_path / 'out.partial' / 'room'
    with Unfinished(tmp_path / 'out', {}, resume=True) as unfinished:
        assert room.stat().st_blocks * 512 >= 1 << 20
        unfinished.make_room()
        assert not room.exists()
    with Unfinished(tmp_path / 'out', {}, resume=True):
        assert room.exists()


FULL_DISK = """
import pickle, resource, sys
from seg_ros.core.errors import SegRosError
from seg_ros.replay.replay import replay
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
try:
    replay(pickle.load(sys.stdin.buffer))
except SegRosError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_leaves_a_readable_bag_and_a_sentence(job: ReplayJob, tmp_path: Path) -> None:
    """No file may grow beyond a limit, as on a full disk; then there is room again."""
    images = 120  # whose bag is larger than the room that is kept for an index
    bag = write_bag(tmp_path / 'long', drive_rows(images, range(10, 25)), chunk_rows=20)
    job = replace(job, source=bag, outputs=('label', 'overlay', 'pedestrian_stop'))
    expected = whole(job, tmp_path)
    limit = int(0.7 * len(expected['replay.mcap']))
    run = subprocess.run(
        [sys.executable, '-c', FULL_DISK, str(limit)],
        input=pickle.dumps(job), capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    said = run.stderr.decode()
    partial = tmp_path / 'out.partial' / 'replay'
    assert run.returncode == 1, said
    assert 'could not be finished: the disk is full' in said
    assert f'can be read in {partial}. Make room, and go on with: --resume' in said
    assert 0 < len(messages_of(partial, LABEL)) < images
    assert (partial / 'metadata.yaml').exists()
    replay(replace(job, resume=True))
    assert bytes_of(job.output) == expected


def test_a_disk_that_is_full_from_the_beginning_is_one_sentence(
    job: ReplayJob, tmp_path: Path
) -> None:
    run = subprocess.run(
        [sys.executable, '-c', FULL_DISK, '4096'],
        input=pickle.dumps(job), capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (1, b'')
    assert run.stderr.decode() == (
        f'{tmp_path / "out.partial"} cannot be begun: File too large. Make room there, or name '
        'another output.\n'
    )
    replay(job)
    assert job.output.exists()


def cut_off(bag: Path, folder: Path, share: float) -> Path:
    """Returns the recording as a recorder leaves it that was killed."""
    folder.mkdir()
    data = (bag / f'{bag.name}.mcap').read_bytes()
    (folder / 'drive_0.mcap').write_bytes(data[: int(len(data) * share)])
    return folder


@pytest.mark.parametrize('share', [0.4, 0.8, 0.999])
def test_a_truncated_bag_is_read_as_far_as_it_goes(
    bag: Path, job: ReplayJob, tmp_path: Path, share: float
) -> None:
    cut = cut_off(bag, tmp_path / 'cut', share)
    summary = replay(replace(job, source=cut))
    images = [row.recorded_ns for row in rows_of(job.output) if row.topic == IMAGE]
    assert summary.frames == len(images) >= int(40 * share) - 6  # five images are a chunk
    assert images == [row.recorded_ns for row in rows_of(bag) if row.topic == IMAGE][: len(images)]
    assert f'{cut / "drive_0.mcap"} is cut off' in summary.trouble[0]


def test_a_single_file_that_is_cut_off_is_read_too(
    bag: Path, job: ReplayJob, tmp_path: Path
) -> None:
    cut = cut_off(bag, tmp_path / 'cut', 0.8) / 'drive_0.mcap'
    assert replay(replace(job, source=cut)).frames > 0


def test_a_broken_chunk_in_the_middle_is_reported_and_left_out(
    bag: Path, job: ReplayJob, tmp_path: Path
) -> None:
    broken = tmp_path / 'drive'
    shutil.copytree(bag, broken)
    file = broken / 'drive.mcap'
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    file.write_bytes(data)
    summary = replay(replace(job, source=broken))
    assert 30 <= summary.frames < 40  # five images are a chunk
    assert 'is broken and left out' in summary.trouble[0]
    there = {row.recorded_ns for row in rows_of(job.output) if row.topic == IMAGE}
    assert max(there) == max(row.recorded_ns for row in rows_of(bag) if row.topic == IMAGE)
