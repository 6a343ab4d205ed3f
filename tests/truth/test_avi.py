"""Durations, rates and times of AVI files, whose empty chunks repeat the previous picture."""

import struct
from fractions import Fraction
from functools import cache

import pytest

from tests.support import numbered
from tests.support.files import File
from tests.support.riff import parts, sized
from tests.truth import writers
from tests.truth.films import BY_NAME
from video_intake.media import avi_streams
from video_intake.media.inspector import Limits, inspect

FILM = BY_NAME["mpeg4"]


@cache
def film() -> bytes:
    return next(iter(writers.AVI.values()))(FILM)


def repeating(content: bytes, repeats: dict[int, int]) -> bytes:
    """The video with that many repetitions after each of the numbered pictures."""
    movi, _, end, entries = parts(content)
    media, index = b"movi", b""
    for number, (kind, flags, at, size) in enumerate(entries):
        begin = movi + 8 + at
        for flag, chunk in [(flags, content[begin : begin + 8 + size + size % 2])] + [
            (0, struct.pack("<4sI", kind, 0))
        ] * repeats.get(number, 0):
            index += struct.pack("<4sIII", kind, flag, len(media), struct.unpack_from("<I", chunk, 4)[0])
            media += chunk
    steps = struct.pack("<I", len(index) // 16)
    head = content[:movi]
    for box, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        at = head.index(box) + offset
        head = head[:at] + steps + head[at + 4 :]
    lists = struct.pack("<4sI", b"LIST", len(media)) + media + struct.pack("<4sI", b"idx1", len(index)) + index
    return sized(head + lists + content[end:])


@pytest.mark.parametrize(
    "repeats",
    [
        {},
        {0: 30},
        {5: 7, 6: 1, 40: 20},
        {FILM.count - 2: 12},  # before the last picture
        {5: 7, FILM.count - 1: 3},  # and after it
        {1: 1},
    ],
)
def test_repeated_pictures_last_longer_and_are_not_counted(repeats):
    content = repeating(film(), repeats)
    found = inspect(File(content).reader(), Limits())
    steps = FILM.count + sum(repeats.values())
    seconds = steps / FILM.rate
    assert found.warnings == ()
    assert found.video.frames == FILM.count
    assert found.container.duration == pytest.approx(seconds, abs=0.001)
    rate = Fraction(FILM.rate * FILM.count, steps) if steps > 1.05 * FILM.count else Fraction(FILM.rate)
    assert Fraction(found.video.frame_rate) == rate
    assert found.video.bit_rate == pytest.approx(sum(size for *_, size in parts(content)[3]) * 8 / seconds, rel=0.001)
    number = numbered.in_jpeg(found.poster.jpeg)
    before = sum(count for place, count in repeats.items() if place < number)
    assert found.poster.time == pytest.approx((number + before) / FILM.rate, abs=0.001)


@pytest.mark.parametrize(("width", "kind", "found"), [(4, 0, 2), (4, 1, 0), (2, 0, 0), (2, 1, 0)])
def test_only_an_index_of_indexes_refers_to_others(width, kind, found):
    """An `indx` may also have chunks (OpenDML AVI File Format Extensions, `bIndexType`)."""
    rows = b"".join(struct.pack("<QII", 1000 * number, 24, 1) for number in (1, 2))
    body = struct.pack("<HBBI4s12x", width, 0, kind, 2, b"00dc") + rows
    strh = struct.pack("<4sI4s4s", b"strh", 56, b"vids", b"FMP4") + bytes(48)
    [stream] = avi_streams.read(strh + struct.pack("<4sI", b"indx", len(body)) + body, 0)
    assert stream.parts == ((1000, 24), (2000, 24))[:found]
