# SPDX-License-Identifier: Apache-2.0
"""The fail-safe table of the pedestrian stop, on the real graph.

Every row breaks something while the way is clear; the stop must become true with the right reason,
and go back to false by itself, in the same process, once the cause is gone.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from seg_ros.commands.calibrate_engine import with_domain
from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.domain import Domain
from seg_ros.core.stop.picture_statistics import StatisticsOfPictures
from seg_ros.core.stop.vehicle_stop import VehicleDecision
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.engine import load_engine
from seg_ros.inference.spec import SPEC_FILE
from seg_ros.ros.segmentation_node import SegmentationNode
from test.ros.drive import Drive, empty_road
from test.ros.graph import Graph, values_of, wait_for
from test.ros.mounted_camera import camera_info
from test.ros.nodes import canned, street
from test.tiny_onnx import COLOURS

STOP, STATUS = '/segmentation/pedestrian_stop', '/segmentation/pedestrian_stop/status'
SLACK_S = 1.5  # for a loaded machine; the deadlines themselves are half a second and more
BEAT_NS = 50_000_000
SKY, VEHICLE = 0, 4
GREY = np.full((64, 128, 3), 90, np.uint8)
NOISE = np.random.default_rng(4).integers(0, 256, GREY.shape, dtype=np.uint8)


class Beat(NamedTuple):
    """A heartbeat as the node decided it."""

    at_ns: int
    stop: bool


class Scene(NamedTuple):
    """A node that says go, its camera, and what it has said."""

    node: SegmentationNode
    drive: Drive
    stops: list[Bool]
    status: list[DiagnosticStatus]
    beats: list[Beat]

    @property
    def backend(self) -> Any:
        assert self.node.chosen is not None
        return self.node.chosen.backend

    def kind(self) -> str:
        return values_of(self.status[-1])['kind'] if self.status else ''

    def goes(self) -> bool:
        return bool(self.stops) and not self.stops[-1].data and self.kind() == 'clear'

    def set(self, **values: Any) -> None:
        changes = [Parameter(name.replace('__', '.'), value=v) for name, v in values.items()]
        assert all(row.successful for row in self.node.set_parameters(changes))


@pytest.fixture
def scene(graph: Graph, engine: Path) -> Iterator[Scene]:
    stops = graph.collect(Bool, STOP)
    status = graph.collect(DiagnosticStatus, STATUS)
    node = graph.node(**canned(engine, **{'stop.hold_s': 0.2, 'silence_warn_s': 3600.0}))
    drive = Drive(graph)
    yield Scene(node, drive, stops, status, beats_of(node))
    drive.close()


def beats_of(node: SegmentationNode) -> list[Beat]:
    """What every heartbeat from now on says, at the node's own time."""
    assert node._heartbeat is not None
    decide = node._heartbeat._decide
    beats: list[Beat] = []

    def noted(now_ns: int) -> VehicleDecision:
        try:
            decision = decide(now_ns)
        except Exception:
            beats.append(Beat(now_ns, True))
            raise
        beats.append(Beat(now_ns, decision.stop))
        return decision

    node._heartbeat._decide = noted
    return beats


def die(scene: Scene) -> None:
    """Ends the worker thread as nothing but a bug could."""
    backend = scene.backend
    infer = backend.infer

    def exit_thread(*_arguments: Any, **_more: Any) -> None:
        backend.infer = infer
        raise SystemExit

    backend.infer = exit_thread


def clean_up(scene: Scene) -> None:
    scene.node.trigger_deactivate()
    scene.node.trigger_cleanup()


def switch_engine(scene: Scene) -> None:
    """Names another engine, as somebody does who wants to see better."""
    clean_up(scene)
    old = Path(scene.node.config.engine)
    other = old.with_name(f'{old.name}_other')
    shutil.copytree(old, other, dirs_exist_ok=True)
    scene.set(engine=str(other))


def set_up(scene: Scene) -> None:
    assert scene.node.trigger_configure().name == 'SUCCESS'
    assert scene.node.trigger_activate().name == 'SUCCESS'


def enable(scene: Scene, *, on: bool) -> None:
    peer = scene.drive.graph.peer
    client = peer.create_client(SetBool, '/segmentation/enable')
    wait_for(client.service_is_ready, 'the service')
    future = client.call_async(SetBool.Request(data=on))
    wait_for(future.done, 'its answer')
    assert future.result().success


def break_configuration(scene: Scene) -> None:
    engine = scene.node.config.engine
    clean_up(scene)
    scene.set(engine='nowhere')
    assert scene.node.trigger_configure().name == 'FAILURE'
    scene.set(engine=engine)


def break_decision(scene: Scene) -> None:
    """Adds a camera that cannot be asked, as only a bug could."""
    assert scene.node._vehicle is not None
    scene.node._vehicle.cameras['broken'] = cast('Any', None)


def mend_decision(scene: Scene) -> None:
    assert scene.node._vehicle is not None
    del scene.node._vehicle.cameras['broken']


def lose_odometry(scene: Scene) -> None:
    scene.drive.odometry = True
    time.sleep(0.3)
    scene.drive.odometry = False


def add_publisher(kind: type, topic: str) -> Callable[[Scene], Any]:
    return lambda scene: scene.drive.graph.publisher(kind, topic)


def end_newest_publisher(scene: Scene) -> None:
    peer = scene.drive.graph.peer
    peer.destroy_publisher(list(peer.publishers)[-1])


def say_odometry(**values: float) -> Callable[[Scene], None]:
    """Lets odometry say what it cannot be, after a moment of the truth."""

    def apply(scene: Scene) -> None:
        scene.drive.odometry = True
        time.sleep(0.3)
        change(**values)(scene)

    return apply


def disprove_mounting(scene: Scene) -> None:
    """What some seconds of lines do that meet elsewhere."""
    scene.node._ports['camera'].decisions._mounting.problem = 'set mount.pitch to 0.06'
    scene.set(stop__require_geometry=True)


def trust_mounting(scene: Scene) -> None:
    scene.node._ports['camera'].decisions._mounting.problem = ''
    scene.set(stop__require_geometry=False)


def hidden_road() -> NDArray[np.uint8]:
    """The street, all of it behind the side of a lorry."""
    labels = street()[1]
    labels[labels != SKY] = VEHICLE
    return np.array(COLOURS, np.uint8)[labels]


def bleached_road() -> NDArray[np.uint8]:
    """The empty road, nearly all of which is white."""
    image = empty_road()
    image[image.shape[0] // 2 + 2 :] = 255
    return image


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        kinds: The reasons that are right.
        deadline_s: How long the cause may last before the stop.
        cause: Breaks something.
        cure: Mends it.
        words: Part of the reason in words.
        by_frame: A frame must come and be judged before anybody can know.
        lasts_s: How long the stop is watched before the cure; 0: it heals by itself.
    """

    kinds: tuple[str, ...]
    deadline_s: float
    cause: Callable[[Scene], Any]
    cure: Callable[[Scene], Any] = lambda _scene: None
    words: str = ''
    by_frame: bool = False
    lasts_s: float = 0.25


def change(**values: Any) -> Callable[[Scene], None]:
    def apply(scene: Scene) -> None:
        for name, value in values.items():
            setattr(scene.drive, name, value)

    return apply


TABLE = {
    'the camera dies': Row(
        ('stale',), 0.5, change(running=False), change(running=True), 's old'
    ),
    'frames arrive but are old by their stamps': Row(
        ('stale', 'unproven'), 0.5, change(offset_s=-3.0), change(offset_s=0.0)
    ),
    'stamps come from the future': Row(
        ('future_stamp',), 0.0, change(offset_s=5.0), change(offset_s=0.0), 'ahead of the clock',
        by_frame=True,
    ),
    'inference raises': Row(
        ('failed',), 0.0, lambda s: s.backend.fail('the test'), lambda s: s.backend.recover(),
        'the test', by_frame=True,
    ),
    'inference hangs': Row(
        ('stale',), 0.5, lambda s: s.backend.hang(), lambda s: s.backend.recover(),
        lasts_s=5.0,
    ),
    'the worker thread dies': Row(
        ('failed', 'unproven'), 0.25, die, by_frame=True, lasts_s=0.0
    ),
    'the stop cannot be decided': Row(
        ('failed',), 0.0, break_decision, mend_decision, 'could not be decided'
    ),
    'the node is deactivated': Row(
        ('inactive',), 0.0, lambda s: s.node.trigger_deactivate(),
        lambda s: s.node.trigger_activate(),
    ),
    'it is switched off': Row(
        ('disabled',), 0.25, lambda s: enable(s, on=False), lambda s: enable(s, on=True),
        '~/enable',
    ),
    'the node is cleaned up': Row(('inactive',), 0.0, clean_up, set_up),
    'the engine is switched': Row(('inactive',), 0.0, switch_engine, set_up),
    'the configuration becomes invalid': Row(
        ('inactive',), 0.0, break_configuration, set_up, 'nowhere'
    ),
    'calibration is required and missing': Row(
        ('no_geometry',), 0.0, lambda s: s.set(stop__require_geometry=True),
        lambda s: s.set(stop__require_geometry=False), by_frame=True,
    ),
    'the lines disprove a mounting that is required': Row(
        ('no_geometry',), 0.0, disprove_mounting, trust_mounting, 'set mount.pitch', by_frame=True,
    ),
    'the CameraInfo is of another image': Row(
        ('no_geometry',), 0.0, change(info=camera_info(height=96)), change(info=camera_info()),
        '128x64, but its CameraInfo is for 128x96', by_frame=True,
    ),
    'the network is unsure of the whole frame': Row(
        ('low_confidence',), 0.0, lambda s: setattr(s.backend, 'confidence', 60),
        lambda s: setattr(s.backend, 'confidence', 255), by_frame=True,
    ),
    'the road is hidden': Row(
        ('ground_not_seen', 'unproven'), 0.5, lambda s: change(image=hidden_road())(s),
        lambda s: change(image=empty_road())(s), 'seen as ground', by_frame=True,
    ),
    'the lens is covered': Row(
        ('low_contrast',), 0.0, change(image=GREY), lambda s: change(image=empty_road())(s),
        by_frame=True,
    ),
    'it is dark': Row(
        ('low_contrast',), 0.0, change(image=GREY // 90), lambda s: change(image=empty_road())(s),
        by_frame=True,
    ),
    'the picture is over-exposed': Row(
        ('low_contrast',), 0.0, change(image=GREY // 90 * 255),
        lambda s: change(image=empty_road())(s), by_frame=True,
    ),
    'the picture is noise': Row(
        ('picture_blind', 'unproven'), 0.5, change(image=NOISE),
        lambda s: change(image=empty_road())(s), 'as noise does', by_frame=True,
    ),
    'the sun blinds the zone': Row(
        ('picture_blind', 'unproven'), 0.5, change(image=bleached_road()),
        lambda s: change(image=empty_road())(s), 'of the zone is white', by_frame=True,
    ),
    'the image is frozen': Row(
        ('frozen',), 1.0, change(noise=False), change(noise=True), by_frame=True
    ),
    'the camera gives out two old pictures in turn': Row(
        ('frozen',), 1.2, change(ring=True), change(ring=False), 'the same picture', by_frame=True,
    ),
    'half of the picture is stuck': Row(
        ('frozen',), 1.2, change(stuck_columns=64), change(stuck_columns=0), 'a part of the zone',
        by_frame=True,
    ),
    'odometry is lost': Row(
        ('no_odometry',), 0.5, lose_odometry, change(odometry=True), 'odometry is'
    ),
    'odometry says a speed that no car has': Row(
        ('odometry_implausible',), 0.25, say_odometry(speed_mps=3e4),
        change(speed_mps=3.0), '3e+04 m/s, and vehicle.max_speed_mps is 40',
    ),
    'odometry gives the yaw rate in degrees': Row(
        ('odometry_implausible',), 0.25, say_odometry(yaw_rate_rps=17.0),
        change(yaw_rate_rps=0.0), '17 rad/s, and vehicle.max_yaw_rate_rps is 1.5',
    ),
    'odometry jumps': Row(
        ('odometry_implausible',), 0.25, say_odometry(speed_mps=30.0),
        change(speed_mps=3.0), 'jumps from 3 to 30 m/s',
    ),
    'odometry is no number': Row(
        ('odometry_implausible',), 0.25, say_odometry(speed_mps=float('nan')),
        change(speed_mps=3.0), 'which is no motion',
    ),
    'a second camera publishes on the image topic': Row(
        ('two_publishers',), 0.5, add_publisher(Image, '/image'), end_newest_publisher,
        '/image has 2 publishers, /peer, /peer',
    ),
    'a relay gives out the pictures of three cameras in turn': Row(
        ('two_publishers',), 0.5, change(frame_ids=('camera_optical', 'left', 'right')),
        change(frame_ids=('camera_optical',)), '/image has 3 senders, camera_optical, left',
        by_frame=True,
    ),
    'two lenses are said of one camera': Row(
        ('two_publishers',), 0.5,
        change(info=camera_info(), other_info=camera_info(k=[50.0, 0, 64, 0, 50, 32, 0, 0, 1])),
        change(other_info=None), '/camera_info has 2 senders, camera_optical', by_frame=True,
    ),
    'another node publishes the stop': Row(
        ('two_publishers',), 0.5, add_publisher(Bool, STOP), end_newest_publisher,
        'pedestrian_stop has 2 publishers, /peer, /segmentation',
    ),
    'a person is in the zone': Row(
        ('person', 'hold'), 0.2, lambda s: change(image=street()[0])(s),
        lambda s: change(image=empty_road())(s), by_frame=True,
    ),
}  # fmt: skip


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
@pytest.mark.parametrize('name', TABLE)
def test_the_vehicle_stops_when(name: str, scene: Scene) -> None:
    row = TABLE[name]
    wait_for(scene.goes, 'the way is clear')

    row.cause(scene)
    clock = scene.node.get_clock()
    deadline_ns = clock.now().nanoseconds + int(1e9 * row.deadline_s)
    wait_for(
        lambda: scene.stops[-1].data and scene.kind() in row.kinds,
        f'a stop because of {" or ".join(row.kinds)}',
        timeout_s=row.deadline_s + SLACK_S,
    )
    assert row.words in scene.status[-1].message
    if row.lasts_s > 0.0:
        since_ns = clock.now().nanoseconds
        end_ns = since_ns + int(1e9 * row.lasts_s)
        wait_for(lambda: scene.beats[-1].at_ns > end_ns, 'heartbeats')
        begin_ns = since_ns if row.by_frame else deadline_ns + BEAT_NS
        late = [beat for beat in list(scene.beats) if beat.at_ns > begin_ns and not beat.stop]
        assert not late, 'more than one heartbeat after the deadline says go'

    row.cure(scene)
    wait_for(scene.goes, 'the way is clear again')


def foggy(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (pictures * 0.6 + 50.0).astype(np.uint8)


def patchy_road() -> NDArray[np.uint8]:
    """The street with patches of other brightness, as the ground has that a camera sees."""
    coarse = np.random.default_rng(3).integers(-20, 21, (16, 32, 1)).repeat(4, 1)
    # Like bricks: straight through a picture go only the seams of blocks that are broken
    bricks = np.stack([np.roll(row, index * 5 % 8, axis=0) for index, row in enumerate(coarse)])
    return np.clip(empty_road() + bricks.repeat(4, 0), 0, 255).astype(np.uint8)


def covered_below(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Something smooth hangs before the ground, of the colour of the road."""
    covered = road.copy()
    covered[36:] = road[36:].mean(axis=(0, 1))
    return covered


def with_odd_red(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Red shows its patches the other way round."""
    odd = road.astype(int)
    odd[..., 0] = 2 * empty_road()[..., 0].astype(int) - odd[..., 0]
    return np.clip(odd, 0, 255).astype(np.uint8)


def smeared(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The camera turned while the shutter was open."""
    return np.asarray(cv2.blur(road, (41, 1)))


def torn(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every few rows begin at a pixel of their own."""
    shifts = np.roll(np.random.default_rng(5).integers(-60, 61, 16).repeat(4), 2)
    rows = [np.roll(row, int(shift), axis=0) for row, shift in zip(road, shifts, strict=True)]
    return np.stack(rows)


def out_of_focus(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bright and dark things stand there, all of them soft."""
    bars = road.astype(int)
    bars[:, np.arange(road.shape[1]) // 32 % 2 == 0] += 90
    return np.asarray(cv2.GaussianBlur(bars.clip(0, 255).astype(np.uint8), (0, 0), 5.0))


def splashed(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mud is on the upper half of the lens, of the colour of what is there."""
    splashed = road.copy()
    splashed[:36] = road[:36].mean(axis=(0, 1))
    return splashed


def of_two_levels(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of the brightness of every place one bit is left."""
    bits = np.random.default_rng(3).integers(0, 2, (16, 32, 1)).repeat(8, 0).repeat(8, 1)
    return np.clip(empty_road().repeat(2, 0).repeat(2, 1) + 60 * bits - 30, 0, 255).astype(
        np.uint8
    )


def with_sky_in_the_ground(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The lowest sky has the colour of the road."""
    turned = road.copy()
    turned[2:4] = road[-2:]
    return turned


def with_dark_specks(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What was small and bright is small and dark, before a bright place."""
    odd = road.copy()
    odd[:32] = road[:32] // 2 + 100
    random = np.random.default_rng(1)
    for row, column in zip(random.integers(0, 30, 70), random.integers(0, 125, 70), strict=True):
        odd[row : row + 2, column : column + 2] = 0
    return odd


def in_broken_blocks(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of blocks of 16 pixels each has the light of another place."""
    light = np.random.default_rng(4).choice([-36, -12, 12, 36], (12, 24, 1))
    return np.clip(road + light.repeat(16, 0).repeat(16, 1), 0, 255).astype(np.uint8)


def in_wrong_order(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Light falls from the left, and parts of the picture have changed their places."""
    light = np.linspace(1.3, 0.5, road.shape[1])[None, :, None]
    lit = np.clip(road * light, 0, 255).astype(np.uint8)
    # A horizon that is straight from side to side would be a seam
    slope = np.array([[1.0, 0.0, 0.0], [-0.06, 1.0, 12.0]])
    aslant = cv2.warpAffine(lit, slope, lit.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    parts = np.split(np.asarray(aslant), 4, axis=1)
    return np.hstack([parts[place] for place in (2, 0, 3, 1)])


def with_two_parts_swapped(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two upright parts have changed their places; there is no light by which a step is seen."""
    parts = np.split(road, 4, axis=1)
    return np.hstack([parts[place] for place in (0, 2, 1, 3)])


def rolled(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Light falls from the left on noise, and the picture begins in the middle of a row."""
    rough = road + np.random.default_rng(6).integers(-40, 41, (*road.shape[:2], 1))
    soft = cv2.blur(np.clip(rough, 0, 255).astype(np.uint8), (9, 1))
    return np.roll(np.asarray(soft), 5 * road.shape[1] // 16, axis=1)


def seen_twice(road: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A pane mirrors a part of the light, from beside."""
    return np.asarray(0.55 * road + 0.45 * np.roll(road, 48, axis=1), np.uint8)


# Of a picture of 64 rows three in a row are the same where 180 are looked at, and go on straight
FOR_SMALL_PICTURES = {
    'stop.max_shear': -0.35,
    'stop.min_detail': 0.0,
    'stop.max_colour_discord': 2.0,
}
FOR_JUMPS = {'network_size': '256x128'}
# In what is smaller than 320x180 nobody looks for them
FOR_SEAMS = {'network_size': '384x192'}
# Each of these shows in the other checks of order as well
FOR_PARTS = {**FOR_SEAMS, 'stop.max_seams': 1.0, 'stop.max_joins': 1.0}
FOR_ENDS = {
    **FOR_PARTS,
    'stop.max_astray': 1.0,
    'stop.max_shear': 10.0,
    'stop.max_softness': 1.0,
    'stop.max_tear': 2.0,
}
# What is smaller has no soft outlines. Bars go on as well when they are shifted
FOR_SOFT_PICTURES = {
    **FOR_SMALL_PICTURES,
    'network_size': '256x128',
    'stop.max_shear': 10.0,
}


def engine_that_knows(
    pictures: NDArray[np.uint8], like: Path, folder: Path, slack: float = 2.0
) -> Path:
    """Returns a copy of an engine that was measured on these pictures."""
    engine = Path(shutil.copytree(like, folder))
    backend = CannedBackend(load_engine(engine))
    take = StatisticsOfPictures(backend.engine.label_map)
    camera = EvaluatedCamera(backend, NodeConfig())
    clean, blind = (
        np.array([
            take.of(camera.see(picture, index + 1, {'stop'}).view).values
            for index, picture in enumerate(shown)
        ])
        for shown in (pictures, foggy(pictures))
    )  # fmt: skip
    domain = Domain.fitted(clean, ['one'] * len(clean), {'fog': blind})
    limit = slack * float(domain.scores(clean).max())
    spec = engine / SPEC_FILE
    spec.write_text(with_domain(spec.read_text(), domain.limited({'fog': limit})))
    return engine


@pytest.mark.parametrize(
    ('kind', 'spoilt', 'words', 'slack', 'values'),
    [
        ('out_of_domain', foggy, 'times as much of "fog" as one that the engine knows', 2.0, {}),
        # To this engine nothing is fog
        ('no_detail', covered_below, 'the ground ahead has a detail of', 1e6, {}),
        ('colours_disagree', with_odd_red, 'what two colours show differs by', 1e6, {}),
        ('picture_turned', lambda road: road[::-1], 'sky and buildings are -', 1e6, {}),
        ('rows_shifted', smeared, 'go on as well when shifted', 1e6, FOR_SMALL_PICTURES),
        ('rows_shifted', torn, 'the rows of the picture go on elsewhere', 1e6, {}),
        ('out_of_focus', out_of_focus, 'of the outlines are soft', 1e6, FOR_SOFT_PICTURES),
        ('partly_covered', splashed, 'is of one smooth shade', 1e6, {}),
        ('few_shades', of_two_levels, 'the picture stays the same or jumps', 1e6, FOR_JUMPS),
        ('picture_turned', with_sky_in_the_ground, 'of the sky has ground above', 1e6, {}),
        ('picture_negative', with_dark_specks, 'more like a negative (-1.', 1e6, {}),
        ('rows_shifted', in_broken_blocks, 'straight steps go through', 1e6, FOR_SEAMS),
        ('rows_shifted', in_wrong_order, 'upright steps go through', 1e6, FOR_SEAMS),
        ('rows_shifted', with_two_parts_swapped, 'a part of the picture goes on', 1e6, FOR_PARTS),
        ('rows_shifted', rolled, 'the picture goes on at its other end', 1e6, FOR_ENDS),
        ('picture_doubled', seen_twice, 'is there a second time beside', 1e6, {}),
    ],
)
def test_the_vehicle_stops_where_the_engine_knows_no_such_pictures(
    kind: str,
    spoilt: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    words: str,
    slack: float,
    values: dict[str, float | str],
    graph: Graph,
    engine: Path,
    tmp_path: Path,
) -> None:
    road, random = patchy_road(), np.random.default_rng(2)
    if 'network_size' in values:
        times = int(str(values['network_size']).split('x')[0]) // road.shape[1]
        road = road.repeat(times, 0).repeat(times, 1)
    noise = random.integers(-2, 3, (60, *road.shape))
    knowing = engine_that_knows(
        np.clip(road + noise, 0, 255).astype(np.uint8), engine, tmp_path / 'knowing', slack
    )
    stops = graph.collect(Bool, STOP)
    status = graph.collect(DiagnosticStatus, STATUS)
    graph.node(**canned(knowing, **values))
    drive = Drive(graph, road)

    def is_now(wanted: str) -> bool:
        return bool(status) and values_of(status[-1])['kind'] == wanted

    try:
        wait_for(lambda: is_now('clear'), 'the way is clear')
        drive.image = spoilt(road)
        wait_for(lambda: is_now(kind), f'a stop because of {kind}')
        wait_for(lambda: stops[-1].data, 'the stop')
        assert words in status[-1].message
        drive.image = road
        wait_for(lambda: is_now('clear'), 'the way is clear again')
    finally:
        drive.close()


def test_the_vehicle_stops_before_the_first_frame(graph: Graph, engine: Path) -> None:
    stops = graph.collect(Bool, STOP)
    status = graph.collect(DiagnosticStatus, STATUS)
    graph.node(**canned(engine))
    wait_for(lambda: len(stops) > 5 and len(status) > 5, 'the heartbeat')
    assert all(message.data for message in stops)
    assert values_of(status[-1])['kind'] == 'no_frame'


def test_an_unconfigured_node_says_stop(graph: Graph, engine: Path) -> None:
    stops = graph.collect(Bool, STOP)
    graph.node(started=False, **canned(engine))
    wait_for(lambda: len(stops) > 5, 'the heartbeat')
    assert all(message.data for message in stops)


def test_one_dead_camera_of_two_stops_the_vehicle(graph: Graph, engine: Path) -> None:
    stops = graph.collect(Bool, STOP)
    status = graph.collect(DiagnosticStatus, STATUS)
    left = graph.collect(DiagnosticStatus, '/segmentation/left/pedestrian_stop/status')
    names = ['front', 'left']
    node = graph.node(**canned(engine, camera_names=names, image_topics=['/image', '/left/image']))
    drive = Drive(graph)
    try:
        wait_for(lambda: left and values_of(left[-1])['kind'] == 'no_frame', 'left is blind')
        wait_for(lambda: status and status[-1].message.startswith('left: '), 'left decides')
        assert stops[-1].data
        assert node.config.camera_names == ('front', 'left')
    finally:
        drive.close()


def tick(at_s: float) -> Clock:
    message = Clock()
    message.clock.sec, message.clock.nanosec = divmod(int(at_s * 1e9), 10**9)
    return message


@pytest.mark.parametrize('jump_s', [100.0, -100.0])
def test_after_a_jump_of_sim_time_the_way_must_be_proven_again(
    graph: Graph, engine: Path, jump_s: float
) -> None:
    stops = graph.collect(Bool, STOP)
    status = graph.collect(DiagnosticStatus, STATUS)
    graph.node(**canned(engine, use_sim_time=True, **{'stop.hold_s': 0.2}))
    clock = graph.publisher(Clock, '/clock')
    camera = Drive(graph, running=False)
    base_s = 1000.0
    started_s = time.monotonic()

    def play(seconds: float, from_s: float) -> None:
        """Publishes the clock and images that follow it."""
        nonlocal started_s
        started_s = time.monotonic()
        while (at_s := time.monotonic() - started_s) < seconds:
            clock.publish(tick(from_s + at_s))
            camera.offset_s = from_s + at_s - graph.peer.get_clock().now().nanoseconds / 1e9
            camera.running = True
            time.sleep(0.02)
        camera.running = False

    try:
        for _ in range(10):
            play(1.0, base_s)
            base_s += 1.0
            if stops and not stops[-1].data:
                break
        assert not stops[-1].data
        status.clear()
        play(1.0, base_s + jump_s)
        kinds = [values_of(row)['kind'] for row in status]
        assert set(kinds) & {'stale', 'unproven', 'no_frame', 'future_stamp'}, kinds
        for count in range(10):
            play(1.0, base_s + jump_s + 1.0 + count)
            if not stops[-1].data:
                break
        assert not stops[-1].data
    finally:
        camera.close()


def test_a_clock_that_steps_back_again_and_again_keeps_no_frame_fresh(
    graph: Graph, engine: Path
) -> None:
    stops = graph.collect(Bool, STOP)
    status = graph.collect(DiagnosticStatus, STATUS)
    graph.node(**canned(engine, use_sim_time=True, **{'stop.hold_s': 0.2}))
    clock = graph.publisher(Clock, '/clock')
    camera = Drive(graph, running=False)

    def show(at_s: float) -> None:
        clock.publish(tick(at_s))
        camera.offset_s = at_s - graph.peer.get_clock().now().nanoseconds / 1e9
        time.sleep(0.02)

    try:
        at_s, end_s = 1000.0, time.monotonic() + 30.0
        while not (stops and not stops[-1].data):
            assert time.monotonic() < end_s, 'the way is not clear'
            at_s += 0.02
            show(at_s)
            camera.running = True
        camera.running = False
        began_s = time.monotonic()
        while not stops[-1].data or values_of(status[-1])['kind'] != 'stale':
            assert time.monotonic() - began_s < 0.5 + SLACK_S
            show(at_s + 0.09 * ((time.monotonic() - began_s) / 0.09 % 1.0))
    finally:
        camera.close()
