import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.support.files import File
from video_intake.media import range_reader
from video_intake.media.range_reader import RangeReader
from video_intake.media.verdicts import Rejected

MB = 1 << 20


def zeros(asked):
    """A remote file of zeros that records the sizes of requests."""

    def fetch(ranges):
        asked.extend(end - start for start, end in ranges)
        return [bytes(end - start) for start, end in ranges]

    return fetch


@pytest.fixture
def file():
    return File(random.Random(1).randbytes(6 * MB))


def test_a_small_file_is_one_request():
    file = File(os.urandom(2 * MB))
    reader = file.reader()
    reader.load_ends()
    assert reader.peek(123, 10) == file.content[123:133]
    assert file.ranges == [(0, 2 * MB)]
    assert (reader.requests, reader.round_trips, reader.bytes_read) == (1, 1, 2 * MB)


def test_the_ends_of_a_large_file_are_two_requests_in_one_round_trip(file):
    reader = file.reader()
    reader.load_ends()
    assert sorted(file.ranges) == [(0, 6 * MB // 8), (6 * MB - 128 * 1024, 6 * MB)]
    assert (reader.requests, reader.round_trips) == (2, 1)


def test_the_ends_grow_with_the_file_up_to_a_limit():
    asked = []
    reader = RangeReader(zeros(asked), 400 * MB, 1 << 40)
    reader.load_ends()
    reader = RangeReader(zeros(asked), 5000 * MB, 1 << 40)
    reader.load_ends()
    assert asked == [400 * MB // 900] * 2 + [MB] * 2


def test_a_large_range_is_fetched_in_parallel_parts(file):
    reader = file.reader()
    reader.load([(0, 6 * MB)])
    assert sorted(file.ranges) == [(at * MB, (at + 1) * MB) for at in range(6)]
    assert reader.round_trips == 1


def test_reading_has_a_budget(file):
    reader = file.reader(max_bytes=MB)
    reader.load([(0, 1000)])
    with pytest.raises(Rejected, match="too-large-to-decode") as caught:
        reader.load([(0, MB + 1)])
    assert caught.value.evidence == {"limit": "at most 1 MB read per video", "bytesRead": 1000, "bytesWanted": MB - 999}
    assert file.ranges == [(0, 1000)]
    reader.load([(0, MB)])


def test_requests_have_a_budget():
    asked = []
    reader = RangeReader(zeros(asked), 100 * MB, 1 << 40)
    with pytest.raises(Rejected, match="too-large-to-decode"):
        reader.load((at, at + 1) for at in range(0, 100 * MB, 5000))
    assert asked == []


def test_ranges_outside_the_file_are_not_requested(file):
    reader = file.reader()
    reader.load([(-MB, -10), (-10, 10), (6 * MB - 10, 7 * MB), (8 * MB, 9 * MB)])
    assert sorted(file.ranges) == [(0, 10), (6 * MB - 10, 6 * MB)]


def test_forget_releases_the_cache(file):
    reader = file.reader()
    reader.load([(0, MB)])
    reader.forget()
    assert reader.bytes_read == MB, "still counted"
    assert reader.peek(0, 10) == file.content[:10]
    assert len(file.ranges) == 2


def test_a_range_is_divided_evenly_and_among_few_connections():
    asked = []
    reader = RangeReader(zeros(asked), 400 * MB, 1 << 40)
    reader.load([(0, MB + 10)])
    assert asked == [MB // 2 + 5] * 2
    asked.clear()
    reader.load([(100 * MB, 200 * MB)])
    assert len(asked) == range_reader.CONNECTIONS


def test_ranges_that_overlap_or_touch_are_fetched_once_and_together():
    asked = []
    reader = RangeReader(zeros(asked), 400 * MB, 1 << 40)
    reader.load([(30, 40), (10, 20), (15, 30), (-5, 5), (100, 110)])
    assert asked == [5, 30, 10]
    reader.load([(0, 50)])
    assert asked[3:] == [5, 10]


def test_several_threads_may_load_overlapping_ranges():
    """Both fetch at the same time: overlapping bytes are kept once, and nothing is lost."""
    content = random.Random(3).randbytes(4 * MB)
    meeting = threading.Barrier(2)

    def fetch(ranges):
        meeting.wait(timeout=10)
        return [content[start:end] for start, end in ranges]

    reader = RangeReader(fetch, 4 * MB, 1 << 30)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(reader.load, ([(1000, 9000)], [(5000, 20_000)])))
        list(pool.map(reader.load, ([(30_000, 40_000)], [(25_000, 50_000)])))
    assert list(reader.gaps(0, 30_000)) == [(0, 1000), (20_000, 25_000)]
    meeting.abort()  # any further fetch fails
    for start, end in ((1000, 20_000), (25_000, 40_000)):
        assert reader.peek(start, end - start) == content[start:end]


@pytest.mark.parametrize("meanwhile", [(0, 15), (15, 25), (12, 18), (5, 25), (20, 30)])
def test_bytes_that_another_thread_fetched_meanwhile_are_kept_once(meanwhile):
    content = bytes(range(40))

    def fetch(ranges):
        if ranges == [(10, 20)]:
            reader.load([meanwhile])  # as another thread would
        return [content[start:end] for start, end in ranges]

    reader = RangeReader(fetch, 40, 1 << 30)
    reader.load([(10, 20)])
    kept = [(start, start + len(chunk), chunk) for start, chunk in reader.fetched]
    assert [content[start:end] for start, end, _ in kept] == [chunk for *_, chunk in kept]
    assert all(end <= start for (_, end, _), (start, *_) in pairwise(kept))
    assert reader.cached(*meanwhile[:1], 1)
