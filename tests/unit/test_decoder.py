"""A decoder that misbehaves in every way that a hostile file could make it: there is always an outcome, and soon."""

import json
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.support.hostile import scans, text_chunks
from tests.support.outcomes import REJECTIONS
from tests.support.troubled_worker import COMMAND as TROUBLED
from tools.videos import video
from video_intake.decoder import Decoder, Unavailable
from video_intake.decoding_job import Job
from video_intake.media import answer, verdicts, worker
from video_intake.media.facts import Inspection
from video_intake.media.inspector import inspect as inspect_here
from video_intake.media.limits import Limits
from video_intake.media.range_reader import RangeReader
from video_intake.media.verdicts import Reason, Rejected

SECONDS = 2.0  # of an inspection here
PATIENCE = 60  # of the test: the machine may be busy

LOST = ["segfault", "exit", "noise", "deep", "endless", "huge picture", "lie", "strange rejection",
        "strange evidence", "infinite evidence", "long evidence", "lengths", "outside",
        "backwards", "not numbers", "greedy", "nagging", "impatient", "flood"]  # fmt: skip


class File:
    """Bytes to be fetched."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def fetch(self, start: int, end: int) -> bytes:
        return self.content[start:end]


@pytest.fixture(scope="module")
def good() -> bytes:
    return video(size=(128, 96), seconds=0.3, audio=None)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder(TROUBLED)
    made.start()
    yield made
    made.close()


def inspect(decoder: Decoder, content: bytes, seconds: float = PATIENCE) -> Inspection | Rejected:
    return decoder.inspect(File(content).fetch, len(content), Limits(max_bytes=8 << 20), seconds)[0]


def named(trouble: str) -> bytes:
    return trouble.encode().ljust(4096, b"\0")


def test_a_video_is_inspected_as_it_is_in_this_process(good):
    decoder = Decoder()
    try:
        assert inspect(decoder, good) == inspect_here(
            RangeReader(lambda ranges: [good[a:b] for a, b in ranges], len(good), 8 << 20), Limits()
        )
    finally:
        decoder.close()


def test_a_video_with_subtitles():
    """PyAV has a module for each kind of track, which must be there before files can no longer be opened."""
    content = video(size=(128, 96), seconds=0.3).replace(b"soun", b"sbtl").replace(b"mp4a", b"tx3g")
    decoder = Decoder()
    found = inspect(decoder, content)
    decoder.close()
    assert isinstance(found, Inspection)
    assert found.container.audio_tracks == 0


def test_all_of_pyav_is_there_before_files_can_no_longer_be_opened():
    code = f"import {worker.__name__}, sys; print(*sys.modules)"
    source = os.environ | {"PYTHONPATH": str(Path(worker.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", code], env=source, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    every = {module.name for module in pkgutil.walk_packages(av.__path__, "av.")}
    assert every - set(loaded) <= {"av.__main__", "av.datasets"}


def test_a_rejection_arrives_with_its_words_and_evidence():
    decoder = Decoder()
    try:
        found = inspect(decoder, b"Dear all, please find the video attached.")
    finally:
        decoder.close()
    assert isinstance(found, Rejected)
    expected = verdicts.not_a_video(**found.arguments)
    assert (found.reason, found.message, found.evidence) == (expected.reason, expected.message, expected.evidence)
    assert found.evidence["firstBytes"] == b"Dear all, please".hex(" ")


@pytest.mark.parametrize("trouble", LOST)
def test_whatever_becomes_of_the_decoder_the_file_gets_a_verdict_and_the_next_one_too(decoder, good, trouble):
    began = time.monotonic()
    found = inspect(decoder, named(trouble))
    assert isinstance(found, Rejected)
    assert found.reason in (Reason.UNDECODABLE, Reason.TOO_SLOW)
    assert time.monotonic() - began < PATIENCE
    assert isinstance(inspect(decoder, good), Inspection)


@pytest.mark.parametrize("trouble", ["spin", "hang", "drip"])
def test_a_decoder_that_does_not_answer_is_ended(decoder, good, trouble):
    began = time.monotonic()
    found = inspect(decoder, named(trouble), SECONDS)
    assert isinstance(found, Rejected)
    assert found.reason == Reason.TOO_SLOW
    assert SECONDS <= time.monotonic() - began < PATIENCE
    assert isinstance(inspect(decoder, good), Inspection)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these limits")
@pytest.mark.parametrize(
    ("trouble", "fault"),
    [("memory", "MemoryError"), ("more memory", "MemoryError"), ("file", "Errno 24"), ("socket", "Errno 24"),
     ("fault", "a mistake of ours")],
)  # fmt: skip
def test_a_decoder_gets_no_more_than_it_may_have(decoder, good, trouble, fault):
    heard: list[str] = []
    decoder.on_fault = heard.append
    found = inspect(decoder, named(trouble))
    assert isinstance(found, Rejected)
    assert found.reason == Reason.UNDECODABLE
    assert any(fault in each for each in heard)
    assert isinstance(inspect(decoder, good), Inspection)


def test_a_decoder_knows_nothing_of_aws(decoder, monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "IDEMPOTENCY_TABLE"):
        monkeypatch.setenv(name, "secret")
    fresh = Decoder(decoder.command)
    heard: list[str] = []
    fresh.on_fault = heard.append
    inspect(fresh, named("environment"))
    fresh.close()
    assert "PATH" in heard[0]
    assert "AWS" not in heard[0]
    assert "IDEMPOTENCY" not in heard[0]


def test_one_that_died_while_nobody_looked_is_not_blamed_on_the_next_file(decoder, good):
    inspect(decoder, good)
    os.kill(decoder.process_id, signal.SIGKILL)  # it may be there still when the next file comes, or not
    assert isinstance(inspect(decoder, good), Inspection)


class Outage(Exception):
    """Of S3."""


def test_what_reading_raises_comes_out_as_it_is_and_the_decoder_stays(decoder, good):
    inspect(decoder, good)
    before = decoder.process_id

    def fetch(start: int, end: int) -> bytes:
        raise Outage

    with pytest.raises(Outage):
        decoder.inspect(fetch, len(good), Limits(), SECONDS)
    assert isinstance(inspect(decoder, good), Inspection)
    assert decoder.process_id == before


def test_a_verdict_that_reading_comes_to_is_the_verdict(decoder, good):
    def fetch(start: int, end: int) -> bytes:
        raise verdicts.archived("GLACIER")

    found, _ = decoder.inspect(fetch, len(good), Limits(), SECONDS)
    assert isinstance(found, Rejected)
    assert found.reason == Reason.ARCHIVED


def test_when_it_is_s3_that_takes_too_long_it_is_not_the_files_fault(decoder, good):
    def fetch(start: int, end: int) -> bytes:
        assert over.wait(PATIENCE)
        raise Outage

    over = threading.Event()
    with pytest.raises(Unavailable, match="in time"):
        decoder.inspect(fetch, len(good), Limits(), 1.0)
    over.set()


def test_a_decoder_that_cannot_start_is_a_fault_of_ours(good):
    decoder = Decoder((sys.executable, "-c", "raise SystemExit(7)"))
    with pytest.raises(Unavailable, match="exit status 7"):
        inspect(decoder, good)
    decoder.close()


def test_the_function_has_no_other_worker_than_the_packages_own():
    assert Decoder().command[-1] == worker.__name__


def test_every_sentence_can_come_from_the_decoder():
    """What is not registered would arrive as nonsense, and the file as one that crashed the decoder."""
    made = {
        name: function
        for name, function in vars(verdicts).items()
        if getattr(function, "__annotations__", {}).get("return") is Rejected and not name.startswith("_")
    }
    assert made == verdicts.SENTENCES


@pytest.mark.parametrize("rejected", REJECTIONS, ids=lambda rejected: rejected.sentence)
def test_every_rejection_arrives_as_it_was_made(rejected):
    arrived = answer.read(json.loads(json.dumps(answer.of_rejection(rejected))), [])
    assert isinstance(arrived, Rejected)
    assert (arrived.reason, arrived.message, arrived.advice) == (rejected.reason, rejected.message, rejected.advice)
    assert arrived.evidence == rejected.evidence


def test_evidence_of_any_length_arrives():
    rejected = verdicts.undecodable("\U0001f3ac" * 1_000_000)
    arrived = answer.read(json.loads(json.dumps(answer.of_rejection(rejected))), [])
    assert arrived.evidence == rejected.evidence


def test_a_file_that_asks_for_much_is_not_taken_for_a_slow_s3():
    """It is what the file asks for that takes the time: as much as any S3 needs for these bytes and round trips."""
    job = Job(lambda start, end: b"", 256 << 20, 256 << 20, 0.0)
    job.take([[at << 20, (at + 1) << 20] for at in range(64)])
    job.waited = 8.0  # at 8 MB a second
    assert not job.starved
    job.waited = 10.0
    assert job.starved


def test_bytes_that_do_not_come_are_a_fault(decoder, good):
    with pytest.raises(Unavailable, match="fewer bytes"):
        decoder.inspect(lambda start, end: good[start : end - 1], len(good), Limits(), PATIENCE)
    assert isinstance(inspect(decoder, good), Inspection)


def test_a_system_without_room_for_a_process_is_a_fault_of_ours(good):
    decoder = Decoder(("/there/is/no/such/program",))
    decoder.start()
    with pytest.raises(Unavailable, match="could not be started"):
        inspect(decoder, good)
    decoder.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these limits")
def test_a_worker_works_where_no_limit_can_be_set(good):
    """Lambda may forbid any of them; the others hold."""
    forbidding = (
        "import builtins, resource, sys; from video_intake.media import worker\n"
        "def refuse(*_): raise OSError('not permitted')\n"
        "resource.setrlimit = refuse\n"
        "plain = open\n"
        "builtins.open = lambda name, *more: refuse() if 'oom' in str(name) else plain(name, *more)\n"
        "worker.main()"
    )
    decoder = Decoder((sys.executable, "-S", "-P", "-c", forbidding))
    assert isinstance(inspect(decoder, good), Inspection)
    decoder.close()


@pytest.mark.parametrize(
    "make",
    [lambda: scans(20_000), lambda: text_chunks(100, 60 << 20)],
    ids=["a progressive JPEG", "a PNG of texts"],
)
def test_what_ffmpeg_does_not_stop_is_stopped(decoder, good, make):
    content = make()
    found = decoder.inspect(File(content).fetch, len(content), Limits(), SECONDS)[0]
    assert isinstance(found, Rejected)
    assert found.reason == Reason.TOO_SLOW
    assert isinstance(inspect(decoder, good), Inspection)


def test_a_worker_that_never_survives_a_file_is_the_files_fault_even_if_none_starts_afterwards(tmp_path, good):
    """Two workers die of it; whether there is a third is a matter for the next file."""
    counter = tmp_path / "starts"
    command = (
        "sh", "-c",
        f'echo >> "{counter}"; test $(wc -l < "{counter}") -lt 3 && exec "$@"', "sh", *TROUBLED,
    )  # fmt: skip
    decoder = Decoder(command)
    found = inspect(decoder, named("segfault"))
    assert isinstance(found, Rejected)
    assert found.reason == Reason.UNDECODABLE
    with pytest.raises(Unavailable):
        inspect(decoder, good)
    decoder.close()


def test_a_verdict_that_reading_comes_to_stands_however_the_worker_ends(decoder):
    """In an archive there are no bytes to be had, and the worker is not to blame if it then hangs."""
    content = named("hang after failure")

    def fetch(start: int, end: int) -> bytes:
        if start:
            raise verdicts.archived("GLACIER")
        return content[start:end]

    found, _ = decoder.inspect(fetch, len(content), Limits(), SECONDS)
    assert isinstance(found, Rejected)
    assert found.reason == Reason.ARCHIVED
