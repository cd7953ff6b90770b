# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import io
import itertools
import json
import multiprocessing
import threading
import time
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.commands.evaluate.labelled_folder import labelled_pictures
from seg_ros.commands.evaluate.stop import guessed_way as evaluate_guessed_way
from seg_ros.commands.evaluate.stop import near as evaluate_near
from seg_ros.commands.evaluate.stop import processes
from seg_ros.commands.evaluate.stop import task as evaluate_stop
from seg_ros.commands.evaluate.stop.clips import ClipTally, clip_of, figures_of_clips
from seg_ros.commands.evaluate.stop.drills import drill_figures, drills_of
from seg_ros.commands.evaluate.stop.drives import Moment, crossing_drives, moments_of
from seg_ros.commands.evaluate.stop.figures import Bar, Tally, bars_for, missed_bars, table_of
from seg_ros.commands.evaluate.stop.folder import CAMVID_LABEL_MAP, FolderTally, is_labelled
from seg_ros.commands.evaluate.stop.processes import Judge
from seg_ros.commands.evaluate.stop.task import (
    evaluate_drives,
    evaluate_folders,
    evaluate_videos,
)
from seg_ros.commands.evaluate.stop.unlabelled_people import UNLABELLED_PEOPLE
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.zones import stopping_distance_m
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.sim.labels.renderer import LabelWorld
from test.core.stop.street_pictures import street

PEDESTRIAN, ROAD, SKY = 9, 3, 0


def story(stops: str, inside: str, near: str = '') -> list[Moment]:
    """A moment every 50 ms; ``#`` where it stops, where somebody is inside, or near."""
    near = near or inside
    return [
        Moment(
            stamp_ns=i * 50_000_000,
            stop=stop == '#',
            kind='person' if stop == '#' else 'clear',
            inside=(1,) if person == '#' else (),
            is_near=about == '#',
            cost_ms=1.0,
        )
        for i, (stop, person, about) in enumerate(zip(stops, inside, near, strict=True))
    ]


@pytest.mark.parametrize(
    ('stops', 'inside', 'recall', 'time_to_stop_s'),
    [
        ('....######....', '....######....', 1.0, 0.0),
        ('......####....', '....######....', 1.0, 0.1),
        ('..########....', '....######....', 1.0, -0.1),
        ('..............', '....######....', 0.0, None),
        ('..........##..', '....######....', 0.0, None),
    ],
    ids=['at once', 'late', 'before', 'never', 'too late'],
)
def test_an_event_is_caught_when_it_stops_while_somebody_is_inside(
    stops: str, inside: str, recall: float, time_to_stop_s: float | None
) -> None:
    tally = Tally()
    tally.add_crossings(story(stops, inside))
    figures = tally.figures()
    assert figures['events'] == 1
    assert figures['event_recall'] == recall
    if time_to_stop_s is not None:
        assert figures['time_to_stop_s'] == pytest.approx(
            {'p50': time_to_stop_s, 'p95': time_to_stop_s}
        )


def test_who_brushes_a_corner_for_a_moment_is_no_event() -> None:
    tally = Tally()
    tally.add_crossings(story('........', '...##...'))
    assert tally.figures()['events'] == 0


def test_hold_share_and_resume_are_counted_from_the_people() -> None:
    tally = Tally()
    tally.add_crossings(story('...#######...', '..#####......'))
    figures = tally.figures()
    assert figures['hold_share'] == pytest.approx(0.8)
    assert figures['resume_s'] == pytest.approx({'p50': 0.2, 'p95': 0.2})


def test_a_stop_that_comes_back_at_once_is_a_flap() -> None:
    tally = Tally()
    tally.add_crossings(story('..###..###..', '..########..'))
    assert tally.flaps == 1


def test_a_stop_without_anybody_near_is_false() -> None:
    nobody, somebody = '.' * 30, '.' * 20 + '#' * 10
    for near, false_stops in ((nobody, 1), (somebody, 0)):
        tally = Tally()
        tally.add_quiet(story('.' * 20 + '###.......', nobody, near))
        assert tally.false_stops == false_stops


@pytest.mark.parametrize(
    ('stops', 'near', 'kind', 'false_stops'),
    [
        ('#' * 100, '.' * 100, 'low_confidence', 1),
        ('#' * 100, '#' + '.' * 99, 'person', 1),
        ('#' * 100, '.' * 99 + '#', 'person', 1),
        ('#' * 50 + '.' * 50, '#' + '.' * 99, 'person', 0),
        ('###' + '.' * 97, '.' * 100, 'unproven', 0),
    ],
    ids=['stuck on a fault', 'never let go', 'far too early', 'let go', 'the first frames'],
)
def test_a_stop_that_nothing_explains_is_false_whatever_it_says(
    stops: str, near: str, kind: str, false_stops: int
) -> None:
    tally = Tally()
    moments = story(stops, '.' * 100, near)
    tally.add_quiet([row._replace(kind=kind) if row.stop else row for row in moments])
    assert tally.false_stops == false_stops


def test_only_a_crowd_counts_for_the_cost_of_a_crowd() -> None:
    tally = Tally()
    few, many = story('..', '..')
    tally.add_crowded([few._replace(in_view=9), many._replace(in_view=10, cost_ms=3.0)])
    figures = tally.figures()
    assert figures['cost_crowded_ms'] == {'p50': 3.0, 'p95': 3.0}
    assert missed_bars(figures, bars_for('exact', 1.0)) == ['cost_crowded_ms.p50']


def test_the_table_says_which_bar_is_missed() -> None:
    figures: dict[str, float | dict[str, float]] = {
        'event_recall': 0.97,
        'time_to_stop_s': {'p50': 0.1, 'p95': 0.4},
    }
    bars = bars_for('exact', 1.0)
    assert missed_bars(figures, bars) == ['event_recall']
    assert missed_bars(figures, bars_for('network', 1.0)) == []
    assert 'event_recall                0.970   bar >= 0.99: MISSED' in table_of(figures, bars)
    assert Bar(1.0, True).holds(1.0)


def test_planned_crossings_cover_every_distance_speed_and_weather() -> None:
    config = StopConfig()
    drives = crossing_drives(240, config, seed=3)
    events = [(drive, event) for drive in drives for event in drive.scene.crossing_events]
    assert len(events) == 240
    assert len({drive.scene.weather for drive in drives}) == 6
    walking = [event.speed_mps for _, event in events]
    assert min(walking) < 0.6
    assert max(walking) > 2.4
    reach = [stopping_distance_m(drive.scene.speed_mps, config) for drive in drives]
    assert min(reach) < 10.0
    assert max(reach) > 33.0
    for drive in drives:
        starts = [e.at_m - e.trigger_distance_m for e in drive.scene.crossing_events]
        ends = [event.at_m for event in drive.scene.crossing_events]
        assert all(start > end for start, end in zip(starts[1:], ends, strict=False))


def test_a_short_drive_with_exact_labels_is_measured() -> None:
    out = io.StringIO()
    figures = evaluate_drives(StopConfig(), 1, 0.03, 5, Progress(out))
    assert figures['event_recall'] == 1.0
    assert figures['hold_share'] == 1.0
    assert isinstance(figures['cost_ms'], dict)
    assert isinstance(figures['cost_crowded_ms'], dict)
    assert 'quiet_minutes' in figures
    assert 'min left' in out.getvalue()


def test_drives_side_by_side_come_to_the_same_figures() -> None:
    one, two = (
        evaluate_drives(StopConfig(), 1, 0.06, 5, Progress(io.StringIO()), jobs=jobs)
        for jobs in (1, 2)
    )
    for figures in (one, two):
        del figures['cost_ms'], figures['cost_crowded_ms']
    assert one == two


def test_a_process_that_is_killed_ends_the_evaluation_with_an_error() -> None:
    def kill_the_first() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        children[0].kill()

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    with pytest.raises(SegRosError, match='fewer --jobs'):
        evaluate_drives(StopConfig(), 1, 0.0, 5, Progress(io.StringIO()))
    killer.join()


@pytest.mark.parametrize('jobs', ['0', '100000'])
def test_no_drive_at_a_time_is_refused_and_so_are_more_than_the_machine_bears(jobs: str) -> None:
    """A hundred thousand processes were begun."""
    parser = argparse.ArgumentParser()
    evaluate_stop.add_arguments(parser)
    with pytest.raises(ConfigurationError, match=f'--jobs {jobs}: give 1 to'):
        evaluate_stop.main(parser.parse_args(['--jobs', jobs]))


def test_an_engine_that_is_not_there_is_named() -> None:
    with pytest.raises(SegRosError, match='no-such-engine'):
        evaluate_drives(StopConfig(), 1, 0.0, 5, Progress(io.StringIO()), Judge('no-such-engine'))


def test_drills_tell_what_is_hard_for_the_stop_one_thing_at_a_time() -> None:
    config = StopConfig()
    drills = drills_of(1, config, 7, (320, 180), exact=True)
    parts = [(drill.figure, drill.part) for drill in drills]
    bars = bars_for('exact', 1.0)
    assert all(f'{figure}.{part}' in bars for figure, part in parts)
    assert {figure for figure, _ in parts} == {'who', 'by_fps', 'runner', 'flicker'}
    hard = {'4', '5 m/s at 7 fps', 'every second, who changes'}
    some = [drill for drill in drills if drill.part in hard]
    judged = (
        list(moments_of(drill.drive, config, ExactLabels((320, 180)), LabelWorld))
        for drill in some
    )
    figures = drill_figures(some, judged)
    assert missed_bars(figures, bars) == []
    assert {*figures} == {'by_fps', 'runner', 'flicker'}
    assert drills_of(0, config, 7, (320, 180), exact=True) == []
    network = drills_of(1, config, 7, (320, 180), exact=False)
    assert {drill.figure for drill in network} == {'who'}


def test_a_camera_of_few_frames_gives_no_decision_between_them() -> None:
    config = StopConfig()
    (drill,) = (d for d in drills_of(1, config, 7, (320, 180), exact=True) if d.part == '4')
    moments = list(
        islice(moments_of(drill.drive, config, ExactLabels((320, 180)), LabelWorld), 31)
    )
    kinds = [moment.kind for moment in moments]
    assert [kinds[index : index + 5] for index in range(0, 30, 5)] == [
        [kind] * 5 for kind in kinds[:30:5]
    ]
    assert moments[1].stamp_ns - moments[0].stamp_ns == 50_000_000


def test_who_never_stops_waits_for_ever() -> None:
    drills = [d for d in drills_of(1, StopConfig(), 7, (320, 180), exact=True) if d.part == '20']
    moments = story('.' * 20, '.....##########.....')
    figures = drill_figures(drills, iter([moments]))
    assert figures == {'by_fps': {'20': float('inf')}}
    assert missed_bars(figures, bars_for('exact', 1.0)) == ['by_fps.20']


def test_at_the_bumper_everybody_is_seen_whom_the_border_cuts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluate_near, 'AHEAD_M', (0.4,))
    monkeypatch.setattr(evaluate_near, 'OFFSET_M', (0.8,))
    figures = evaluate_near.near_figures(StopConfig())
    assert figures == {'corridor': 1.0, 'image': 1.0, 'places': 6.0}


def test_near_the_bumper_whoever_is_hidden_in_part_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluate_near, 'AHEAD_M', (0.4, 2.0))
    monkeypatch.setattr(evaluate_near, 'OFFSET_M', (-0.4, 0.0))
    figures = evaluate_near.near_who_figures(StopConfig())
    assert {*figures} == {*evaluate_near.OTHERS}
    assert set(figures.values()) == {1.0}


def test_without_a_calibration_whoever_is_in_the_way_of_a_low_lens_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluate_guessed_way, 'FIELDS_OF_VIEW_DEG', (75.0,))
    monkeypatch.setattr(evaluate_guessed_way, 'HEIGHTS_M', (0.4, 1.3))
    monkeypatch.setattr(evaluate_guessed_way, 'AHEAD_M', (3.0, 6.0, 20.0))  # the last is beyond
    figures = evaluate_guessed_way.guessed_way_figures(StopConfig())
    for height in ('0.4 m', '1.3 m'):
        assert figures['way'][height] == figures['way'][f'{height}, told'] == 1.0
        assert figures['beside_way'][f'{height}, told'] < 0.25
    assert figures['way']['0.4 m, child'] > 0.6
    assert figures['beside_way']['0.4 m'] < 0.25
    blind = replace(StopConfig(), image_zone_adapts=False)
    figures = evaluate_guessed_way.guessed_way_figures(blind)
    assert figures['way']['0.4 m'] < 0.5


def test_a_video_without_anybody_is_measured_by_its_own_stamps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, picture in enumerate(islice(clip_of(cv2.resize(street(), (480, 360))), 20)):
        cv2.imwrite(str(tmp_path / f'{index:03}.png'), picture[..., ::-1])
    backend = CannedBackend(
        ExactLabels((480, 360), CAMVID_LABEL_MAP).engine, labels=[person_at(220)]
    )
    monkeypatch.setattr(
        processes, 'create_backend', lambda *_, **__: argparse.Namespace(backend=backend)
    )
    out = io.StringIO()
    (tmp_path / '020.png').write_bytes((tmp_path / '000.png').read_bytes()[:600])
    notes: list[str] = []
    figures = evaluate_videos(StopConfig(), [tmp_path], Judge('roadseg'), Progress(out), notes)
    assert figures['clip_minutes'] == pytest.approx(20 / 5 / 60)
    assert figures['stopped_share'] == pytest.approx(19 / 20)
    assert figures['false_stops_per_min'] == pytest.approx(15.0)
    (note,) = notes
    assert 'Message 20 of ' in note
    assert note in out.getvalue()
    (tmp_path / 'note.txt').write_text('no picture')
    with pytest.raises(ConfigurationError, match='there is no such file'):
        evaluate_videos(StopConfig(), [tmp_path / 'gone'], Judge('roadseg'), Progress(out))


def test_the_command_prints_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        evaluate_stop, 'evaluate_drives', lambda *_: {'events': 1, 'event_recall': 0.5}
    )
    parser = argparse.ArgumentParser()
    evaluate_stop.add_arguments(parser)
    assert evaluate_stop.main(parser.parse_args(['--json'])) == 1
    assert json.loads(capsys.readouterr().out) == {'events': 1, 'event_recall': 0.5, 'notes': []}


def person_at(column: int, feet: int = 300) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    labels = np.full((360, 480), ROAD, np.uint8)
    labels[:140] = SKY
    labels[feet - 150 : feet, column : column + 40] = PEDESTRIAN
    return labels


CURVE = ('0.2', '0.3', '0.4', '0.5', '0.6', '0.7', '0.8')


def test_pictures_are_counted_by_truth_and_network() -> None:
    middle, side, nobody = person_at(220), person_at(10), np.full((360, 480), ROAD, np.uint8)
    rows = ((middle, middle), (middle, nobody), (side, middle), (side, side))
    network = CannedBackend(
        ExactLabels((480, 360), CAMVID_LABEL_MAP).engine, labels=[labels for _, labels in rows]
    )
    tally = FolderTally(StopConfig(), network)
    for truth, _ in rows:
        tally.add(np.zeros((360, 480, 3), np.uint8), truth)
    assert tally.figures() == {
        'frames': 4,
        'frames_with_a_stop': 2,
        'frame_recall': 0.5,
        'frame_precision': 0.5,
        'recall_by_px': {'to_160': 0.5},
        'recall_at_confidence': dict.fromkeys(CURVE, 0.5),
        'precision_at_confidence': dict.fromkeys(CURVE, 0.5),
        'chosen_confidence': 0.4,
    }


def test_the_curve_says_what_would_be_missed_if_more_confidence_were_asked_for() -> None:
    rows = [(person_at(220), 0.9), (person_at(220), 0.45), (person_at(10), 0.55)]
    engine = ExactLabels((480, 360), CAMVID_LABEL_MAP).engine
    tally = FolderTally(StopConfig(), CannedBackend(engine, labels=[person_at(220)]))
    for truth, confidence in rows:
        tally._surest.append((confidence, bool(truth[200, 230] == PEDESTRIAN)))
    figures = tally.figures()
    recall, precision = figures['recall_at_confidence'], figures['precision_at_confidence']
    assert isinstance(recall, dict)
    assert isinstance(precision, dict)
    assert (recall['0.4'], recall['0.5'], recall['0.8']) == (1.0, 0.5, 0.5)
    assert (precision['0.4'], precision['0.5'], precision['0.6']) == (2 / 3, 0.5, 1.0)


def test_pictures_of_any_size_are_judged_at_the_size_of_the_network() -> None:
    network = CannedBackend(
        ExactLabels((480, 360), CAMVID_LABEL_MAP).engine, labels=[person_at(220)]
    )
    tally = FolderTally(StopConfig(), network)
    large = np.kron(person_at(220), np.ones((2, 2), np.uint8))
    tally.add(np.zeros((*large.shape, 3), np.uint8), large)
    assert tally.figures()['frame_recall'] == 1.0


@pytest.mark.parametrize(('column', 'feet', 'share'), [(220, 300, 29 / 30), (10, 250, 0.0)])
def test_the_time_that_a_clip_of_a_still_is_stopped_is_told(
    column: int, feet: int, share: float
) -> None:
    engine = ExactLabels((480, 360), CAMVID_LABEL_MAP).engine
    tally = ClipTally(StopConfig(), CannedBackend(engine, labels=[person_at(column, feet)]))
    assert tally.figures() == {}
    tally.add(cv2.resize(street(), (480, 360)))
    figures = tally.figures()
    assert figures['clip_minutes'] == 0.05
    assert figures['stopped_share'] == pytest.approx(share)


def test_a_clip_of_a_still_moves_a_little_and_never_stands_still() -> None:
    picture = np.full((36, 48, 3), 128, np.uint8)
    frames = list(clip_of(picture))
    assert len(frames) == 30
    assert all((a != b).any() for a, b in pairwise(frames))
    assert all(abs(frame.astype(int) - 128).max() <= 1 for frame in frames)


def test_looking_at_the_picture_is_a_cost_of_its_own_and_none_of_lane_or_stop() -> None:
    ticks = itertools.count()
    exact = ExactLabels((480, 360))
    camera = EvaluatedCamera(exact, NodeConfig(), clock_ns=lambda: next(ticks) * 1_000_000)
    image = cv2.resize(street(), (480, 360))
    perceived = camera.process(image, 0, ('lane', 'stop'), exact=person_at(220))
    assert [*perceived.timer.stages_ms][-3:] == ['sight', 'lane', 'stop']


def test_a_folder_is_read_in_order(tmp_path: Path) -> None:
    for name in ('b', 'a'):
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.full((36, 48, 3), ord(name), np.uint8))
        cv2.imwrite(str(tmp_path / f'{name}.label.png'), np.full((36, 48), ROAD, np.uint8))
    pictures = [(row.rgb(), row.labels()) for row in labelled_pictures(tmp_path)]
    assert [int(image[0, 0, 0]) for image, _ in pictures] == [ord('a'), ord('b')]
    assert {(image.shape, labels.shape) for image, labels in pictures} == {((36, 48, 3), (36, 48))}


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r'NAME\.label\.png'):
        list(labelled_pictures(tmp_path))


def test_another_configuration_changes_the_plan() -> None:
    slow = replace(StopConfig(), deceleration_mps2=1.0)
    assert crossing_drives(12, slow, 3) != crossing_drives(12, StopConfig(), 3)


def test_several_folders_are_measured_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ExactLabels((480, 360), CAMVID_LABEL_MAP).engine
    nobody = np.full((360, 480), ROAD, np.uint8)
    for name, labels in (('one', person_at(220)), ('two', nobody)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'a.png'), cv2.resize(street(), (480, 360)))
        cv2.imwrite(str(tmp_path / name / 'a.label.png'), labels)
    monkeypatch.setattr(evaluate_stop, 'load_engine', lambda _: engine)
    backend = CannedBackend(engine, labels=[person_at(220), nobody])
    monkeypatch.setattr(
        processes, 'create_backend', lambda *_, **__: argparse.Namespace(backend=backend)
    )
    folders = [tmp_path / 'one', tmp_path / 'two']
    progress = Progress(io.StringIO())
    notes: list[str] = []
    figures = evaluate_folders(StopConfig(), folders, Judge('exact'), progress, True, notes)
    assert (figures['frames'], figures['frames_with_a_stop']) == (2, 1)
    assert figures['clip_minutes'] == pytest.approx(0.05)
    assert 'recall_by_px' in figures
    assert notes == []


def test_clips_of_pictures_that_show_somebody_whom_the_labels_leave_out_are_counted_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ExactLabels((480, 360), CAMVID_LABEL_MAP).engine
    rider = next(iter(UNLABELLED_PEOPLE))
    for name in ('somewhere', rider):
        cv2.imwrite(str(tmp_path / f'{name}.png'), cv2.resize(street(), (480, 360)))
        cv2.imwrite(str(tmp_path / f'{name}.label.png'), np.full((360, 480), ROAD, np.uint8))
    monkeypatch.setattr(evaluate_stop, 'load_engine', lambda _: engine)
    # Of each picture one, of each clip 30: the network sees somebody in the rider's alone
    nobody = [np.full((360, 480), ROAD, np.uint8)] * 31
    backend = CannedBackend(engine, labels=[*nobody, *[person_at(220)] * 31])
    monkeypatch.setattr(
        processes, 'create_backend', lambda *_, **__: argparse.Namespace(backend=backend)
    )
    notes: list[str] = []
    progress = Progress(io.StringIO())
    figures = evaluate_folders(StopConfig(), [tmp_path], Judge('exact'), progress, True, notes)
    assert figures['stopped_share'] == 0.0
    assert figures['clip_minutes'] == pytest.approx(0.05)
    assert figures['unlabelled_people'] == {
        'clips': 1.0,
        'stopped_share': pytest.approx(29 / 30),
        'stopped_share_with_them': pytest.approx(29 / 60),
    }
    assert any('29 of 30 frames' in note for note in notes)
    assert UNLABELLED_PEOPLE[rider]


def test_what_is_chosen_on_one_folder_is_told_apart_from_what_judges_it() -> None:
    engine = ExactLabels((480, 360), CAMVID_LABEL_MAP).engine
    tallies = {}
    for name, column, feet in (('a', 220, 300), ('b', 10, 250)):
        network = CannedBackend(engine, labels=[person_at(column, feet)])
        tallies[Path('data', name, 'train')] = ClipTally(StopConfig(), network)
        tallies[Path('data', name, 'train')].add(cv2.resize(street(), (480, 360)))
    figures = figures_of_clips(tallies)
    assert figures['stopped_share_of'] == {'a/train': pytest.approx(29 / 30), 'b/train': 0.0}
    assert figures['stopped_share'] == pytest.approx(29 / 60)


def test_labels_of_lanes_alone_do_not_say_that_nobody_is_there() -> None:
    lanes = np.full((36, 48), 255, np.uint8)
    lanes[20:, 20:24] = 11
    assert not is_labelled(lanes)
    assert is_labelled(person_at(10))
