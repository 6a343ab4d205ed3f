"""An existing bucket without versioning: failures, duplicates, replacements, deletions and outages."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from scripts.stack import Source, wait_for
from tests.support.world import Version, World, key_of
from tools.videos import video

CONTENT: Final = b"no video, whatever its name says"
TAGS: Final = {"customer": "4711"}
OURS: Final = {"video-intake:status": "failure", "video-intake:reason": "not-a-video"}
SEQUENCE: Final = itertools.count(1)
# Failures of a call in the first attempt at an event; later attempts have none. test_faults has more: what the SDK
# repeats is the same in every bucket, and to be killed before a call is to be killed after the one before it.
FAULTS: Final[dict[str, dict[str, Any]]] = {
    "refused until the SDK gives up": {"kind": "refuse"},
    "answer lost": {"kind": "lose", "attempt_of_call": 1},
    "killed after": {"kind": "kill-after"},
    "not seen yet": {"kind": "hide"},
}
LISTING: Final = "s3:ListObjectsV2"
# The calls that differ from those for the stack's bucket, because there is no version; test_faults has the others
IN_THEIRS: Final = ("s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging")
# Failures of the call with which the function asks whether a video was deleted.
UNANSWERED: Final = {
    "refused once": {"kind": "refuse", "attempt_of_call": 1},
    "answer late": {"kind": "late", "attempt_of_call": 1, "seconds": 9},
    "killed before": {"kind": "kill-before"},
}


@dataclass(frozen=True)
class Case:
    """A failure of one call, and the affected upload."""

    fault: str
    operation: str
    version: Version = field(repr=False)


@pytest.fixture(scope="module")
def theirs(stack: World) -> Source:
    return stack.intake.sources[1]


@pytest.fixture
def unheard(world: World, theirs: Source) -> Iterator[World]:
    """Disables the bucket's events, which the test delivers later in its own order."""
    s3, bucket = world.intake.client("s3"), {"Bucket": theirs.bucket}
    s3.put_bucket_notification_configuration(**bucket, NotificationConfiguration={})
    yield world
    s3.put_bucket_notification_configuration(**bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})


def put(world: World, theirs: Source, name: str, content: bytes = CONTENT) -> Version:
    tags = "&".join(f"{key}={value}" for key, value in TAGS.items())
    return world.upload(f"{theirs.prefix}{name}", content, tags, theirs.bucket)


def announcement(version: Version) -> dict[str, Any]:
    """S3's event through EventBridge, with the next sequencer and without a version."""
    described = {"key": version.key, "size": len(version.content), "etag": version.etag}
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": "2026-07-01T10:00:00Z",
        "detail": {
            "bucket": {"name": version.bucket},
            "object": described | {"sequencer": f"{next(SEQUENCE):018X}"},
            "reason": "PutObject",
        },
    }


def messages(world: World, version: Version) -> int:
    return world.heard_of()[version.folder + "result.json"]


def operations(world: World, version: Version) -> list[str]:
    """The operations of the first attempt at a version."""
    event = next(call["event"] for call in world.calls() if version.key in call["path"])
    made = [call["operation"] for call in world.calls() if (call["event"], call["attempt"]) == (event, 1)]
    return list(dict.fromkeys(made))


# ---------------------------------------------------------------- A fault at every call


@pytest.fixture(scope="module")
def cases(stack: World, theirs: Source) -> list[Case]:
    """Every failure of the first call of each of these operations, in parallel."""
    stack.well()
    plain = put(stack, theirs, "plain.mp4")
    stack.settle()
    found: list[Case] = []
    for operation in sorted({*operations(stack, plain)} & {*IN_THEIRS}):
        for fault, rule in FAULTS.items():
            if rule["kind"] == "hide" and not operation.startswith("s3:Get"):
                continue
            key = f"theirs-{fault.replace(' ', '-')}-at-{operation.partition(':')[2]}.mp4"
            stack.fault(event=key, attempt=1, operation=operation, nth=1, **rule)
            found.append(Case(fault, operation, put(stack, theirs, key)))
    stack.settle()
    stack.well()
    return found


def test_every_kind_of_call_to_the_bucket_had_a_failure(cases: list[Case]) -> None:
    assert {case.operation for case in cases} == {*IN_THEIRS}


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_failure_there_is_one_outcome_and_nothing_is_lost(world, cases, subtests, fault) -> None:
    assert world.letters() == []
    for case in (case for case in cases if case.fault == fault):
        with subtests.test(f"{case.version.key} ({case.operation})"):
            assert world.intake.result(case.version)["failure"]["reason"] == "not-a-video"
            assert 1 <= messages(world, case.version) <= 2
            assert world.intake.tags(case.version) == TAGS | OURS
            got = world.intake.client("s3").get_object(Bucket=case.version.bucket, Key=case.version.key)
            assert got["Body"].read() == CONTENT


def test_nothing_was_written_into_the_bucket(world: World, cases: list[Case], theirs: Source) -> None:
    listed = world.intake.client("s3").list_objects_v2(Bucket=theirs.bucket)["Contents"]
    assert {one["Key"] for one in listed} >= {case.version.key for case in cases}
    assert all(one["Key"].endswith(".mp4") for one in listed)


def test_a_failed_check_for_a_deletion_proves_nothing(unheard: World, theirs: Source) -> None:
    deleted: dict[str, Version] = {}
    for fault, rule in (FAULTS | UNANSWERED).items():
        key = f"asked-{fault.replace(' ', '-')}.mp4"
        unheard.fault("hide", event=key, operation="s3:GetObject")  # of a bucket that never had versions
        if rule["kind"] != "hide":
            unheard.fault(event=key, operation=LISTING, attempt=1, **rule)
        deleted[fault] = put(unheard, theirs, key)
        unheard.intake.client("s3").delete_object(Bucket=theirs.bucket, Key=deleted[fault].key)
        unheard.deliver(announcement(deleted[fault]))
    unheard.settle()
    assert unheard.letters() == []
    for fault, version in deleted.items():
        assert LISTING in operations(unheard, version), fault
        assert unheard.intake.result(version) is None, fault
        assert messages(unheard, version) == 0, fault


# ---------------------------------------------------------------- Duplicates, replacements, deletions


def test_a_duplicate_has_no_second_outcome(unheard: World, theirs: Source) -> None:
    once = put(unheard, theirs, "once.mp4", video(seconds=0.1, size=(160, 96), audio=None))
    event = announcement(once)
    for _ in range(3):
        unheard.deliver(event)
    unheard.settle()
    assert unheard.intake.result(once)["status"] == "success"
    assert messages(unheard, once) == 1


def test_in_any_order_only_the_newest_content_has_an_outcome(unheard, theirs) -> None:
    for name, late_first in (("in-order.mp4", False), ("reordered.mp4", True)):
        first, second = put(unheard, theirs, name), put(unheard, theirs, name, b"")
        events = [announcement(first), announcement(second)]
        for event in reversed(events) if late_first else events:
            unheard.deliver(event)
        unheard.settle()
        assert unheard.intake.result(first) is None
        assert unheard.intake.result(second)["failure"]["reason"] == "empty"
        assert unheard.intake.tags(second) == TAGS | OURS | {"video-intake:reason": "empty"}
        assert [messages(unheard, one) for one in (first, second)] == [0, 1]
    assert unheard.letters() == []


def test_content_that_is_uploaded_again_has_an_outcome_again(world: World, theirs: Source) -> None:
    for content in (CONTENT, b"", CONTENT):
        version = put(world, theirs, "back.mp4", content)
        world.settle()
        assert world.intake.tags(version).keys() == TAGS.keys() | OURS.keys()
    assert messages(world, version) == 2


def test_content_replaced_during_processing_is_not_tagged(unheard: World, theirs: Source) -> None:
    """The first attempt dies before tagging, and the content is replaced."""
    first = put(unheard, theirs, "lend.mp4")
    unheard.fault("kill-before", event="lend.mp4", operation="s3:GetObjectTagging", attempt=1)
    unheard.deliver(announcement(first))
    wait_for("the second attempt's turn", lambda: unheard.events()["waiting"] or None)
    second = put(unheard, theirs, "lend.mp4", b"another")
    unheard.settle()
    assert unheard.intake.tags(second) == TAGS
    assert unheard.letters() == []


# ---------------------------------------------------------------- An outage, and what brings back the rest


def test_after_an_outage_replay_processes_everything_once(world: World, theirs: Source) -> None:
    world.fault("deny", event="outage-", operation="s3:*")
    heard = [put(world, theirs, f"outage-{number}.mp4") for number in (1, 2)]
    world.settle()
    world.well()
    assert {key_of(letter) for letter in world.letters()} == {one.key for one in heard}
    s3, bucket = world.intake.client("s3"), {"Bucket": theirs.bucket}
    s3.put_bucket_notification_configuration(**bucket, NotificationConfiguration={})  # as if EventBridge had an outage
    unheard = put(world, theirs, "outage-3.mp4")
    s3.put_bucket_notification_configuration(**bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})

    assert world.replay("dead-letters", "--yes")[0] == 0
    world.settle()
    status, lines = world.replay("missing", "--bucket", theirs.bucket, "--prefix", f"{theirs.prefix}outage-", "--yes")
    assert (status, lines) == (0, [[unheard.key, "null", theirs.bucket]])
    world.settle()
    for one in (*heard, unheard):
        assert world.intake.result(one)["failure"]["reason"] == "not-a-video"
        assert world.intake.tags(one) == TAGS | OURS
        assert messages(world, one) == 1
    assert world.letters() == []
    assert world.replay("missing", "--bucket", theirs.bucket, "--prefix", f"{theirs.prefix}outage-") == (0, [])
