# SPDX-License-Identifier: Apache-2.0
"""The figures, moments and changes of a report, from bags whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from std_msgs.msg import String

from seg_ros.cli import main
from seg_ros.core.errors import ConfigurationError
from seg_ros.report.build import drive_report
from seg_ros.report.chart import charts_of
from seg_ros.report.compare import compare, worst_changes
from seg_ros.report.drive import read_drive
from seg_ros.report.figures import figures_of
from seg_ros.report.moments import worst_moments
from test.report.drives import BEGIN_NS, drive_bag
from test.ros.graph import image_message
from test.ros.recording import Recorded, broken_bag, write_bag


def test_figures_are_those_of_the_drive(tmp_path: Path) -> None:
    bag = drive_bag(
        tmp_path / 'bag',
        person=range(10, 14),
        fault=range(20, 30),
        lane_lost=range(30, 34),
        dropped=(16, 17),
        offset_m=-0.2,
    )
    figures = figures_of(read_drive(bag))
    assert figures['frames'] == {
        'images': 40, 'labelled': 38, 'dropped': 2, 'per_s': 9.49, 'longest_gap_s': 0.3
    }  # fmt: skip
    assert figures['stop']['stops'] == 2
    assert figures['stop']['share'] == pytest.approx(14 / 38, abs=1e-3)
    assert figures['stop']['seconds']['person'] == pytest.approx(0.4)
    assert figures['stop']['fault_s'] == pytest.approx(1.0)
    assert figures['stop']['nearest_person_m'] == 8.0
    assert figures['lane']['valid_share'] == pytest.approx(34 / 38, abs=1e-3)
    assert figures['lane']['longest_loss_s'] == pytest.approx(0.4)
    assert figures['lane']['offset_rms_m'] == 0.2
    assert figures['latency_ms'] == {'p50': 30.0, 'p95': 30.0, 'p99': 30.0}
    assert figures['classes']['pedestrian'] == pytest.approx(4 * 72 / (36 * 64) / 38, abs=1e-4)
    assert (figures['engine'], figures['backend']) == ('tiny', 'canned')


def test_a_bag_with_the_stamps_of_its_images_has_no_latency(tmp_path: Path) -> None:
    drive = read_drive(drive_bag(tmp_path / 'bag', replayed=True))
    assert figures_of(drive)['latency_ms'] is None
    latency = next(row for row in charts_of([drive]) if row.title == 'Latency')
    assert 'stamps of the images' in latency.missing


def test_what_went_wrong_is_found_and_the_fault_comes_first(tmp_path: Path) -> None:
    bag = drive_bag(
        tmp_path / 'bag',
        person=range(5, 9),
        fault=range(20, 30),
        lane_lost=range(31, 36),
        dropped=range(12, 17),
        slow=(38,),
    )
    moments = worst_moments(read_drive(bag))
    assert moments[0].sort == 'fault'
    assert {row.sort for row in moments} == {'fault', 'person', 'lane', 'gap', 'slow'}
    found = {row.sort: row for row in moments}
    assert found['fault'].at_s == pytest.approx(0.1 * 21 + 0.03)
    assert found['fault'].reason == 'because it is stale'
    assert found['person'].title.startswith('Person 8.0 m away')
    assert found['gap'].title == 'No labels for 0.60 s'
    assert found['slow'].title == 'Labels after 200 ms'


def test_a_drive_without_an_event_has_no_worst_moment(tmp_path: Path) -> None:
    page, data = drive_report(read_drive(drive_bag(tmp_path / 'bag')))
    assert data['moments'] == []
    assert not page.verdict.bad
    assert page.verdict.text.startswith('No fault stopped the vehicle')


def test_a_drive_that_was_stopped_for_people_says_so_first(tmp_path: Path) -> None:
    page, _ = drive_report(read_drive(drive_bag(tmp_path / 'bag', person=range(2, 38))))
    text = page.verdict.text
    assert text.startswith('The vehicle was stopped 90% of ')
    assert 's for people)' in text
    assert 'no fault stopped the vehicle' in text
    assert page.verdict.bad


def test_a_change_is_found_in_the_frames_that_have_it(tmp_path: Path) -> None:
    a = read_drive(drive_bag(tmp_path / 'a'))
    b = read_drive(
        drive_bag(
            tmp_path / 'b',
            person=range(10, 13),
            lane_lost=(20,),
            relabelled=(30, 31),
            dropped=(35,),
            replayed=True,
        )
    )
    changes = compare(a, b)
    assert len(changes) == 39

    def numbers(name: str) -> list[int]:
        return [
            round((row.stamp_ns - BEGIN_NS) / 1e8) - 1
            for row in changes
            if name in row.differences()
        ]

    assert numbers('stop') == [10, 11, 12]
    assert numbers('lane') == [20]
    assert numbers('labels') == [10, 11, 12, 30, 31]
    assert min(row.agreement for row in changes) == 0.75
    worst = worst_changes(changes)
    assert worst[0].title == 'Stop: clear in A, person in B, 3 frames'


def test_a_run_compared_with_itself_has_not_changed(tmp_path: Path) -> None:
    drive = read_drive(drive_bag(tmp_path / 'bag', person=range(10, 13)))
    changes = compare(drive, drive)
    assert len(changes) == 40
    assert not worst_changes(changes)
    assert all(row.agreement == 1.0 for row in changes)


def test_runs_over_other_recordings_are_refused(tmp_path: Path) -> None:
    a = read_drive(drive_bag(tmp_path / 'a', frames=3))
    b = read_drive(drive_bag(tmp_path / 'b', dropped=range(3), frames=6))
    with pytest.raises(ConfigurationError, match='two runs over one recording'):
        compare(a, b)


def test_a_bag_without_the_node_is_refused(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', [Recorded('/words', 1, String(data='a'))])
    with pytest.raises(ConfigurationError, match='seg_ros replay'):
        read_drive(bag)


def test_the_command_leaves_page_picture_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = drive_bag(tmp_path / 'bag', person=range(10, 14))
    out = tmp_path / 'out'
    assert main(['report', str(bag), '-o', str(out), '--json']) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed['stop']['stops'] == 1
    data = json.loads((out / 'frames.json').read_text())
    assert len(data['timeline']['stop']['at_s']) == 40
    assert 'timeline' not in json.loads((out / 'report.json').read_text())
    picture = cv2.imread(str(out / 'report.png'))
    assert picture.shape[1] == 1400
    assert np.unique(picture.reshape(-1, 3), axis=0).shape[0] > 10


def test_the_command_compares_two_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = drive_bag(tmp_path / 'a')
    b = drive_bag(tmp_path / 'b', person=range(10, 14))
    assert main(['report', str(a), str(b), '-o', str(tmp_path / 'out'), '--json']) == 0
    compared = json.loads(capsys.readouterr().out)['compared']
    assert compared['stop_changed'] == 4
    data = json.loads((tmp_path / 'out/frames.json').read_text())
    assert data['by_frame'][10]['differences'] == ['stop', 'labels']
    assert (tmp_path / 'out/report.png').exists()


def test_one_camera_of_several_has_to_be_named(tmp_path: Path) -> None:
    label = image_message(np.zeros((4, 6), np.uint8))
    rows = [
        Recorded('/segmentation/front/label', 1, label),
        Recorded('/segmentation/left/label', 2, label),
        Recorded('/segmentation/left/label', 3, label),
    ]
    bag = write_bag(tmp_path / 'bag', rows)
    with pytest.raises(ConfigurationError, match='Name one with --camera'):
        read_drive(bag)
    assert len(read_drive(bag, camera='left').frames) == 2


def test_a_broken_bag_is_reported_with_what_can_be_read_of_it(tmp_path: Path) -> None:
    page, data = drive_report(read_drive(broken_bag(tmp_path / 'bag')))
    assert 0 < data['frames']['labelled'] < 20
    assert 'is broken and left out' in data['broken']
    assert page.verdict.bad
    assert page.verdict.text.startswith(data['broken'])


def test_a_bag_that_was_cut_off_is_reported_as_far_as_it_goes(tmp_path: Path) -> None:
    bag = broken_bag(tmp_path / 'bag')
    (file,) = bag.glob('*.mcap')
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    _, data = drive_report(read_drive(bag))
    assert 0 < data['frames']['labelled'] < 20
    assert 'is cut off' in data['broken']
