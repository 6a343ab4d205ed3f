"""Uploads, overwrites, deletions, duplicates and failures in any order: each version has exactly one outcome.
Hypothesis searches for a sequence of steps that breaks this.

The function's code runs in this process, on moto's services in memory. The tests read moto's memory directly, because
its API would take most of the time.
"""

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import quote_plus

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends

from tests.support.function import BUCKET, CONTEXT, ENVIRON, REGION, TABLE, TOPIC_ARN, account, cold_start
from tools.videos import cut, video
from video_intake import decoder
from video_intake.worker_process import WorkerProcess

ATTEMPTS: Final = 3  # of Lambda, at an event
KEYS: Final = ["a.mp4", "folder/b c+d.MOV", "Größe 🎬.avi"]
CONTENTS: Final = {  # each with what its result must say: no two are alike
    "wide": (video(seconds=0.1, size=(160, 96), audio=None), 160),
    "narrow": (video(seconds=0.1, size=(96, 160), audio=None), 96),
    "text": (b"no video, whatever its name says", "not-a-video"),
    "cut": (cut(video(seconds=0.1, size=(128, 128), audio=None, options={"movflags": "faststart"})), "truncated"),
    "empty": (b"", "empty"),
}
MOST_CALLS: Final = 10  # of one processing of these files
MOST_WRITES: Final = 3  # side by side: poster, result, tags


class Killed(BaseException):
    """The function's process was killed, which it must not notice."""


@dataclass(frozen=True)
class Fault:
    """A failure of one call in an invocation, or an external event at that time."""

    kind: str
    number: int  # of the call

    KINDS = ("refused once", "refused", "lost", "killed before", "killed after", "delivered meanwhile",
             "deleted meanwhile")  # fmt: skip


FAULTS = st.builds(Fault, st.sampled_from(Fault.KINDS), st.integers(1, MOST_CALLS))


@dataclass(eq=False)
class Version:
    """An uploaded version and its history."""

    key: str
    version_id: str
    content: bytes
    expected: int | str
    tags: dict[str, str]
    attempts: set[str] = field(default_factory=lambda: {""})  # deliberate repetitions, and the first
    begun: bool = False  # a delivery of it was tried
    finished: bool = False  # the function has returned from one
    deleted: bool = False
    faults: int = 0  # that befell its deliveries

    @property
    def folder(self) -> str:
        return f"results/{self.key}/{self.version_id}/"


@dataclass(eq=False)
class Delivery:
    """An event in Lambda's queue: its versions, each with the name of its attempt."""

    records: list[tuple[Version, str]]
    failures: int = 0
    minutes: int = 0  # that it still waits

    def event(self) -> dict[str, Any]:
        return {"Records": [_record(version, attempt) for version, attempt in self.records]}


def _record(version: Version, attempt: str) -> dict[str, Any]:
    described = {
        "key": quote_plus(version.key, safe="/"),
        "versionId": version.version_id,
        "size": len(version.content),
        "eTag": hashlib.md5(version.content).hexdigest(),
    }
    plain = {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-07-01T10:00:00.000Z",
        "s3": {"bucket": {"name": BUCKET}, "object": described},
    }
    return plain | ({"videoIntakeAttempt": attempt} if attempt else {})


class Door:
    """Passes every request on to moto, and injects failures during an invocation."""

    def __init__(self) -> None:
        self.befall: Callable[[str, Any, Callable[[], Any]], Any] | None = None

    def __call__(self, stubber: BotocoreStubber, event_name: str, request: Any, **_: Any) -> Any:
        if self.befall is None:
            return _plain(stubber, event_name, request)
        return self.befall(event_name, request, lambda: _plain(stubber, event_name, request))


_plain = BotocoreStubber.__call__
door = Door()
ready: list[WorkerProcess] = []  # decoders, because starting one takes longer than most sequences


class Deliveries(RuleBasedStateMachine):
    """The possible steps, and the invariants after each."""

    def __init__(self) -> None:
        super().__init__()
        self.account = contextlib.ExitStack()
        self.account.enter_context(account())
        self.s3 = boto3.client("s3")
        self.function = cold_start()
        self.function.publisher.carry_out = self._in_some_order
        self.order: list[int] = list(range(MOST_WRITES))
        self.versions: list[Version] = []
        self.queue: list[Delivery] = []
        self.dead: list[Delivery] = []
        self.done: set[tuple[Version, str]] = set()  # of which the function has returned

    def teardown(self) -> None:
        try:
            self.in_the_end_everything_has_its_outcome()
        finally:
            if (worker := self.function.decoder._worker) and worker.usable:
                ready.append(worker)
            self.account.close()

    # What people and S3 do

    @rule(
        key=st.sampled_from(KEYS),
        content=st.sampled_from(sorted(CONTENTS)),
        tags=st.sampled_from([0, 2, 9, 10]),
        times=st.sampled_from([1, 1, 2]),
    )
    def upload(self, key: str, content: str, tags: int, times: int) -> None:
        """A new version, perhaps of an existing key, with one or two events."""
        theirs = {f"tag{number}": str(number) for number in range(tags)}
        tagging = "&".join(f"{name}={value}" for name, value in theirs.items())
        body, expected = CONTENTS[content]
        answer = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, Tagging=tagging)
        version = Version(key, answer["VersionId"], body, expected, theirs)
        self.versions.append(version)
        self.queue += [Delivery([(version, "")]) for _ in range(times)]

    @precondition(lambda self: self.versions)
    @rule(which=st.integers(0, 99))
    def announce_again(self, which: int) -> None:
        """A repeated, late, or replayed (`replay.py missing`) event."""
        self.queue.append(Delivery([(self._version(which), "")]))

    @precondition(lambda self: self.versions)
    @rule(which=st.integers(0, 99), attempt=st.sampled_from(["again", "and again"]))
    def reprocess(self, which: int, attempt: str) -> None:
        """A request for a new result of a version."""
        version = self._version(which)
        version.attempts.add(attempt)
        self.queue.append(Delivery([(version, attempt)]))

    @precondition(lambda self: self.versions)
    @rule(which=st.integers(0, 99))
    def delete_version(self, which: int) -> None:
        self._delete(self._version(which))

    @rule(key=st.sampled_from(KEYS))
    def delete_marker(self, key: str) -> None:
        """A deletion without a version ID keeps every version."""
        self.s3.delete_object(Bucket=BUCKET, Key=key)

    @precondition(lambda self: len([one for one in self.queue if not one.failures]) > 1)
    @rule()
    def bundle(self) -> None:
        """Merges events, because one event may have several uploads."""
        one, other = [delivery for delivery in self.queue if not delivery.failures][:2]
        if not {version for version, _ in one.records} & {version for version, _ in other.records}:
            self.queue.remove(other)
            one.records += other.records

    # What Lambda and the world do

    @precondition(lambda self: self.queue)
    @rule(
        turns=st.lists(st.tuples(st.integers(0, 99), st.none() | FAULTS), min_size=1, max_size=6),
        order=st.permutations(range(MOST_WRITES)),
    )
    def deliver(self, turns: list[tuple[int, Fault | None]], order: list[int]) -> None:
        """Processes some events in the queue after their wait. Parallel writes end in `order`."""
        self.order = order
        for which, fault in turns:
            if self.queue:
                delivery = self.queue.pop(which % len(self.queue))
                while delivery.minutes:
                    self.minute_passes()
                    delivery.minutes -= 1
                self._invoke(delivery, fault)

    @rule()
    def minute_passes(self) -> None:
        """Makes locks older and waits shorter."""
        for item in self._table().values():
            if expires := item.attrs.get("in_progress_expiration"):
                expires.value = str(int(expires.value) - 60_000)
        for delivery in self.queue:
            delivery.minutes = max(delivery.minutes - 1, 0)

    @precondition(lambda self: self.dead)
    @rule()
    def redrive(self) -> None:
        """Submits failed events again, like `replay.py dead-letters`."""
        self.queue += [Delivery(delivery.records) for delivery in self.dead]
        self.dead.clear()

    # What holds after each step

    @invariant()
    def every_result_is_of_its_own_version(self) -> None:
        by_folder = {version.folder: version for version in self.versions}
        documents = [name for name in self._bucket().keys() if name.endswith("/result.json")]  # noqa: SIM118
        for name in documents:
            version = by_folder[name.removesuffix("result.json")]
            result = json.loads(self._object(name).value)
            source = result["source"]
            assert (source["key"], source["versionId"]) == (version.key, version.version_id)
            assert source["eTag"] == hashlib.md5(version.content).hexdigest()
            said = result["video"]["width"] if result["status"] == "success" else result["failure"]["reason"]
            assert said == version.expected
            if version.finished:
                assert (self._object(version.folder + "poster.jpg") is not None) == (result["status"] == "success")

    @invariant()
    def messages_are_as_many_as_outcomes_but_for_faults(self) -> None:
        heard = self._heard()
        assert heard.keys() <= {version.folder for version in self.versions}
        for version in self.versions:
            assert heard[version.folder] <= len(version.attempts) + version.faults

    @invariant()
    def what_is_finished_has_its_outcome(self) -> None:
        heard = self._heard()
        for version in self.versions:
            if version.finished and not version.deleted:
                assert self._object(version.folder + "result.json"), version
                assert heard[version.folder] >= 1
                tags = self._tags(version)
                room = 10 - len(version.tags)
                assert len(tags.keys() - version.tags.keys()) == min(room, 1 + isinstance(version.expected, str))

    @invariant()
    def nothing_of_the_users_is_lost(self) -> None:
        for version in self.versions:
            if not version.deleted:
                assert self._tags(version).items() >= version.tags.items()
                assert self._object(version.key, version.version_id).value == version.content

    @invariant()
    def what_was_deleted_before_processing_has_no_message(self) -> None:
        heard = self._heard()
        for version in self.versions:
            if version.deleted and not version.begun:
                assert heard[version.folder] == 0

    def in_the_end_everything_has_its_outcome(self) -> None:
        """After all failures end, delivers queued events and submits failed ones again."""
        self.redrive()
        while self.queue:
            self.deliver([(0, None)], self.order)
            assert not self.dead, "without a fault nothing fails for good"
        for version in self.versions:
            assert version.finished
        self.what_is_finished_has_its_outcome()
        self.messages_are_as_many_as_outcomes_but_for_faults()
        self.what_was_deleted_before_processing_has_no_message()
        states = [item.attrs["status"].value for item in self._table().values()]
        assert set(states) <= {"COMPLETED"}

    # How it is done

    def _invoke(self, delivery: Delivery, fault: Fault | None) -> None:
        versions = [version for version, _ in delivery.records]
        alive = [version for version in versions if not version.deleted]
        duplicate = all(record in self.done for record in delivery.records)
        with self._world(delivery, fault) as calls:
            try:
                self.function.handler(delivery.event(), CONTEXT)
                done = True
            except (Exception, Killed):  # noqa: BLE001  # as Lambda: whatever it was, it failed
                done = False
        if duplicate and fault is None:
            assert (done, len(calls)) == (True, len(versions)), "a duplicate costs one request"
        self.done |= set(delivery.records) if done else set()
        for version in versions:
            version.begun |= version in alive  # one that was gone before stays untouched
            version.finished |= done
        if not done:
            delivery.failures += 1
            delivery.minutes = delivery.failures
            (self.dead if delivery.failures == ATTEMPTS else self.queue).append(delivery)

    def _in_some_order(self, writes: Sequence[Callable[[], object]]) -> None:
        """Like publisher.in_parallel: after a failure the others finish, but not in a killed process."""
        faults: list[Exception] = []
        for place in [each for each in self.order if each < len(writes)]:
            try:
                writes[place]()
            except Exception as fault:  # noqa: BLE001  # whatever it was
                faults.append(fault)
        if faults:
            raise faults[0]

    @contextlib.contextmanager
    def _world(self, delivery: Delivery, fault: Fault | None) -> Iterator[list[str]]:
        """Injects the failure into its call; returns the calls that were made."""
        calls: list[str] = []  # as the SDK names them: its repetitions of a call have the name of the first

        def befall(event_name: str, request: Any, carry_out: Callable[[], Any]) -> Any:
            name = str(request.headers.get("amz-sdk-invocation-id"))
            first = name not in calls
            if first:
                calls.append(name)
            if fault is None or calls.index(name) + 1 != fault.number or (not first and fault.kind != "refused"):
                return carry_out()
            if first and "meanwhile" not in fault.kind:
                for version, _ in delivery.records:
                    version.faults += 1
            return self._befall(fault.kind, delivery, event_name, request, carry_out)

        before, door.befall = door.befall, befall
        try:
            yield calls
        finally:
            door.befall = before

    def _befall(
        self, kind: str, delivery: Delivery, event_name: str, request: Any, carry_out: Callable[[], Any]
    ) -> Any:
        match kind:
            case "refused once" | "refused":
                return _refusal(event_name, request)
            case "lost":
                carry_out()
                raise ConnectionClosedError(endpoint_url=request.url)
            case "killed before":
                raise Killed
            case "killed after":
                carry_out()
                raise Killed
            case "delivered meanwhile":  # a second delivery of the same versions, while the first is at work
                self._invoke(Delivery(list(delivery.records)), None)
            case "deleted meanwhile":
                before, door.befall = door.befall, None
                self._delete(delivery.records[0][0])
                door.befall = before
        return carry_out()

    def _delete(self, version: Version) -> None:
        version.deleted = True
        self.s3.delete_object(Bucket=BUCKET, Key=version.key, VersionId=version.version_id)

    def _version(self, which: int) -> Version:
        return self.versions[which % len(self.versions)]

    def _bucket(self) -> Any:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET].keys

    def _object(self, key: str, version_id: str | None = None) -> Any:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(BUCKET, key, version_id)

    def _tags(self, version: Version) -> dict[str, str]:
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        return backend.tagger.get_tag_dict_for_resource(self._object(version.key, version.version_id).arn)

    def _table(self) -> Any:
        return dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[TABLE].items

    def _heard(self) -> Counter[str]:
        """The number of messages about each version, by folder."""
        sent = sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics[TOPIC_ARN].sent_notifications
        documents = [json.loads(json.loads(message)["default"]) for _, message, *_ in sent]
        return Counter(document["resultKey"].removesuffix("result.json") for document in documents)


def _refusal(event_name: str, request: Any) -> AWSResponse:
    body = b"<Error><Code>SlowDown</Code><Message>refused</Message></Error>"
    if "dynamodb" in event_name:
        body = b'{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}'
    return AWSResponse(request.url, 503, {}, MockRawResponse(body))


@pytest.fixture
def in_memory(monkeypatch) -> Iterator[None]:
    """The function's environment, failures injected before moto, and no waits between the SDK's attempts."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(BotocoreStubber, "__call__", lambda *arguments, **named: door(*arguments, **named))
    monkeypatch.setattr(decoder, "WorkerProcess", lambda command: ready.pop() if ready else WorkerProcess(command))
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    yield
    while ready:
        ready.pop().end()


def test_each_version_has_its_outcome_in_any_order_of_events(in_memory, soak):
    run_state_machine_as_test(
        Deliveries,
        settings=settings(
            max_examples=1500 if soak else 25,
            stateful_step_count=30,
            derandomize=not soak,  # the same sequences every time, except in full-size runs
            database=None,
            phases=[Phase.generate, Phase.shrink] if soak else [Phase.generate],
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
