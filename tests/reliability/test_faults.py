"""A failure of every operation in one invocation. The calls are recorded, so that none can be missed."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.support.boxes import padded
from tests.support.world import Version, World
from tools.localcloud.faults import KINDS, OF_AN_OBJECT
from tools.videos import video

LATE_SECONDS: Final = 9  # longer than the function's clients wait for an answer (8 s)

# Failures of a call in the first attempt at an event; later attempts have none.
FAULTS: Final[dict[str, dict[str, Any]]] = {
    "refused once": {"kind": "refuse", "attempt_of_call": 1},
    "refused until the SDK gives up": {"kind": "refuse"},
    "answer lost": {"kind": "lose", "attempt_of_call": 1},
    "answer late": {"kind": "late", "attempt_of_call": 1, "seconds": LATE_SECONDS},
    "killed before": {"kind": "kill-before"},
    "killed after": {"kind": "kill-after"},
    "not seen yet": {"kind": "hide"},
}
# The SDK's own retry, another process or much time: test_any_order tries every kind of file, in memory
ONCE_FOR_EACH_OPERATION: Final = {"refused once", "answer late", "killed before", "killed after"}
# To be killed before any other call is to be killed after the one before it
KILLED_BEFORE: Final = {"dynamodb:PutItem", "sns:Publish"}  # the first, and the one after those that run side by side
REASONS: Final = {"rejected": "not-a-video", "empty": "empty", "failing": "not-a-video"}
TAGS: Final = {"customer": "4711", "project": "x"}


@dataclass(frozen=True)
class Case:
    """A failure of one call, and the affected upload."""

    fault: str
    operation: str
    nth: int
    version: Version = field(repr=False)


CONTENTS: Final = {
    "playable": lambda: padded(video(seconds=0.4, size=(320, 180), audio=None)),
    "rejected": lambda: b"no video, whatever its name says",
    "empty": lambda: b"",  # of this, only its first read, which asks for no range
    # Of this, only the calls that the others do not make:
    "failing": lambda: b"its inspection fails for good the first time, and frees its lock",
}


def upload(world: World, key: str, content: bytes) -> Version:
    return world.upload(key, content, "&".join(f"{name}={value}" for name, value in TAGS.items()))


def operations(world: World, version: Version) -> dict[str, set[int]]:
    """The operations of the first attempt at a version, each with its first and last call.

    The calls in between are similar: more ranges of the same file, or parallel calls.
    """
    event = next(call["event"] for call in world.calls() if version.key in call["path"])
    made = [call for call in world.calls() if (call["event"], call["attempt"]) == (event, 1)]
    return {call["operation"]: {1, call["nth"]} for call in sorted(made, key=lambda call: call["nth"])}


def possible(kind: str, operation: str) -> bool:
    """Whether the fault can happen to the call. Only calls about an object can fail because it does not exist."""
    return {"hide": operation in OF_AN_OBJECT, "kill-before": operation in KILLED_BEFORE}.get(kind, True)


@pytest.fixture(scope="module")
def earlier(stack) -> set[str]:
    """The records from before, because other tests leave some of killed processes."""
    return {record["id"]["S"] for record in stack.records()}


@pytest.fixture(scope="module")
def cases(stack, earlier) -> list[Case]:
    """Every failure of every call for each kind of file, in parallel because of the timeouts."""
    stack.well()
    contents = {name: make() for name, make in CONTENTS.items()}
    stack.fault("refuse", event="failing-", operation="s3:GetObject", attempt=1)
    plain = {name: upload(stack, f"{name}-plain.mp4", content) for name, content in contents.items()}
    stack.settle()
    cases: list[Case] = []
    for name, version in plain.items():
        others = {case.operation for case in cases} if name in ("empty", "failing") else set()
        before = {case.operation for case in cases}
        for operation, nth in (
            (operation, nth) for operation, some in operations(stack, version).items() for nth in some
        ):
            for fault, rule in FAULTS.items() if operation not in others else ():
                again = operation in before or nth > 1
                if (again and fault in ONCE_FOR_EACH_OPERATION) or not possible(rule["kind"], operation):
                    continue
                key = f"{name}-{fault.replace(' ', '-')}-at-{operation.partition(':')[2]}-{nth}.mp4"
                stack.fault(event=key, attempt=1, operation=operation, nth=nth, **rule)
                cases.append(Case(fault, operation, nth, upload(stack, key, contents[name])))
    stack.settle()
    stack.well()
    return cases


@pytest.fixture(scope="module")
def completed(stack, cases) -> Counter[str]:
    return stack.completed()


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_failure_there_is_one_outcome_and_nothing_is_lost(world, cases, completed, subtests, fault):
    assert world.letters() == []
    results, heard = world.results(), world.heard_of()
    for case in (case for case in cases if case.fault == fault):
        key = case.version.folder + "result.json"
        with subtests.test(f"{case.version.key} ({case.operation})"):
            assert results[key] == completed[key] == 1
            assert 1 <= heard[key] <= 2
            status = {"video-intake:status": "success"}
            if reason := REASONS.get(case.version.key.partition("-")[0]):
                status = {"video-intake:status": "failure", "video-intake:reason": reason}
            assert world.intake.tags(case.version) == TAGS | status
            assert world.intake.read(case.version.key) == case.version.content


def test_a_second_message_comes_only_if_the_first_was_sent(world, cases):
    heard = world.heard_of()
    twice = {(case.fault, case.operation) for case in cases if heard[case.version.folder + "result.json"] == 2}
    assert {operation for _, operation in twice} == {"sns:Publish", "dynamodb:UpdateItem"}
    assert ("refused once", "sns:Publish") not in twice


def test_every_operation_of_the_function_had_every_failure(world, cases):
    calls = world.calls()
    befallen = {(call["operation"], call["fault"]) for call in calls if call["fault"]}
    kinds = {rule["kind"] for rule in FAULTS.values()}
    assert kinds == KINDS.keys() - {"deny", "freeze"}, "which test_burst and test_killers have"
    operations = {call["operation"] for call in calls}
    assert befallen >= {
        (operation, rule["kind"])
        for operation in operations
        for rule in FAULTS.values()
        if possible(rule["kind"], operation)
    }


def test_in_a_new_bucket_nothing_is_mistaken_for_deleted(world):
    """Every S3 call returns NoSuchKey until Lambda's last attempt, three minutes later."""
    for attempt in (1, 2):
        world.fault("hide", event="young-", operation="s3:*", attempt=attempt)
    versions = [upload(world, f"young-{name}.mp4", CONTENTS[name]()) for name in ("playable", "rejected", "empty")]
    world.settle()
    keys = [version.folder + "result.json" for version in versions]
    assert [world.results("young-")[key] for key in keys] == [1, 1, 1]
    assert [world.heard_of()[key] for key in keys] == [1, 1, 1]
    assert world.letters() == []


def test_no_record_is_left_in_progress(world, earlier, cases):
    left = [record["status"]["S"] for record in world.records() if record["id"]["S"] not in earlier]
    assert set(left) == {"COMPLETED"}
