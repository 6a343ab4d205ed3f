"""A decoder that misbehaves in every way that a hostile file could cause: there is always an outcome, and soon."""

import json
import os
import pkgutil
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from tests.support.hostile import scans, text_chunks
from tests.support.outcomes import REJECTIONS
from tests.support.troubled_worker import COMMAND as TROUBLED
from tools.videos import video
from video_intake import decoding_job, worker_process
from video_intake.decoder import Decoder, Unavailable
from video_intake.decoding_job import Job, Spent
from video_intake.media import answer, notes, tags, verdicts, worker
from video_intake.media.facts import Inspection
from video_intake.media.inspector import inspect as inspect_here
from video_intake.media.limits import Limits
from video_intake.media.range_reader import MAX_REQUESTS, RangeReader
from video_intake.media.verdicts import Reason, Rejected
from video_intake.media.wire import MAX_AT_ONCE
from video_intake.worker_process import Died

SECONDS = 1.0  # of an inspection here
PATIENCE = 60  # of the test: the machine may be busy

LOST = ["segfault", "exit", "noise", "deep", "endless", "huge picture", "lie", "strange rejection",
        "strange evidence", "infinite evidence", "long evidence", "lengths", "negative", "surplus", "outside",
        "backwards", "not numbers", "greedy", "nagging", "impatient", "flood"]  # fmt: skip


class File:
    """A file to be fetched by ranges."""

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


def test_a_video_is_inspected_as_in_this_process(good):
    decoder, limits = Decoder(), Limits(poster_edge=64, storyboard=True)
    reader = RangeReader(lambda ranges: [good[a:b] for a, b in ranges], len(good), limits.max_bytes)
    try:
        found, _ = decoder.inspect(File(good).fetch, len(good), limits, PATIENCE)
        assert found == inspect_here(reader, limits)
    finally:
        decoder.close()


def test_a_video_with_subtitles():
    """PyAV loads a module for each type of track, which must happen while files can still be opened."""
    content = video(size=(128, 96), seconds=0.3).replace(b"soun", b"sbtl").replace(b"mp4a", b"tx3g")
    decoder = Decoder()
    found = inspect(decoder, content)
    decoder.close()
    assert isinstance(found, Inspection)
    assert found.container.audio_tracks == 0


def test_all_of_pyav_is_loaded_while_files_can_still_be_opened():
    code = f"import {worker.__name__}, sys; print(*sys.modules)"
    source = os.environ | {"PYTHONPATH": str(Path(worker.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", code], env=source, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    every = {module.name for module in pkgutil.walk_packages(av.__path__, "av.")}
    assert every - set(loaded) <= {"av.__main__", "av.datasets"}


def test_a_rejection_arrives_with_its_message_and_evidence():
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
def test_if_the_decoder_fails_the_file_and_the_next_one_get_a_verdict(decoder, good, trouble):
    began = time.monotonic()
    found = inspect(decoder, named(trouble))
    assert isinstance(found, Rejected)
    assert found.reason in (Reason.UNDECODABLE, Reason.TOO_SLOW)
    assert time.monotonic() - began < PATIENCE
    assert isinstance(inspect(decoder, good), Inspection)


@pytest.mark.parametrize("over", [0, 1])
def test_pictures_may_have_16_mb(over):
    decoder = Decoder(TROUBLED)
    found = inspect(decoder, named(str((16 << 20) + over)))
    decoder.close()
    assert isinstance(found, Rejected)
    assert found.reason == (Reason.UNDECODABLE if over else Reason.EMPTY)


def test_only_errors_of_the_decoder_are_in_the_log(good, capfd):
    """What libraries print could be in any form, or from the file."""
    decoder = Decoder(("sh", "-c", 'echo noise; echo an error >&2; exec "$@"', "sh", *worker_process.COMMAND))
    assert isinstance(inspect(decoder, good), Inspection)
    decoder.close()
    assert capfd.readouterr() == ("", "an error\n")


@pytest.mark.parametrize("trouble", ["spin", "hang", "drip"])
def test_a_decoder_that_does_not_respond_is_ended(decoder, good, trouble):
    began = time.monotonic()
    heard: list[str] = []
    decoder.on_fault = heard.append
    found = inspect(decoder, named(trouble), SECONDS)
    assert isinstance(found, Rejected)
    assert found.reason == Reason.TOO_SLOW
    assert "did not respond in time" in heard[0]
    assert SECONDS <= time.monotonic() - began < PATIENCE
    assert isinstance(inspect(decoder, good), Inspection)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these limits")
@pytest.mark.parametrize(
    ("trouble", "fault"),
    [("memory", "MemoryError"), ("more memory", "MemoryError"), ("file", "Errno 24"), ("socket", "Errno 24"),
     ("fault", "a mistake of ours"), ("long fault", "x" * 4000)],
)  # fmt: skip
def test_a_decoder_cannot_read_more_than_its_limits(decoder, good, trouble, fault):
    heard: list[str] = []
    decoder.on_fault = heard.append
    found = inspect(decoder, named(trouble))
    assert isinstance(found, Rejected)
    assert found.reason == Reason.UNDECODABLE
    assert any(fault in each for each in heard)
    assert max(map(len, heard)) <= 4000, "a log line, not a file's content"
    assert isinstance(inspect(decoder, good), Inspection)


def test_the_start_of_a_decoder_does_not_count(decoder, good, monkeypatch):
    late, started = [0.0], Decoder._started

    def slowly(self: Decoder) -> worker_process.WorkerProcess:
        late[0] += 100
        return started(self)

    monkeypatch.setattr(Decoder, "_started", slowly)
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + late[0])
    monkeypatch.setattr("video_intake.decoder.time", clock)
    assert isinstance(inspect(decoder, good), Inspection)


def test_a_decoder_has_no_access_to_aws(decoder, monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "IDEMPOTENCY_TABLE"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    fresh = Decoder(decoder.command)
    heard: list[str] = []
    fresh.on_fault = heard.append
    inspect(fresh, named("environment"))
    fresh.close()
    names = set(re.findall(r"'(\w+)'", heard[0]))
    assert names >= {"PATH", "PYTHONPATH", "MALLOC_TRIM_THRESHOLD_"}
    assert not any(name.startswith(("AWS", "IDEMPOTENCY")) for name in names)


@pytest.mark.parametrize(
    ("trouble", "how"),
    [
        ("segfault", "SIGSEGV"),
        ("exit", "exit status 3"),
        ("surplus", "its answer was invalid"),
    ],
)
def test_how_a_decoder_was_lost_is_in_the_evidence_and_reported(decoder, trouble, how):
    heard: list[str] = []
    decoder.on_fault = heard.append
    assert how in inspect(decoder, named(trouble)).evidence["detail"]
    assert how in heard[0]
    assert decoder.process_id, "the next one has been started"


def test_a_decoder_waits_for_its_bytes(decoder):
    """A second request before the first is answered is an error."""
    content, ended = named("impatient"), threading.Event()

    def fetch(start: int, end: int) -> bytes:
        assert end - start > 1 or ended.wait(PATIENCE)
        return content[start:end]

    found, _ = decoder.inspect(fetch, len(content), Limits(), PATIENCE)
    ended.set()
    assert isinstance(found, Rejected)
    assert "it did not wait for its bytes" in found.evidence["detail"]


def test_without_time_no_decoder_is_started(good):
    decoder = Decoder()
    found = inspect(decoder, good, 0)
    started = decoder.process_id
    decoder.close()
    assert isinstance(found, Rejected)
    assert (found.reason, started) == (Reason.TOO_SLOW, None)


def test_closing_ends_the_process_and_all_threads(good):
    before = threading.enumerate()
    decoder = Decoder()
    inspect(decoder, good)
    process = decoder.process_id
    assert process
    decoder.close()
    assert set(threading.enumerate()) <= set(before)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the memory of a process")
@pytest.mark.parametrize(("megabytes", "kept"), [(worker_process.MAX_KEPT_MB, True), (1, False)])
def test_a_decoder_that_keeps_too_much_memory_is_replaced(decoder, good, monkeypatch, megabytes, kept):
    inspect(decoder, good)
    before = decoder.process_id
    monkeypatch.setattr(worker_process, "MAX_KEPT_MB", megabytes)
    assert isinstance(inspect(decoder, good), Inspection)
    assert (decoder.process_id == before) == kept


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a score")
def test_the_decoder_is_the_first_process_to_be_killed_without_memory(decoder, good):
    inspect(decoder, good)
    assert int(Path(f"/proc/{decoder.process_id}/oom_score_adj").read_text()) == 1000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows another process's limits")
def test_the_cpu_time_of_each_file_is_limited(decoder, good):
    """Not that of all of them: the limit can be raised."""
    inspect(decoder, good)
    soft, hard = resource.prlimit(decoder.process_id, resource.RLIMIT_CPU)
    assert 0 < soft < 2 * worker.MAX_CPU_SECONDS
    assert hard == resource.getrlimit(resource.RLIMIT_CPU)[1]


def test_a_decoder_that_died_while_idle_is_not_blamed_on_the_next_file(decoder, good):
    inspect(decoder, good)
    os.kill(decoder.process_id, signal.SIGKILL)  # it may be there still when the next file comes, or not
    assert isinstance(inspect(decoder, good), Inspection)


class Outage(Exception):
    """Of S3."""


def test_errors_while_reading_are_raised_and_the_decoder_is_kept(decoder, good):
    inspect(decoder, good)
    before = decoder.process_id

    def fetch(start: int, end: int) -> bytes:
        raise Outage

    with pytest.raises(Outage):
        decoder.inspect(fetch, len(good), Limits(), SECONDS)
    assert isinstance(inspect(decoder, good), Inspection)
    assert decoder.process_id == before


def test_a_verdict_while_reading_is_the_verdict(decoder, good):
    def fetch(start: int, end: int) -> bytes:
        raise verdicts.archived("GLACIER")

    found, _ = decoder.inspect(fetch, len(good), Limits(), SECONDS)
    assert isinstance(found, Rejected)
    assert found.reason == Reason.ARCHIVED


def test_a_slow_s3_is_not_blamed_on_the_file(decoder, good):
    def fetch(start: int, end: int) -> bytes:
        assert over.wait(PATIENCE)
        raise Outage

    over = threading.Event()
    with pytest.raises(Unavailable, match="in time"):
        decoder.inspect(fetch, len(good), Limits(), 1.0)
    over.set()


@pytest.mark.parametrize("slow", [False, True])
def test_a_verdict_about_time_counts_unless_s3_was_slow(decoder, good, monkeypatch, slow):
    def fetch(start: int, end: int) -> bytes:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
        return good[start:end]

    seconds = 0.001
    monkeypatch.setattr(decoding_job, "SLOW_ROUND_TRIP", -1 if slow else PATIENCE)
    with pytest.raises(Unavailable, match="in time") if slow else nullcontext():
        found, _ = decoder.inspect(fetch, len(good), Limits(), seconds)
        assert isinstance(found, Rejected)
        assert found.reason == Reason.TOO_SLOW


UNREADY = "wire.send(socket.socket(fileno=int(sys.argv[1])), {'ready': False})"


@pytest.mark.parametrize(
    ("first", "how"),
    [("", "exit status 7"), (f"import socket, sys; from video_intake.media import wire; {UNREADY}; ", "did not start")],
)
def test_a_decoder_that_cannot_start_is_an_infrastructure_failure(good, first, how):
    decoder = Decoder((sys.executable, "-c", first + "raise SystemExit(7)"))
    with pytest.raises(Unavailable, match=how):
        inspect(decoder, good)
    decoder.close()


def test_the_function_uses_the_packages_worker():
    assert Decoder().command[-1] == worker.__name__


def test_every_verdict_can_come_from_the_decoder():
    """A verdict that is not registered would look like a crash of the decoder."""
    made = {
        name: function
        for name, function in vars(verdicts).items()
        if getattr(function, "__annotations__", {}).get("return") is Rejected and not name.startswith("_")
    }
    assert made == verdicts.SENTENCES


@pytest.mark.parametrize("rejected", REJECTIONS, ids=lambda rejected: rejected.sentence)
def test_every_rejection_arrives_unchanged(rejected):
    arrived = answer.read(json.loads(json.dumps(answer.of_rejection(rejected))), [])
    assert isinstance(arrived, Rejected)
    assert (arrived.reason, arrived.message, arrived.advice) == (rejected.reason, rejected.message, rejected.advice)
    assert arrived.evidence == rejected.evidence


def test_evidence_of_any_length_arrives():
    rejected = verdicts.undecodable("\U0001f3ac" * 1_000_000)
    arrived = answer.read(json.loads(json.dumps(answer.of_rejection(rejected))), [])
    assert arrived.evidence == rejected.evidence


def with_a_warning(facts: dict, over: int) -> None:
    facts["warnings"] = ["x" * (notes.LENGTH + over)]


def with_chapters(facts: dict, over: int) -> None:
    facts["container"]["chapters"] = [{"start": 0, "end": 1, "title": None}] * (tags.MAX_CHAPTERS + over)


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("fill", [with_a_warning, with_chapters])
def test_the_longest_text_and_list_arrive_and_no_longer_ones(good, fill, over):
    reader = RangeReader(lambda ranges: [good[a:b] for a, b in ranges], len(good), 8 << 20)
    facts, pictures = answer.of_inspection(inspect_here(reader, Limits()))
    made = json.loads(json.dumps(facts))
    fill(made["inspection"], over)
    with pytest.raises(answer.Malformed) if over else nullcontext():
        answer.read(made, pictures)


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("longest", ["x" * answer.MAX_TEXT, answer.MAX_NUMBER, -answer.MAX_NUMBER])
def test_evidence_up_to_a_limit_arrives(longest, over):
    value = longest + "x" * over if isinstance(longest, str) else longest + (over if longest > 0 else -over)
    made = {"rejected": "truncated", "evidence": {"file_end": 1, "box": value}}
    with pytest.raises(answer.Malformed) if over else nullcontext():
        answer.read(made, [])


def test_a_file_with_many_reads_is_not_mistaken_for_a_slow_s3():
    """The file's reads take the time: as long as a normal S3 needs for these bytes and round trips."""
    job = Job(lambda start, end: b"", 256 << 20, 256 << 20, 0.0)
    job.take([[at << 20, (at + 1) << 20] for at in range(64)])
    job.waited = 8.0  # at 8 MB a second
    assert not job.starved
    job.waited = 10.0
    assert job.starved


def job(size: int = 1000, max_bytes: int = 1000) -> Job:
    return Job(lambda start, end: b"", size, max_bytes, 0.0)


@pytest.mark.parametrize(
    "ranges",
    [
        *[None, {}, "ab", (), [], [[]], [[0]], [[0, 1, 2]], [(0, 1)], [[0, "1"]], [[0, 1.0]], [[False, True]]],
        *[[[-1, 5]], [[5, 5]], [[6, 5]], [[0, 1001]], [[1000, 1001]], [[0, 5], [990, 1001]]],
        [[0, 1]] * (MAX_REQUESTS + 1),
    ],
    ids=lambda ranges: str(ranges)[:30],
)
def test_ranges_that_are_not_in_the_file_are_refused(ranges):
    asked = job()
    with pytest.raises(Died):
        asked.take(ranges)
    assert asked.spent == Spent()


@pytest.mark.parametrize("ranges", [[[0, 1000]], [[0, 1], [999, 1000]], [[5, 6]] * 3])
def test_ranges_in_the_file_are_counted(ranges):
    asked = job()
    assert asked.take(ranges) == [tuple(each) for each in ranges]
    length = sum(end - start for start, end in ranges)
    assert asked.spent == Spent(requests=len(ranges), round_trips=1, bytes_read=length)
    if length < 500:
        asked.take(ranges)
        assert asked.spent == Spent(requests=2 * len(ranges), round_trips=2, bytes_read=2 * length)


def test_the_limits_are_those_of_all_requests_for_a_file():
    asked = job(max_bytes=10)
    asked.take([[0, 6]])
    with pytest.raises(Died, match="too many bytes"):
        asked.take([[0, 5]])
    asked.take([[0, 4]])
    many = job(max_bytes=MAX_REQUESTS)
    many.take([[0, 1]] * (MAX_REQUESTS - 1))
    with pytest.raises(Died, match="too many ranges"):
        many.take([[0, 0]] * 2)
    many.take([[0, 1]])


def test_only_a_single_range_may_be_longer_than_what_is_sent_at_once():
    size = 2 * MAX_AT_ONCE
    assert job(size, size).take([[0, size]])
    assert job(size, size).take([[0, MAX_AT_ONCE - 1], [0, 1]])
    with pytest.raises(Died, match="too many bytes"):
        job(size, size).take([[0, MAX_AT_ONCE], [0, 1]])


@pytest.mark.parametrize("since", [0.5, 30])
def test_time_for_bytes_that_have_not_arrived_counts_too(since):
    """A round trip takes much less than a second."""
    asked = job()
    assert not asked.starved
    asked.take([[0, 1]])
    asked.asked = {1: time.monotonic() - since}
    assert asked.starved == (since > 1)
    asked.asked, asked.waited = {}, since
    assert asked.starved == (since > 1)
    asked.round_trips = 60
    assert not asked.starved


def test_missing_bytes_are_an_infrastructure_failure(decoder, good):
    inspect(decoder, good)
    worker = decoder.process_id
    with pytest.raises(Unavailable, match="fewer bytes"):
        decoder.inspect(lambda start, end: good[start : end - 1], len(good), Limits(), PATIENCE)
    assert isinstance(inspect(decoder, good), Inspection)
    assert decoder.process_id == worker, "it was told, and did not wait in vain"


def test_a_system_that_cannot_start_a_process_is_an_infrastructure_failure(good):
    decoder = Decoder(("/there/is/no/such/program",))
    decoder.start()
    with pytest.raises(Unavailable, match="could not be started"):
        inspect(decoder, good)
    decoder.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these limits")
def test_a_worker_works_if_no_limit_can_be_set(good):
    """Lambda may forbid any limit; the others still apply."""
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
    [lambda: scans(20_000), lambda: text_chunks(400, 60 << 20)],
    ids=["a progressive JPEG", "a PNG of texts"],
)
def test_decoding_that_ffmpeg_does_not_limit_is_stopped(decoder, good, make):
    content = make()
    found = decoder.inspect(File(content).fetch, len(content), Limits(), SECONDS)[0]
    assert isinstance(found, Rejected)
    assert found.reason == Reason.TOO_SLOW
    assert isinstance(inspect(decoder, good), Inspection)


def test_a_file_that_crashes_every_worker_is_rejected_even_if_none_starts_afterwards(tmp_path, good):
    """Two workers crash; whether there is a third one only matters for the next file."""
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


def test_a_verdict_while_reading_counts_however_the_worker_ends(decoder):
    """An archived object cannot be read, and the verdict remains even if the worker then hangs."""
    content = named("hang after failure")

    def fetch(start: int, end: int) -> bytes:
        if start:
            raise verdicts.archived("GLACIER")
        return content[start:end]

    found, _ = decoder.inspect(fetch, len(content), Limits(), SECONDS)
    assert isinstance(found, Rejected)
    assert found.reason == Reason.ARCHIVED
