"""A day's uploads at once, with duplicates and hostile files; then an outage and the recovery."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from tests.support.world import Version, World, key_of
from tools.videos import cut, video

DUPLICATES: Final = 5  # every fifth upload has two events
POISON: Final = 20  # every twentieth fails; the first and every fifth of these kill the process
HLG: Final = {"preset": "ultrafast", "x265-params": "log-level=none:colorprim=bt2020:transfer=arib-std-b67"}
SERVICES: Final = {"s3": "s3:*", "sns": "sns:*", "dynamodb": "dynamodb:*", "all": "*"}


@pytest.fixture(scope="session")
def contents() -> list[tuple[str, bytes, str]]:
    """Suffix, content and verdict of typical uploads."""
    short = {"seconds": 0.2, "size": (320, 180)}
    return [
        (".mp4", video(**short), "success"),
        (".MOV", video("mov", **short, rotation=-90), "success"),  # what phones send
        (".mp4", video(codec="libx265", **short, codec_options=HLG), "success"),
        (".avi", video("avi", "mpeg4", **short, audio="mp3"), "success"),
        (".mp4", video(**short, options={"movflags": "frag_keyframe+empty_moov"}), "success"),
    ]


@pytest.fixture(scope="session")
def poison() -> list[tuple[str, bytes, str]]:
    """Files that always fail: with a verdict, or by killing the process."""
    return [
        (".mp4", video(seconds=0.2), "deadly"),
        (".mp4", b"no video, whatever its name says", "not-a-video"),
        (".mov", cut(video("mov", seconds=0.2, options={"movflags": "faststart"})), "truncated"),
        (".mp4", b"", "empty"),
        (".avi", b"RIFF", "not-a-video"),
    ]


@pytest.fixture
def burst(world, contents, poison) -> Callable[[str, int], dict[Version, str]]:
    """Uploads this many at once; returns the expected outcome of each."""

    def upload(name: str, many: int) -> dict[Version, str]:
        world.fault("kill-before", event="-deadly-", operation="s3:GetObject")
        expected: dict[Version, str] = {}

        def one(number: int) -> None:
            kinds = poison if number % POISON == POISON - 1 else contents
            suffix, content, verdict = kinds[number // (POISON if kinds is poison else 1) % len(kinds)]
            version = world.upload(f"{name}/{number:04d}-{verdict}-{suffix}", content)
            expected[version] = verdict
            if number % DUPLICATES == 0 or (verdict == "deadly" and number % 2):
                world.announce(version)

        with ThreadPoolExecutor(8) as uploaders:
            list(uploaders.map(one, range(many)))
        return expected

    return upload


def test_one_environment_processes_many_portrait_videos(world, soak):
    """Rotating each needs filters, whose leaks used to fill the environment's memory after thirty."""
    reserve(world, 1)
    content = video("mov", seconds=0.1, size=(320, 180), rotation=-90, audio=None)
    versions = [world.upload(f"portrait/{number:03d}.mov", content) for number in range(100 if soak else 36)]
    world.settle(600)
    for version in versions:
        result = world.intake.result(version)
        assert result["poster"]["height"] > result["poster"]["width"]
        assert result["warnings"] == []
    lines = [line for line in processed(world) if line["key"].startswith("portrait/")]
    assert len({line["stream"] for line in lines}) == 1, "one environment"
    assert {line["threads"] for line in lines[1:]} == {lines[1]["threads"]}
    assert lines[-1]["peakMemoryMB"] <= lines[29]["peakMemoryMB"] + 8


@pytest.fixture
def storyboards(world) -> Iterator[None]:
    """Enables storyboards, as with the parameter."""
    function = {"FunctionName": world.intake.outputs["FunctionName"]}
    client = world.intake.client("lambda")
    before = client.get_function_configuration(**function)["Environment"]["Variables"]
    client.update_function_configuration(**function, Environment={"Variables": before | {"STORYBOARD": "enabled"}})
    yield
    client.update_function_configuration(**function, Environment={"Variables": before})


@pytest.mark.usefixtures("storyboards")
def test_a_burst_leaves_each_version_with_its_outcome(world, burst, report, soak):
    many, concurrency = (1500, 10) if soak else (20, 2)
    reserve(world, concurrency)
    began = time.monotonic()
    expected = burst("burst", many)
    uploaded = time.monotonic()
    world.settle(3600)
    seconds = time.monotonic() - began
    report(f"{many} uploads, concurrency {concurrency}: uploaded in {uploaded - began:.0f} s, settled after "
           f"{seconds:.0f} s, {many / seconds:.1f}/s; {memory(world)}")  # fmt: skip

    verdicts = {document["resultKey"]: verdict_of(document) for document in world.messages()}
    survivors = {version: verdict for version, verdict in expected.items() if verdict != "deadly"}
    for version, verdict in survivors.items():
        assert verdicts[version.folder + "result.json"] == verdict
    heard, results = world.heard_of(), world.results("burst/")
    outcomes = {version.folder + "result.json" for version in survivors}
    assert results.keys() == outcomes
    assert {key: heard[key] for key in outcomes} == dict.fromkeys(outcomes, 1), "one message for each outcome"
    playable = [document for document in world.messages() if document["resultKey"] in outcomes and "video" in document]
    assert playable
    assert all(document["poster"] and document["storyboard"] for document in playable)
    dead = {key_of(letter) for letter in world.letters(take="")}
    assert dead == {version.key for version in expected.keys() - survivors.keys()}


def test_after_an_outage_of_any_service_replay_processes_the_rest(world, burst, report, soak):
    """After normal operation, one or all services fail until Lambda gives up on every waiting event."""
    reserve(world, 10 if soak else 4)
    calm = burst("calm", 200 if soak else 10)
    world.settle(3600)
    world.letters(take="")
    hit: dict[Version, str] = {}
    kind = "refuse" if soak else "deny"  # which takes the SDK some seconds, three times over
    for name, operation in SERVICES.items():
        world.fault(kind, event=f"outage-{name}/", operation=operation)
        hit |= burst(f"outage-{name}", 40 if soak else 1)
    began = time.monotonic()
    world.settle(3600)
    assert not world.completed().keys() & {version.folder + "result.json" for version in hit}
    assert {key_of(letter) for letter in world.letters()} == {version.key for version in hit}

    # Some failed events are lost, as after fourteen days.
    world.well()
    world.letters(take="outage-all/")
    for status in (1, 0):  # a run submits each video once, and leaves its duplicates to the next
        assert world.replay("dead-letters", "--yes")[0] == status
        world.settle(3600)
    _, found = world.replay("missing", "--prefix", "outage-", "--yes")
    lost = {version.key for version in hit if version.key.startswith("outage-all/")}
    assert {line[0] for line in found} == lost
    world.settle(3600)
    report(f"outage: {len(hit)} uploads given up and brought back in {time.monotonic() - began:.0f} s")
    heard = world.heard_of()
    for version, verdict in (calm | hit).items():
        key = version.folder + "result.json"
        assert verdict_of(world.intake.result(version)) == ("success" if verdict == "deadly" else verdict)
        assert 1 <= heard[key] <= 2
    assert world.letters() == []
    for prefix in ("calm/", "outage-"):
        assert world.replay("missing", "--prefix", prefix) == (0, [])


def verdict_of(document: dict) -> str:
    """The verdict in a result document."""
    return document.get("failure", {}).get("reason", document["status"])


def reserve(world: World, concurrency: int) -> None:
    """Sets the function's concurrency."""
    world.intake.client("lambda").put_function_concurrency(
        FunctionName=world.intake.outputs["FunctionName"], ReservedConcurrentExecutions=concurrency
    )


def processed(world: World) -> list[dict]:
    """The function's `Processed` lines, with the log stream of their environment."""
    pages = world.intake.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=world.intake.outputs["LogGroupName"], filterPattern='"Processed"')
    lines = [
        json.loads(event["message"]) | {"stream": event["logStreamName"]} for page in found for event in page["events"]
    ]
    return [line for line in lines if line.get("message") == "Processed"]


def memory(world: World) -> str:
    """Peak memory of the local cloud and of the largest of its functions' processes."""
    cloud, function = world.peaks()
    return f"peak memory {cloud} MB local cloud, {function} MB function"
