# SPDX-License-Identifier: Apache-2.0
"""What stands in an output folder and is not ours stays there, whatever is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from seg_ros.cli import main
from seg_ros.commands.shared.output_folder import MARK, claim, clear
from seg_ros.core.errors import ConfigurationError
from test.recordings.pictures import flat, image_message, write_bag

NAMES = ('bag', 'summary.json', 'worst_*.png')


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


@pytest.mark.parametrize('name', ['bag', 'summary.json', 'worst_1_x.png'])
def test_a_file_of_somebody_with_one_of_our_names_is_a_refusal(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('mine')
    with pytest.raises(ConfigurationError, match=rf'{name} there was not made by seg_ros demo'):
        claim(tmp_path, 'demo', NAMES)
    assert contents(tmp_path) == {name: b'mine'}


def test_what_we_made_is_replaced_and_all_else_stays(tmp_path: Path) -> None:
    folder = tmp_path / 'new'
    claim(folder, 'demo', NAMES)
    (folder / 'bag').mkdir()
    (folder / 'bag' / 'data').write_text('ours')
    (folder / 'notes.txt').write_text('mine')
    claim(folder, 'demo', NAMES)
    clear(folder, NAMES)
    assert set(contents(folder)) == {MARK, 'notes.txt'}


def test_a_link_is_removed_and_never_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / 'precious').mkdir()
    (tmp_path / 'precious' / 'data').write_text('mine')
    claim(tmp_path / 'out', 'demo', NAMES)
    (tmp_path / 'out' / 'bag').symlink_to(tmp_path / 'precious')
    clear(tmp_path / 'out', NAMES)
    assert not (tmp_path / 'out' / 'bag').exists()
    assert contents(tmp_path / 'precious') == {'data': b'mine'}


@pytest.mark.parametrize('mark', ['', '[]', '{"demo": "bag"}', '{"demo": [1]}', '[' * 9999])
def test_a_mark_that_says_nothing_makes_nothing_ours(tmp_path: Path, mark: str) -> None:
    (tmp_path / MARK).write_text(mark)
    (tmp_path / 'bag').write_text('mine')
    with pytest.raises(ConfigurationError, match='bag there was not made'):
        claim(tmp_path, 'demo', NAMES)


def test_two_commands_share_a_folder_and_know_their_own(tmp_path: Path) -> None:
    claim(tmp_path, 'demo', NAMES)
    claim(tmp_path, 'report', ('report.html',))
    (tmp_path / 'bag').write_text('of the demo')
    claim(tmp_path, 'demo', NAMES)


@pytest.mark.parametrize('output', ['.', 'bag'])
def test_a_demo_never_destroys_the_recording_that_it_plays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    """`seg_ros demo --bag X/bag -o X` made 712 bytes of 10 MB."""
    bag = write_bag(tmp_path / 'bag', {'/camera/image': [image_message(flat((1, 2, 3)))]})
    before = contents(tmp_path)
    words = ['demo', '--bag', str(bag), '-o', str(tmp_path / output)]
    assert main(words) == 1
    assert 'Name another folder' in capsys.readouterr().err
    assert contents(tmp_path) == before
    (tmp_path / MARK).write_text('{"demo": ["bag"]}')  # not even where the demo has made it
    marked = contents(tmp_path)
    assert main(words) == 1
    assert contents(tmp_path) == marked


def test_a_report_does_not_replace_the_report_of_somebody(tmp_path: Path) -> None:
    (tmp_path / 'report.html').write_text('mine')
    with pytest.raises(ConfigurationError, match='is not replaced'):
        claim(tmp_path, 'report', ('report.html',))
    assert (tmp_path / 'report.html').read_text() == 'mine'
