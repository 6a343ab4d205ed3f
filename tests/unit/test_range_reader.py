import os
import random

import pytest

import range_reader
from range_reader import READ_AHEAD, RangeReader
from tests.unit.conftest import File
from verdicts import Rejected

MB = 1 << 20


@pytest.fixture
def file():
    return File(random.Random(1).randbytes(6 * MB))


def test_a_small_file_is_one_request():
    file = File(os.urandom(2 * MB))
    reader = file.reader()
    reader.load_ends()
    reader.seek(123)
    assert reader.read(10) == file.content[123:133]
    assert file.ranges == [(0, 2 * MB)]
    assert (reader.requests, reader.waits, reader.bytes_read) == (1, 1, 2 * MB)


def test_the_ends_of_a_large_file_are_two_requests_and_one_wait(file):
    reader = file.reader()
    reader.load_ends()
    assert sorted(file.ranges) == [(0, 6 * MB // 8), (6 * MB - 128 * 1024, 6 * MB)]
    assert (reader.requests, reader.waits) == (2, 1)


def test_the_ends_grow_with_the_file_up_to_a_bound():
    asked = []
    reader = RangeReader(lambda start, end: asked.append(end - start) or bytes(end - start), 400 * MB, 1 << 40)
    reader.load_ends()
    reader = RangeReader(lambda start, end: asked.append(end - start) or bytes(end - start), 5000 * MB, 1 << 40)
    reader.load_ends()
    assert asked == [400 * MB // 768] * 2 + [MB] * 2


def test_whatever_is_read_is_what_the_file_holds(file):
    reader, chance = file.reader(), random.Random(2)
    reader.load_ends()
    for _ in range(200):
        start, length = chance.randrange(6 * MB), chance.choice([1, 100, 40_000, 500_000])
        reader.seek(start)
        piece = reader.read(length)
        assert 0 < len(piece) <= length  # PyAV copies it into a buffer of `length`
        assert piece == file.content[start : start + len(piece)]
        assert reader.tell() == start + len(piece)
        assert reader.peek(start, 1000) == file.content[start : start + 1000]
    assert sum(end - start for start, end in file.ranges) <= 6 * MB, "no byte is fetched twice"


def test_a_packet_is_fetched_in_one_request_of_its_size(file):
    reader = file.reader()
    reader.seek(3 * MB)
    reader.read(700_000)
    assert file.ranges == [(3 * MB, 3 * MB + 700_000)]


def test_a_small_read_fetches_ahead(file):
    reader = file.reader()
    reader.read(8)
    reader.read(1000)
    assert file.ranges == [(0, READ_AHEAD)]


def test_a_large_range_is_fetched_in_parallel_parts(file):
    reader = file.reader()
    reader.load([(0, 6 * MB)])
    assert sorted(file.ranges) == [(0, 2 * MB), (2 * MB, 4 * MB), (4 * MB, 6 * MB)]
    assert reader.waits == 1


def test_seek_has_the_three_ways_of_a_file(file):
    reader = file.reader()
    assert [reader.seek(10), reader.seek(5, 1), reader.seek(-1, 2)] == [10, 15, 6 * MB - 1]
    assert reader.read(100) == file.content[-1:]
    assert reader.read(100) == b""


def test_overlays_are_read_in_place_of_the_content(file):
    reader = file.reader()
    reader.overlays = {100: b"free", 10: b"1234"}
    assert reader.read(12) == file.content[:10] + b"12"
    assert reader.read(90) == b"34" + file.content[14:100] + b"fr"
    assert reader.peek(100, 4) == file.content[100:104]


def test_reading_has_a_budget(file):
    reader = file.reader(max_bytes=MB)
    with pytest.raises(Rejected, match="too-large-to-decode"):
        reader.load([(0, 2 * MB)])
    assert file.ranges == []


def test_reading_has_a_deadline_and_after_it_the_file_has_ended(file):
    now = [0.0]
    reader = file.reader(deadline=5, clock=lambda: now[0])
    reader.read(8)
    now[0] = 6
    reader.seek(3 * MB)
    with pytest.raises(Rejected, match="too-slow"):
        reader.read(8)
    assert reader.failure is not None
    assert reader.read(8) == b"", "FFmpeg asks again: it must not wait for another failure"


def test_the_first_failure_is_kept():
    def broken(start, end):
        raise ConnectionError("reset")

    reader = RangeReader(broken, 5 * MB, 1 << 30)
    with pytest.raises(ConnectionError):
        reader.read(8)
    assert isinstance(reader.failure, ConnectionError)
    assert range_reader.SMALL_FILE < 5 * MB


def test_a_long_index_is_read_in_few_requests(file):
    """FFmpeg reads an AVI's index from its beginning, 32 KB at a time."""
    reader = file.reader()
    while reader.read(32 * 1024):
        pass
    assert len(file.ranges) <= 6
    assert reader.bytes_read == 6 * MB


def test_reading_here_and_there_reads_little_ahead(file):
    reader = file.reader()
    for place in (4 * MB, 2 * MB, 0):
        reader.seek(place)
        reader.read(100)
    assert reader.bytes_read == 3 * READ_AHEAD


def test_time_runs_out_among_cached_bytes_too(file):
    """An index can send FFmpeg in circles without a single request."""
    now = [0]
    reader = file.reader(deadline=10, clock=lambda: now[0])
    reader.load([(0, MB)])
    assert reader.read(100)
    now[0] = 11
    with pytest.raises(Rejected, match="too-slow"):
        reader.read(100)


def test_what_lies_outside_of_the_file_is_not_asked_for(file):
    reader = file.reader()
    reader.load([(-MB, -10), (-10, 10), (6 * MB - 10, 7 * MB), (8 * MB, 9 * MB)])
    assert sorted(file.ranges) == [(0, 10), (6 * MB - 10, 6 * MB)]


def test_it_lets_go_of_what_it_read(file):
    reader = file.reader()
    reader.load([(0, MB)])
    reader.forget()
    assert reader.bytes_read == MB, "still counted"
    assert reader.peek(0, 10) == file.content[:10]
    assert len(file.ranges) == 2


def test_on_opening_packets_are_not_fetched_but_what_is_parsed_is(file):
    reader = file.reader()
    reader.opening = True
    reader.seek(3 * MB)
    assert reader.read(100_000) == bytes(100_000)
    assert file.ranges == []
    reader.seek(3 * MB)
    assert reader.read(32 * 1024) == file.content[3 * MB :][: 32 * 1024], "FFmpeg keeps such a piece for later"
    reader.opening = False
    reader.seek(4 * MB)
    assert reader.read(100_000) == file.content[4 * MB :][:100_000]
