# SPDX-License-Identifier: Apache-2.0
"""Bags as other people have them: what is in the files is read, whatever is said about them."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from seg_ros.core.errors import ConfigurationError, FrameError
from seg_ros.messages.plain import typestore
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.bag_index import METADATA
from test.paths import REPOSITORY
from test.recordings.found import INFORMATION, MCAP_MAGIC, ROWS, found_in, plain
from test.replay.recordings import CHATTER, IMAGE, Row, row, write_bag

Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp('whole') / 'drive', ROWS, chunk_rows=8)


def edited(bag: Path, folder: Path, edit: Edit) -> Path:
    """Returns a copy of a bag with another metadata.yaml."""
    shutil.copytree(bag, folder)
    content = yaml.safe_load((folder / METADATA).read_text())
    edit(content[INFORMATION])
    (folder / METADATA).write_text(yaml.safe_dump(content))
    return folder


def set_span(late_s: float, duration_s: float) -> Edit:
    def edit(bag: dict[str, Any]) -> None:
        bag['starting_time']['nanoseconds_since_epoch'] += round(late_s * 1e9)
        bag['duration']['nanoseconds'] = round(duration_s * 1e9)

    return edit


def set_types(kind: str) -> Edit:
    def edit(bag: dict[str, Any]) -> None:
        for told in bag['topics_with_message_count']:
            if told['topic_metadata']['name'] == CHATTER:
                told['topic_metadata']['type'] = kind

    return edit


def set_offers(bag: dict[str, Any]) -> None:
    for topic in bag['topics_with_message_count']:
        topic['topic_metadata']['offered_qos_profiles'] = (
            '- {history: 1, depth: 1, reliability: 1, durability: 1, deadline: {sec: 0, nsec: 0}, '
            'lifespan: {sec: 0, nsec: 0}, liveliness: 1, '
            'liveliness_lease_duration: {sec: 0, nsec: 0}, avoid_ros_namespace_conventions: false}'
        )


@pytest.mark.parametrize(
    ('edit', 'told'),
    [
        (set_span(0.9, 0.25), 'a begin that is 0.900 s too late'),
        (set_span(0.0, 0.0), 'an end that is 1.150 s too early'),
        (lambda bag: bag.update(message_count=0), 'says 0 messages instead of 50'),
        (lambda bag: bag.update(topics_with_message_count=[]), 'other numbers of messages'),
        (lambda bag: bag.update(relative_file_paths=['old.mcap']), 'lacks old.mcap'),
        (lambda bag: bag.update(version=10), ''),
        (lambda bag: bag.update(storage_identifier=''), ''),
        (lambda bag: bag.update(storage_identifier='sqlite3'), ''),
        (lambda bag: bag.update(compression_mode='MESSAGE', compression_format='lz4'), ''),
        (set_offers, ''),
        (set_types('std_msgs/msg/Empty'), f'says another type of {CHATTER}'),
        (set_types('std_msgs/String'), ''),  # an older spelling of the same
    ],
)
def test_what_metadata_says_wrong_changes_nothing_but_what_is_told(
    whole: Path, tmp_path: Path, edit: Edit, told: str
) -> None:
    assert found_in(edited(whole, tmp_path / 'bag', edit), told) == plain()


def test_a_metadata_that_nobody_ends_or_writes_to_is_not_waited_for(
    whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / 'bag')
    place = tmp_path / 'bag' / METADATA
    place.unlink()
    os.mkfifo(place)
    assert found_in(tmp_path / 'bag', 'it is a pipe, socket or device') == plain()
    place.unlink()
    place.symlink_to('/dev/zero')
    assert found_in(tmp_path / 'bag', 'it is a pipe, socket or device') == plain()


@pytest.mark.parametrize('text', ['', '\0' * 200, 'a: [', '- 1', f'{INFORMATION}: 3', '\x80'])
def test_a_metadata_that_is_none_is_told_and_not_needed(
    whole: Path, tmp_path: Path, text: str
) -> None:
    shutil.copytree(whole, tmp_path / 'bag')
    (tmp_path / 'bag' / METADATA).write_bytes(text.encode('latin-1'))
    assert found_in(tmp_path / 'bag', 'metadata.yaml is not used') == plain()


def test_an_offer_that_was_edited_does_not_lose_its_topic_and_the_files_offer_counts(
    tmp_path: Path,
) -> None:
    bag = write_bag(tmp_path / 'bag', ROWS, StoragePlugin.SQLITE3)
    with sqlite3.connect(bag / 'bag.db3') as database:
        offers = yaml.safe_dump([{**OFFER, 'reliability': 1, 'durability': 2}])
        database.execute('UPDATE topics SET offered_qos_profiles = ?', (offers,))
    database.close()
    found = found_in(edited(bag, tmp_path / 'edited', set_offers), 'another quality of service')
    assert found == plain()
    for path in (bag, tmp_path / 'edited'):
        assert not BagRecording(path).topics['/tf_static'].latched


OFFER = {
    'history': 1, 'depth': 5, 'reliability': 1, 'durability': 2,
    'deadline': {'sec': 0, 'nsec': 0}, 'lifespan': {'sec': 0, 'nsec': 0}, 'liveliness': 1,
    'liveliness_lease_duration': {'sec': 0, 'nsec': 0}, 'avoid_ros_namespace_conventions': False,
}  # fmt: skip

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_metadata_gives_the_bag_that_there_is_without_it(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp('any') / 'bag'
    shutil.copytree(whole, folder)
    content = yaml.safe_load((folder / METADATA).read_text())
    for _ in range(data.draw(st.integers(1, 4))):
        place: Any = content
        while isinstance(place, (dict, list)) and place:
            names = sorted(place, key=str) if isinstance(place, dict) else range(len(place))
            name = data.draw(st.sampled_from(names))
            if data.draw(st.booleans()) or not isinstance(place[name], (dict, list)):
                place[name] = data.draw(ANYTHING)
                break
            place = place[name]
    (folder / METADATA).write_text(yaml.safe_dump(content))
    bag, other = BagRecording(folder), BagRecording(whole / 'drive.mcap')
    assert [row[:4] for row in bag.messages(bag.topics)] == [
        row[:4] for row in other.messages(other.topics)
    ]
    assert bag.topics == other.topics
    assert (bag.begin_ns, bag.end_ns) == (other.begin_ns, other.end_ns)


@pytest.fixture(scope='module')
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four files that follow each other, but the third begins before the second ends."""
    folder = tmp_path_factory.mktemp('parts')
    cuts = [ROWS[:10], ROWS[10:26] + ROWS[29:30], ROWS[26:29] + ROWS[30:42], ROWS[42:]]
    plugins = [StoragePlugin.MCAP, StoragePlugin.SQLITE3]
    return [
        next(write_bag(folder / f'part{number}', cut, plugins[number % 2]).glob('part*'))
        for number, cut in enumerate(cuts)
    ]


@pytest.mark.parametrize('order', list(itertools.permutations(range(4))))
def test_files_in_any_order_are_one_bag_in_the_order_of_time(
    parts: list[Path], tmp_path: Path, order: tuple[int, ...]
) -> None:
    for place, number in enumerate(order):
        shutil.copy(parts[number], tmp_path / f'{place}{parts[number].suffix}')
    assert found_in(tmp_path) == plain()
    first = BagRecording(tmp_path)
    assert list(first.topics) == list(dict.fromkeys(item.topic for item in ROWS))


@settings(max_examples=40, deadline=None)
@given(
    owners=st.lists(st.integers(0, 3), min_size=len(ROWS), max_size=len(ROWS)),
    compression=st.sampled_from(CompressionMode),
    is_sqlite=st.booleans(),
    has_metadata=st.booleans(),
)
def test_however_messages_are_split_and_packed_the_bag_is_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    owners: list[int],
    compression: CompressionMode,
    is_sqlite: bool,
    has_metadata: bool,
) -> None:
    folder = tmp_path_factory.mktemp('split')
    if is_sqlite and compression == CompressionMode.STORAGE:
        compression = CompressionMode.NONE
    plugin = StoragePlugin.SQLITE3 if is_sqlite else StoragePlugin.MCAP
    for owner in sorted(set(owners)):
        rows = [item for item, mine in zip(ROWS, owners, strict=True) if mine == owner]
        bag = write_bag(folder / str(owner), rows, plugin, compression)
        for path in bag.iterdir():
            if path.name != METADATA:
                shutil.move(path, folder / path.name)
            elif has_metadata:
                shutil.copy(path, folder / METADATA)  # that of the last file
        shutil.rmtree(bag)
    bag = BagRecording(folder)
    found = [(item.topic, item.recorded_ns, item.data) for item in bag.messages(bag.topics)]
    # What was recorded at the same nanosecond has no order across files
    assert sorted(found) == sorted(plain())
    assert [item[1] for item in found] == sorted(item[1] for item in found)


@pytest.mark.parametrize('has_metadata', [True, False])
def test_a_file_that_was_copied_under_another_name_is_read_once_and_told(
    whole: Path, tmp_path: Path, has_metadata: bool
) -> None:
    shutil.copytree(whole, tmp_path / 'bag')
    shutil.copy(whole / 'drive.mcap', tmp_path / 'bag' / 'drive (copy).mcap')
    if not has_metadata:
        (tmp_path / 'bag' / METADATA).unlink()
    assert found_in(tmp_path / 'bag', 'are read once') == plain()


def test_a_cut_copy_beside_the_whole_file_adds_and_loses_nothing(
    whole: Path, tmp_path: Path
) -> None:
    data = (whole / 'drive.mcap').read_bytes()
    (tmp_path / 'a.mcap').write_bytes(data[: len(data) // 2])
    shutil.copy(whole / 'drive.mcap', tmp_path / 'b.mcap')
    assert found_in(tmp_path, 'a.mcap is cut off') == plain()


def test_a_file_that_is_missing_is_told_and_the_others_are_read(
    parts: list[Path], tmp_path: Path
) -> None:
    for path in parts[1:]:
        shutil.copy(path, tmp_path)
    listed = [path.name for path in parts]
    text = yaml.safe_dump({INFORMATION: {'relative_file_paths': listed}})
    (tmp_path / METADATA).write_text(text)
    assert found_in(tmp_path, f'{tmp_path} lacks {parts[0].name}') == plain(ROWS[10:])


@pytest.mark.parametrize('content', [b'', b'no bag at all', MCAP_MAGIC])
def test_a_file_that_is_none_is_left_out_by_name(
    whole: Path, tmp_path: Path, content: bytes
) -> None:
    shutil.copy(whole / 'drive.mcap', tmp_path / 'a.mcap')
    (tmp_path / 'b.mcap').write_bytes(content)
    assert found_in(tmp_path, f'{tmp_path / "b.mcap"} is left out') == plain()


@pytest.mark.parametrize('name', ['what?.db3', 'a%20b.db3', 'a#b.mcap', 'no_suffix', 'wrong.db3'])
def test_a_name_is_a_name_and_what_a_file_is_stands_in_it(tmp_path: Path, name: str) -> None:
    is_sqlite = name.endswith('.db3') and name != 'wrong.db3'
    plugin = StoragePlugin.SQLITE3 if is_sqlite else StoragePlugin.MCAP
    source = next(write_bag(tmp_path / 'bag', ROWS, plugin).glob('bag.*'))
    path = tmp_path / 'what?%41' / name
    path.parent.mkdir()
    shutil.copy(source, path)
    assert found_in(path) == plain()


def test_what_a_killed_recorder_left_in_the_wal_is_read_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    bag = write_bag(tmp_path / 'bag', ROWS[:20], StoragePlugin.SQLITE3)
    killed = tmp_path / 'killed'
    killed.mkdir()
    database = sqlite3.connect(bag / 'bag.db3')
    database.execute('PRAGMA journal_mode = wal')
    database.execute('PRAGMA wal_autocheckpoint = 0')
    numbers = dict(database.execute('SELECT name, id FROM topics'))
    for item in ROWS[20:]:
        database.execute(
            'INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)',
            (numbers[item.topic], item.recorded_ns, item.data),
        )
    database.commit()
    for name in ('bag.db3', 'bag.db3-wal'):
        shutil.copy(bag / name, killed / name)
    database.close()
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    assert len(before) == 2
    assert found_in(killed) == plain()
    assert found_in(killed / 'bag.db3') == plain()
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before


@pytest.mark.parametrize('share', [0.3, 0.6, 0.9])
def test_a_database_with_a_hole_is_read_around_it_and_told(tmp_path: Path, share: float) -> None:
    bag = write_bag(tmp_path / 'bag', ROWS, StoragePlugin.SQLITE3)
    file = bag / 'bag.db3'
    data = bytearray(file.read_bytes())
    begin = int(len(data) * share) // 4096 * 4096
    data[begin : begin + 8192] = b'\xaa' * 8192
    file.write_bytes(data)
    recording = BagRecording(bag)
    found = [
        (item.topic, item.recorded_ns, item.data) for item in recording.messages(recording.topics)
    ]
    there = [item for item in found if item in plain()]
    assert len(ROWS) - 8 <= len(there) <= len(ROWS)
    assert [item[1] for item in found] == sorted(item[1] for item in found)
    assert len(there) == len(ROWS) or recording.trouble


ENDLESS = """CREATE VIEW messages AS
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)
SELECT x AS id, 1 AS topic_id, x AS timestamp, x'00' AS data FROM c"""
COMPUTED = """CREATE TABLE messages (
id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB AS (zeroblob(900000000)))"""


@pytest.mark.parametrize('statement', [ENDLESS, COMPUTED], ids=['view', 'computed'])
def test_a_database_that_computes_its_messages_is_refused_at_once(
    tmp_path: Path, statement: str
) -> None:
    bag = write_bag(tmp_path / 'bag', ROWS, StoragePlugin.SQLITE3)
    with sqlite3.connect(bag / 'bag.db3') as database:
        database.execute('DROP TABLE messages')
        database.execute(statement)
        if 'TABLE' in statement:
            database.execute('INSERT INTO messages (topic_id, timestamp) VALUES (1, 1)')
    database.close()
    with pytest.raises(ConfigurationError, match=r'has no tables of a bag|does not store data'):
        BagRecording(bag)


def test_a_database_whose_pages_lead_to_each_other_again_and_again_is_given_up() -> None:
    """40 to the power of 15 leaves of a tree, in 16 kB."""
    assert len(found_in(REPOSITORY / 'test/fuzz/corpus/database/laughs', 'is damaged')) <= 4


@pytest.mark.parametrize('where', ['metadata', 'topic'])
def test_a_text_that_nests_for_megabytes_ends_no_process(tmp_path: Path, where: str) -> None:
    bag = write_bag(tmp_path / 'bag', ROWS, StoragePlugin.SQLITE3)
    nested = '[' * 1_000_000
    if where == 'metadata':
        (bag / METADATA).write_text(nested)
    else:
        with sqlite3.connect(bag / 'bag.db3') as database:
            database.execute('UPDATE topics SET offered_qos_profiles = ?', (nested,))
        database.close()
    told = 'metadata.yaml is not used' if where == 'metadata' else 'is not told: it is no YAML'
    assert found_in(bag, told) == plain()


def test_a_chunk_that_the_end_of_the_file_cuts_is_read_as_far_as_it_is_whole(
    tmp_path: Path,
) -> None:
    for compression in (CompressionMode.NONE, CompressionMode.STORAGE):
        bag = write_bag(tmp_path / compression.name, ROWS, compression=compression)  # one chunk
        file = next(bag.glob('*.mcap'))
        (bag / METADATA).unlink()
        data = file.read_bytes()
        file.write_bytes(data[: data.rindex(MCAP_MAGIC) * 2 // 3])
        found = found_in(bag, 'is cut off')
        assert len(ROWS) // 3 < len(found) < len(ROWS)
        assert found == plain()[: len(found)]


def test_messages_outside_of_chunks_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    rows = [*ROWS[10:], *ROWS[:10]]
    file = tmp_path / 'loose.mcap'
    file.write_bytes(_loose_mcap(rows))
    assert found_in(file) == plain()


def test_a_message_that_is_shorter_than_its_head_is_left_out_and_told(tmp_path: Path) -> None:
    data = _loose_mcap(ROWS)
    second = data.index(_record(5, b'')[:1], data.index(ROWS[0].data) + len(ROWS[0].data))
    file = tmp_path / 'a.mcap'
    file.write_bytes(data[:second] + _record(5, b'\1\0\0') + data[second:])
    assert found_in(file, 'is too short, and left out') == plain()


@pytest.mark.parametrize('profile', ['', 'ros1', 'x'])
def test_the_profile_of_a_file_does_not_matter(tmp_path: Path, profile: str) -> None:
    file = tmp_path / 'a.mcap'
    file.write_bytes(_loose_mcap(ROWS, profile=profile))
    assert found_in(file) == plain()


@pytest.mark.parametrize(
    ('encoding', 'definition'),
    [
        ('unknown', ''), ('', ''), ('ros2msg', ''), ('ros2msg', 'lidar_msgs/Inner inner\n'),
        ('ros2msg', 'lidar_msgs/msg/Stat'), ('ros2msg', 'float32 x "oops\n@@'),
        ('ros2idl', 'module {'), ('protobuf', '\0\1'), ('jsonschema', '{}'),
        ('ros2msg', 'string from\n'),
    ],
)  # fmt: skip
def test_a_definition_that_is_none_spoils_no_other_topic(
    tmp_path: Path, encoding: str, definition: str
) -> None:
    stat = row('/stat', ROWS[0].recorded_ns, 'std_msgs/msg/String', data='x')
    stat = stat._replace(type_name='lidar_msgs/msg/Stat')
    for storage, made in (
        ('a.mcap', _loose_mcap([stat, *ROWS], {'lidar_msgs/msg/Stat': (encoding, definition)})),
        ('a.db3', b''),
    ):
        path = tmp_path / storage
        path.write_bytes(made)
        if not made:
            path.unlink()
            bag = write_bag(
                tmp_path / 'db3', [stat._replace(type_name=STRING), *ROWS], StoragePlugin.SQLITE3
            )
            shutil.move(bag / 'db3.db3', path)
            with sqlite3.connect(path) as database:
                database.execute(
                    'UPDATE topics SET type = ? WHERE name = ?', (stat.type_name, '/stat')
                )
                database.execute(
                    'INSERT INTO message_definitions VALUES (NULL, ?, ?, ?, ?)',
                    (stat.type_name, encoding, definition, ''),
                )
            database.close()
        recording = BagRecording(path)
        found = list(recording.messages(recording.topics))
        assert [(item.topic, item.recorded_ns, item.data) for item in found] == plain(
            [stat, *ROWS]
        )
        by_topic = {item.topic: item for item in found}
        assert recording.read(by_topic[IMAGE]).encoding == 'rgb8'
        if definition != 'string from\n':
            with pytest.raises(FrameError, match='lidar_msgs/msg/Stat'):
                recording.read(by_topic['/stat'])


STRING = 'std_msgs/msg/String'


def test_a_known_type_whose_definition_is_none_is_read_as_ros_defines_it_and_told(
    tmp_path: Path,
) -> None:
    file = tmp_path / 'a.mcap'
    file.write_bytes(_loose_mcap(ROWS, {'sensor_msgs/msg/Image': ('ros2msg', 'oops "')}))
    recording = BagRecording(file)
    assert 'sensor_msgs/msg/Image is read as ROS 2 defines it' in recording.trouble[0]
    message = next(recording.messages([IMAGE]))
    assert recording.read(message).encoding == 'rgb8'


@pytest.mark.parametrize(
    ('package', 'end'), [('/', ''), ('::msg::', ''), ('::msg::dds_::', '_')], ids=str
)
def test_a_type_may_be_spelled_as_ros_1_or_dds_do(tmp_path: Path, package: str, end: str) -> None:
    file = tmp_path / 'a.mcap'
    kinds = {item.type_name: item.type_name.replace('/msg/', package) + end for item in ROWS}
    rows = [item._replace(type_name=kinds[item.type_name]) for item in ROWS]
    texts = {kinds[kind]: ('ros2msg', _definition(kind)) for kind in kinds}
    file.write_bytes(_loose_mcap(rows, texts))
    assert found_in(file) == plain()
    assert BagRecording(file).topics[IMAGE].type_name == 'sensor_msgs/msg/Image'


@pytest.mark.parametrize('form', ['CDR', ''])
def test_the_form_of_messages_may_be_spelled_otherwise_or_not_told(
    tmp_path: Path, form: str
) -> None:
    bag = write_bag(tmp_path / 'bag', ROWS, StoragePlugin.SQLITE3)
    with sqlite3.connect(bag / 'bag.db3') as database:
        database.execute('UPDATE topics SET serialization_format = ?', (form,))
    database.close()
    assert found_in(bag, '' if form else f'in which form {IMAGE} is: CDR is assumed') == plain()


@pytest.mark.parametrize('name', ['UP.MCAP', 'drive.mcap.active', 'data', 'x.sqlite3'])
def test_a_file_of_a_bag_may_be_called_anything(whole: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(whole, tmp_path / 'bag')
    (tmp_path / 'bag/notes.txt').write_text('it rained')
    (tmp_path / 'bag/drive.mcap').rename(tmp_path / 'bag' / name)
    assert found_in(tmp_path / 'bag', f'holds {name}, too') == plain()


def test_messages_in_another_language_are_left_out_by_name(tmp_path: Path) -> None:
    file = tmp_path / 'a.mcap'
    file.write_bytes(_loose_mcap(ROWS, encodings={CHATTER: 'json'}))
    wanted = [item for item in ROWS if item.topic != CHATTER]
    assert found_in(file, f'{CHATTER} is left out: its messages are in json') == plain(wanted)


@pytest.mark.parametrize('suffix', ['.mcap.zstd', '.db3.zstd'])
def test_a_packed_file_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path, suffix: str) -> None:
    plugin = StoragePlugin.MCAP if suffix.startswith('.mcap') else StoragePlugin.SQLITE3
    bag = write_bag(tmp_path / 'bag', ROWS, plugin, CompressionMode.FILE)
    file = bag / f'bag{suffix}'
    (bag / METADATA).unlink()
    assert found_in(bag) == plain()
    assert found_in(file) == plain()
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 9 // 10])
    found = found_in(bag, 'is cut off or broken')
    assert len(ROWS) // 2 < len(found) < len(ROWS)
    assert sum(item not in plain() for item in found) <= 1  # that which the end goes through


def test_a_database_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', ROWS, StoragePlugin.SQLITE3)
    file = bag / 'bag.db3'
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 9 // 10])
    found = found_in(bag, f'{file} is cut off')
    assert len(ROWS) // 2 < len(found) < len(ROWS)
    assert sum(item not in plain() for item in found) <= 1  # that which the end goes through
    assert file.read_bytes() == data[: len(data) * 9 // 10]


def _loose_mcap(
    rows: Sequence[Row],
    schemas: dict[str, tuple[str, str]] | None = None,
    profile: str = 'ros2',
    encodings: dict[str, str] | None = None,
) -> bytes:
    """An MCAP file without chunks and without an index."""
    types = {item.topic: item.type_name for item in rows}
    records = [MCAP_MAGIC, _record(1, _text(profile), _text('test'))]
    for number, (topic, kind) in enumerate(types.items(), 1):
        encoding, text = (schemas or {}).get(kind) or ('ros2msg', _definition(kind))
        records += [
            _record(3, struct.pack('<H', number), _text(kind), _text(encoding), _text(text)),
            _record(
                4, struct.pack('<HH', number, number), _text(topic),
                _text((encodings or {}).get(topic, 'cdr')), struct.pack('<I', 0),
            ),
        ]  # fmt: skip
    numbers = {topic: number for number, topic in enumerate(types, 1)}
    for item in rows:
        at_ns = item.recorded_ns
        head = struct.pack('<HIQQ', numbers[item.topic], 0, at_ns, at_ns)
        records.append(_record(5, head, item.data))
    records += [_record(15, struct.pack('<I', 0)), _record(2, struct.pack('<QQI', 0, 0, 0))]
    return b''.join([*records, MCAP_MAGIC])


def _definition(kind: str) -> str:
    name = kind if '/msg/' in kind else kind.replace('/', '/msg/')
    text: str = typestore().generate_msgdef(name, ros_version=2)[0]
    return text


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack('<I', len(data)) + data


def _record(opcode: int, *parts: bytes) -> bytes:
    data = b''.join(parts)
    return struct.pack('<BQ', opcode, len(data)) + data
