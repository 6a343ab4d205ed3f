import random

import pytest

from tests.support.files import File
from video_intake.media.range_reader import READ_AHEAD, RangeReader
from video_intake.media.verdicts import Rejected
from video_intake.media.virtual_file import BUFFER, VirtualFile

MB = 1 << 20


@pytest.fixture
def file():
    return File(random.Random(1).randbytes(6 * MB))


def test_reads_return_the_files_content(file):
    reader, chance = file.reader(), random.Random(2)
    shown = VirtualFile(reader)
    reader.load_ends()
    for _ in range(200):
        start, length = chance.randrange(6 * MB), chance.choice([1, 100, 40_000, 500_000])
        shown.seek(start)
        piece = shown.read(length)
        assert 0 < len(piece) <= length  # PyAV copies it into a buffer of `length`
        assert piece == file.content[start : start + len(piece)]
        assert shown.tell() == start + len(piece)
        assert reader.peek(start, 1000) == file.content[start : start + 1000]
    assert sum(end - start for start, end in file.ranges) <= 6 * MB, "no byte is fetched twice"


def test_a_packet_is_fetched_in_one_request_of_its_size(file):
    shown = VirtualFile(file.reader())
    shown.seek(3 * MB)
    shown.read(700_000)
    assert file.ranges == [(3 * MB, 3 * MB + 700_000)]


def test_a_small_read_fetches_ahead(file):
    shown = VirtualFile(file.reader())
    shown.read(8)
    shown.read(1000)
    assert file.ranges == [(0, READ_AHEAD)]


def test_seek_supports_all_whence_values(file):
    shown = VirtualFile(file.reader())
    assert [shown.seek(10), shown.seek(5, 1), shown.seek(-1, 2)] == [10, 15, 6 * MB - 1]
    assert shown.read(100) == file.content[-1:]
    assert shown.read(100) == b""


def test_something_else_may_precede_and_follow_the_file(file):
    shown = VirtualFile(file.reader(), front=b"front", begin=100, back=b"back")
    assert (shown.shift, shown.end) == (5 - 100, 5 + 6 * MB - 100 + 4)
    everything = b"front" + file.content[100:] + b"back"
    for start in (0, 3, 5, 1000, 6 * MB - 100, 6 * MB - 95, 6 * MB - 92):
        shown.seek(start)
        piece = shown.read(200)
        assert piece
        assert piece == everything[start : start + len(piece)]
    shown.seek(-1, 2)
    assert (shown.read(9), shown.read(9)) == (b"k", b"")


def test_sequential_decoding_reads_ahead(file):
    """Packets are decoded sequentially, so not each of them must cost a request."""
    reader = file.reader()
    shown = VirtualFile(reader)
    shown.onward = True
    for place in range(0, 5 * MB, 50_000):
        shown.seek(place)
        shown.read(40_000)
    assert reader.round_trips <= 6


def test_hidden_parts_are_never_fetched(file):
    shown = VirtualFile(file.reader())
    shown.hide(MB, 5 * MB, b"12345678")
    shown.seek(MB - 1)
    assert shown.read(100) == file.content[MB - 1 : MB]
    assert shown.read(10) == b"12345678\0\0"
    shown.seek(5 * MB - 1)
    assert shown.read(100) == b"\0"
    assert shown.read(100) == file.content[5 * MB :][:100]
    assert not any(start < 5 * MB and end > MB + READ_AHEAD for start, end in file.ranges)


def test_reading_has_a_deadline_and_after_it_the_file_has_ended(file):
    now = [0.0]
    shown = VirtualFile(file.reader(deadline=5, clock=lambda: now[0]))
    shown.read(8)
    now[0] = 6
    shown.seek(3 * MB)
    with pytest.raises(Rejected, match="too-slow"):
        shown.read(8)
    assert shown.failure is not None
    assert shown.read(8) == b"", "FFmpeg retries, and must not wait for another failure"


def test_time_also_runs_out_in_cached_bytes(file):
    """An index can send FFmpeg in circles without a single request."""
    now = [0]
    reader = file.reader(deadline=10, clock=lambda: now[0])
    shown = VirtualFile(reader)
    reader.load([(0, MB)])
    assert shown.read(100)
    now[0] = 11
    with pytest.raises(Rejected, match="too-slow"):
        shown.read(100)


def test_the_first_failure_is_kept():
    def broken(_ranges):
        raise ConnectionError("reset")

    shown = VirtualFile(RangeReader(broken, 5 * MB, 1 << 30))
    with pytest.raises(ConnectionError):
        shown.read(8)
    assert isinstance(shown.failure, ConnectionError)


def test_a_long_index_is_read_in_few_requests(file):
    """FFmpeg reads an AVI's index from its beginning, a buffer at a time."""
    reader = file.reader()
    shown = VirtualFile(reader)
    while shown.read(BUFFER):
        pass
    assert reader.round_trips <= 6
    assert reader.bytes_read == 6 * MB


def test_random_access_reads_little_ahead(file):
    reader = file.reader()
    shown = VirtualFile(reader)
    for place in (4 * MB, 2 * MB, 0):
        shown.seek(place)
        shown.read(100)
    assert reader.bytes_read == 3 * READ_AHEAD


def test_opening_fetches_parsed_data_but_not_packets(file):
    reader = file.reader()
    reader.load([(2 * MB + 50_000, 2 * MB + 60_000)])
    file.ranges.clear()
    shown = VirtualFile(reader)
    shown.opening = True
    shown.seek(2 * MB)
    assert [shown.read(100_000), shown.read(10_000)] == [bytes(50_000), file.content[2 * MB + 50_000 :][:10_000]]
    shown.seek(3 * MB)
    assert shown.read(100_000) == bytes(100_000)
    assert file.ranges == []
    shown.seek(3 * MB)
    assert shown.read(BUFFER) == file.content[3 * MB :][:BUFFER], "FFmpeg keeps such a piece for later"
    shown.opening = False
    shown.seek(4 * MB)
    assert shown.read(100_000) == file.content[4 * MB :][:100_000]
