"""A warm process does not leak after hundreds of videos.

The child processes of `tests.support.watched` have the function's memory limit, so a leak would also make posters fail.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from tests.support.boxes import movie, picture_entry
from tests.support.watched import Answer, Watched
from tools.videos import cut, video

SMALL = {"size": (320, 180), "seconds": 0.4}
HDR = {"codec": "libx265", "size": (320, 180), "seconds": 0.2, "audio": None}


def mirrored(content: bytes) -> bytes:
    """Replaces the display matrix of its track with a mirror."""
    at = content.index(b"tkhd") + 44
    return content[:at] + (0xFFFF0000).to_bytes(4) + content[at + 4 :]


def hdr(transfer: str) -> dict:
    """Options for a picture in BT.2020."""
    params = f"log-level=none:keyint=30:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    return HDR | {"codec_options": {"preset": "ultrafast", "x265-params": params}}


# name → the file, whether it gets a storyboard, and its verdict
KINDS: dict[str, tuple[Callable[[], bytes], bool, str]] = {
    "plain": (lambda: video(**SMALL), False, "success"),
    "portrait": (lambda: video("mov", **SMALL, rotation=-90), False, "success"),
    "upside down": (lambda: video(**SMALL, rotation=180), False, "success"),
    "mirrored": (lambda: mirrored(video(**SMALL)), False, "success"),
    "HDR, PQ": (lambda: video(**hdr("smpte2084")), False, "success"),
    "HDR, HLG, portrait, storyboard": (lambda: video(**hdr("arib-std-b67"), rotation=-90), True, "success"),
    "storyboard": (lambda: video(**SMALL, codec_options={"x264-params": "keyint=2"}), True, "success"),
    "fragmented": (lambda: video(**SMALL, options={"movflags": "frag_keyframe+empty_moov"}), False, "success"),
    "AVI": (lambda: video("avi", "mpeg4", **SMALL, audio="mp3"), False, "success"),
    "cut off": (lambda: cut(video(**SMALL, options={"movflags": "faststart"})), False, "truncated"),
    "sound": (lambda: video(codec=None, seconds=0.2), False, "audio-only"),
    "text": (lambda: b"Dear all", False, "not-a-video"),
    "damaged": (lambda: movie(picture_entry(b"avc1", 64, 48), [bytes(500)] * 3), False, "undecodable"),
    "hostile": (lambda: movie(picture_entry(b"raw ", 8192, 4320), [bytes(250 << 20)]), False, "too-large-to-decode"),
}


@pytest.fixture(scope="module")
def answers() -> Iterator[list[tuple[str, Answer]]]:
    """200 videos of every kind in turn; the hostile one is less frequent, because it takes half a second."""
    made = {name: (make(), storyboard) for name, (make, storyboard, _) in KINDS.items()}

    def turns() -> Iterator[str]:
        rounds = 0
        while True:
            yield from (name for name in made if name != "hostile" or rounds % 10 == 0)
            rounds += 1

    with Watched() as child:
        yield [(name, child.inspect(made[name][0], storyboard=made[name][1])) for name in islice(turns(), 200)]


def test_every_outcome_is_correct_from_first_to_last(answers):
    for number, (name, answer) in enumerate(answers):
        assert answer.verdict == KINDS[name][2], f"number {number}, {name}"
        if answer.verdict == "success":
            assert answer.result["poster"], f"number {number}, {name}: {answer.result['warnings']}"
            assert bool(answer.result["storyboard"]) == KINDS[name][1]


@pytest.mark.parametrize("what", ["threads", "descriptors"])
def test_nothing_accumulates(answers, what):
    assert answers[-1][1].left[what] == answers[29][1].left[what]


def test_memory_does_not_accumulate(answers):
    """Compared after the same kind of video, with some megabytes of tolerance for the allocator."""
    plain = [answer.left["MB"] for name, answer in answers if name == "plain"]
    assert plain[-1] < plain[2] + 12
