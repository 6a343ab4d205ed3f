"""The parts of scripts/replay.py that need no cloud; tests/integration tests all of it on a deployed stack."""

import contextlib
import io
import itertools
import json
import re
import threading
import time
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from scripts import replay
from scripts.replaying import batch_job, dead_letters, missing, progress, reprocess, versions
from scripts.replaying.progress import Progress
from scripts.stack import Overdue, Source, Stack, WrongUse, wait_for
from video_intake import batch, messages, uploads
from video_intake.batch import Task
from video_intake.uploads import Upload

OWN = [Source("b")]
BOTH = [*OWN, Source("theirs", "in/")]
T0 = datetime(2026, 7, 1, 10, tzinfo=UTC)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
FORGING = ['"a"', '"a".mp4', '"', "a\tv9\tb.mp4", "a\nb.mp4", "a\u2028b.mp4", "\x1b[31m.mp4"]


def version(key: str, version_id: str = "v1", **changes) -> dict:
    entry = {"Key": key, "VersionId": version_id, "Size": 5, "ETag": '"e"', "LastModified": T0, "IsLatest": True}
    return entry | changes


class Bucket:
    """A fake S3 for listings: pages of versions generated on demand, and results that exist or not."""

    def __init__(self, *pages: list[dict], done: tuple[str, ...] = ()) -> None:
        self.pages, self.done, self.asked = pages, done, []

    def list_object_versions(self, **asked) -> dict:
        self.asked.append(asked)
        at = int(asked.get("KeyMarker") or 0)
        assert asked.get("VersionIdMarker", "") == (f"after {at}" if at else ""), (
            "a key's versions may fill several pages"
        )
        more, found = at + 1 < len(self.pages), self.pages[at]
        after = {"NextKeyMarker": str(at + 1), "NextVersionIdMarker": f"after {at + 1}"} if more else {}
        return {"IsTruncated": more} | ({"Versions": found} if found else {}) | after

    def head_object(self, Bucket: str, Key: str) -> dict:  # noqa: N803  # boto3's names
        if not any(f"results/{key}/" in Key for key in self.done):
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {}


THROTTLED = ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke")
OFFLINE = EndpointConnectionError(endpoint_url="https://aws")
FAULTS = pytest.mark.parametrize(
    "fault", [THROTTLED, OFFLINE, RuntimeError("status 200")], ids=lambda one: type(one).__name__
)


class Deployed:
    """A stack that accepts events, except those of `refused` keys."""

    bucket, name = "b", "the-stack"
    fault: Exception = THROTTLED

    def __init__(self, s3=None, sqs=None, refused: tuple[str, ...] = ()) -> None:
        self.clients, self.refused, self.submitted = (
            {"s3": s3, "sqs": sqs, "dynamodb": "the table's client"},
            refused,
            [],
        )

    def client(self, service: str):
        return self.clients[service]

    def output(self, name: str) -> str:
        return name

    def submit(self, event: dict) -> str:
        if event["Records"][0]["s3"]["object"]["key"] in self.refused:
            raise self.fault
        self.submitted.append(event)
        return f"r{len(self.submitted)}"


# ---------------------------------------------------------------- The stack


def test_a_stacks_buckets_and_outputs(monkeypatch):
    parameters = {"ExistingBucketName": "theirs", "ExistingBucketPrefix": "in/"}
    described = {
        "Outputs": [{"OutputKey": "BucketName", "OutputValue": "b"}],
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    }
    monkeypatch.setattr(Stack, "_description", described)
    stack = Stack("the-stack")
    assert stack.sources == BOTH
    with pytest.raises(WrongUse, match=r"no output BatchRoleArn\. .*deploy\.sh --parameter BatchOperations=enabled$"):
        stack.output("BatchRoleArn")
    with pytest.raises(WrongUse, match=r"no output Other\. .*deploy\.sh$"):
        stack.output("Other")


def test_waiting_slows_down_and_ends(monkeypatch):
    now, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("scripts.stack.time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    assert wait_for("a number", lambda: 0) == 0, "which is an answer"
    with pytest.raises(Overdue, match=r"^waited 100 s for nothing$"):
        wait_for("nothing", lambda: False, 100)
    assert (pauses[0], max(pauses), sorted(pauses)) == (0.2, 5.0, pauses)
    assert 100 < now[0] <= 105


class Live:
    """The clients of a stack whose bucket changes and whose function fails."""

    buckets = ("b", "c")

    def __init__(self) -> None:
        self.described, self.stored, self.code = 0, [], "NoSuchKey"

    def describe_stacks(self, StackName: str) -> dict:  # noqa: N803  # boto3's names
        self.described += 1
        outputs = {"BucketName": self.buckets[self.described - 1], "FailedEventsQueueUrl": "q"}
        return {"Stacks": [{"Outputs": [{"OutputKey": key, "OutputValue": outputs[key]} for key in outputs]}]}

    def get_object(self, **asked) -> dict:
        raise ClientError({"Error": {"Code": self.code}}, "GetObject")

    def put_object(self, **asked) -> dict:
        self.stored.append(asked["Bucket"])
        return {"ETag": '"e"'}

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> dict:  # noqa: N803
        values = {"ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "0"}
        return {"Attributes": {name: values[name] for name in AttributeNames}}


def test_a_stack_is_described_once_until_it_is_refreshed(monkeypatch):
    live = Live()
    monkeypatch.setattr(Stack, "client", lambda stack, service: live)
    stack = Stack("the-stack")
    assert (stack.bucket, stack.bucket, live.described) == ("b", "b", 1)
    stack.refresh()
    assert (stack.bucket, live.described) == ("c", 2)


def test_uploads_and_their_results_are_where_they_belong(monkeypatch):
    live = Live()
    monkeypatch.setattr(Stack, "client", lambda stack, service: live)
    stack = Stack("the-stack")
    own, other = stack.upload("a.mp4", b""), stack.upload("a.mp4", b"", "theirs")
    assert live.stored == ["b", "theirs"]
    assert (own.folder, other.folder) == ("results/a.mp4/null-e/", "results-of/theirs/a.mp4/null-e/")
    assert stack.read("a.mp4") is None
    with pytest.raises(Overdue, match=r"^a.mp4 has no result, and there are 3 events in the failed-events queue$"):
        stack.outcome(own)
    live.code = "AccessDenied"
    with pytest.raises(ClientError, match="AccessDenied"):
        stack.read("a.mp4")


def test_an_event_is_submitted_only_if_lambda_takes_it_into_its_queue(monkeypatch):
    monkeypatch.setattr(Stack, "output", lambda stack, name: name)
    answer = {"StatusCode": 202, "ResponseMetadata": {"RequestId": "r1"}}
    seen = []
    fake = SimpleNamespace(invoke=lambda **asked: seen.append(asked) or answer)
    monkeypatch.setattr(Stack, "client", lambda stack, service: fake)
    assert Stack("the-stack").submit({}) == "r1"
    assert seen == [{"FunctionName": "FunctionName", "InvocationType": "Event", "Payload": b"{}"}]
    answer["StatusCode"] = 200
    with pytest.raises(RuntimeError, match="status 200"):
        Stack("the-stack").submit({})


# ---------------------------------------------------------------- Events and tasks


@given(KEYS, st.sampled_from(["", "again"]))
def test_a_submitted_event_is_parsed_like_an_s3_event(key, attempt):
    upload = Upload("b", key, "v1", 7, "e1", "", "2026-07-01T10:00:00.000Z", attempt)
    assert uploads.parse(json.loads(json.dumps(versions.event(upload)))) == [upload]


@given(KEYS)
def test_a_manifest_line_is_parsed_as_its_version(key):
    """Passes a line on like S3 Batch Operations: split at commas, with the key unchanged."""
    upload = Upload("b", key + ".mp4", "v1", 7, "e1", "", "")
    [line] = batch_job.line(upload).splitlines()
    bucket, encoded, version_id = line.split(",")
    task = {"taskId": "t", "s3Bucket": bucket, "s3Key": encoded, "s3VersionId": version_id}
    seen: list[Task] = []
    event = {"invocationSchemaVersion": "2.0", "invocationId": "i", "tasks": [task]}
    batch.answer(event, lambda task: seen.append(task) or {"status": "success"})
    assert seen == [Task("b", key + ".mp4", "v1", "")]


# ---------------------------------------------------------------- The walk


@pytest.mark.parametrize(
    ("entry", "selection", "meant"),
    [
        (version("a.mp4"), versions.Selection(), True),
        (version("a.Mp4"), versions.Selection(), False),
        (version("results/own.MOV"), versions.Selection(), True),
        (version("results/a.mp4/v1/result.json"), versions.Selection(), False),
        (version("results/a.mp4/v1/poster.jpg"), versions.Selection(), False),
        (version("batch/x/manifest.csv"), versions.Selection(), False),
        (version("a.mp4", IsLatest=False), versions.Selection(), True),
        (version("a.mp4", IsLatest=False), versions.Selection(newest_only=True), False),
        (version("a.mp4"), versions.Selection(since=T0), True),
        (version("a.mp4"), versions.Selection(since=T0 + timedelta(seconds=1)), False),
        (version("a.mp4"), versions.Selection(until=T0), False),
        (version("a.mp4"), versions.Selection(until=T0 + timedelta(seconds=1)), True),
    ],
)
def test_which_versions_are_selected(entry, selection, meant):
    [(uploads, _)] = versions.pages(Bucket([entry]), OWN, selection, {})
    assert [upload.key for upload in uploads] == [entry["Key"]] * meant


def test_a_million_objects_take_the_memory_of_a_page():
    """100,000 entries, one in ten a video: they need about a megabyte; keeping the videos would need four."""

    class Endless(Bucket):
        def list_object_versions(self, **asked) -> dict:
            at = int(asked.get("KeyMarker") or 0)
            names = (f"folder/{at:04d}/{n:04d}.{'jpg' if n % 10 else 'mp4'}" for n in range(1000))
            found = [version(name, f"{at:032d}") for name in names]
            return {
                "IsTruncated": at < 99,
                "Versions": found,
                "NextKeyMarker": str(at + 1),
                "NextVersionIdMarker": "x",
            }

        def head_object(self, Bucket: str, Key: str) -> dict:  # noqa: N803  # boto3's names
            return {}

    stack, bookmark = Deployed(Endless()), versions.Bookmark(None, "")
    tracemalloc.start()
    try:
        assert missing.run(stack, OWN, versions.Selection(), bookmark, apply=True, limit=1 << 40, workers=2) == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20, f"{peak / 1e6:.1f} MB"


# ---------------------------------------------------------------- missing


@pytest.fixture
def walked(tmp_path, monkeypatch):
    """Runs `missing` on pages of keys, none of which are in the table; returns status and submitted keys."""
    monkeypatch.setattr(missing.idempotency, "is_done", lambda table, client, upload: False)
    state = tmp_path / "state"

    def walk(*pages: list[str], apply: bool = True, limit: int = 1 << 40, refused=(), done=(), keep: bool = True):
        bucket = Bucket(*([version(key) for key in page] for page in pages), done=done)
        stack = Deployed(bucket, refused=refused)
        bookmark = versions.Bookmark(state if keep else None, "walk")
        status = missing.run(stack, OWN, versions.Selection(), bookmark, apply=apply, limit=limit, workers=1)
        submitted = [event["Records"][0]["s3"]["object"]["key"] for event in stack.submitted]
        return status, submitted, [asked.get("KeyMarker") for asked in bucket.asked]

    walk.state = state
    return walk


def test_versions_with_a_result_are_not_submitted(walked):
    pages = [["a.mp4", "b.mp4"], [], ["c.mp4"]]  # S3 also lists delete markers, which may fill a page
    assert walked(*pages, done=("b.mp4",)) == (0, ["a.mp4", "c.mp4"], [None, "1", "2"])
    assert not walked.state.exists(), "a completed run starts from the beginning"


def test_without_yes_nothing_is_submitted_and_something_remains(walked, capsys):
    assert walked(["a.mp4"], apply=False) == (1, [], [None])
    assert capsys.readouterr() == ("a.mp4\tv1\tb\n", "1 missing. Nothing was submitted. Pass --yes to submit.\n")
    assert walked(["a.mp4"], apply=False, done=("a.mp4",)) == (0, [], [None])
    assert capsys.readouterr() == ("", "1 with a result.\n")


def test_an_interrupted_run_continues_where_it_stopped(walked):
    assert walked(["a.mp4"], ["b.mp4", "c.mp4"], ["d.mp4"], limit=2) == (1, ["a.mp4", "b.mp4"], [None, "1"])
    assert [path.name for path in walked.state.parent.iterdir()] == ["state"]
    kept = walked.state.read_text()
    report = walked(["a.mp4"], ["b.mp4", "c.mp4"], ["d.mp4"], apply=False)
    assert report[2] == [None, "1", "2"], "it has everything"
    assert walked(["a.mp4"], apply=False, done=("a.mp4",))[0] == 0
    assert walked.state.read_text() == kept, "and changes nothing"
    assert walked(["a.mp4"], ["b.mp4", "c.mp4"], ["d.mp4"])[1:] == (["b.mp4", "c.mp4", "d.mp4"], ["1", "2"])


@FAULTS
def test_a_page_with_a_failure_is_processed_again(walked, monkeypatch, capsys, fault):
    monkeypatch.setattr(Deployed, "fault", fault)
    status, submitted, _ = walked(["a.mp4"], ["b.mp4"], ["c.mp4"], refused=("b.mp4",))
    assert (status, submitted) == (1, ["a.mp4", "c.mp4"]), "a failure does not stop the others"
    assert f"b.mp4 v1: {type(fault).__name__}: {fault}\n" in capsys.readouterr().err
    assert walked(["a.mp4"], ["b.mp4"], ["c.mp4"])[2] == ["1", "2"]


def test_a_bookmark_of_another_run_is_refused(walked):
    walked(["a.mp4"], ["b.mp4"], refused=("b.mp4",))
    with pytest.raises(WrongUse, match="belongs to a run with other options"):
        versions.Bookmark(walked.state, "another").read()


def test_only_a_completed_version_without_a_result_gets_a_rerun_name(monkeypatch):
    def is_deleted(table, client, upload):
        assert (table, client) == ("IdempotencyTableName", "the table's client")
        return upload.key == "deleted.mp4"

    monkeypatch.setattr(missing.idempotency, "is_done", is_deleted)
    stack = Deployed(Bucket([version("deleted.mp4"), version("lost.mp4")]))
    missing.run(stack, OWN, versions.Selection(), versions.Bookmark(None, ""), apply=True, limit=9, workers=1)
    attempts = {parsed.key: parsed.rerun for event in stack.submitted for parsed in uploads.parse(event)}
    assert attempts == {"deleted.mp4": f"missing-{datetime.now(UTC):%Y-%m-%d}", "lost.mp4": ""}


# ---------------------------------------------------------------- Two buckets


class Buckets:
    """A fake S3 with a page of keys in each of two buckets, and results in the first."""

    def __init__(self, **keys: list[list[str]]) -> None:
        self.buckets = {name: Bucket(*([version(key, "null") for key in page] for page in pages))
                        for name, pages in keys.items()}  # fmt: skip
        self.done: set[str] = set()

    def list_object_versions(self, Bucket: str, **asked) -> dict:  # noqa: N803
        return self.buckets[Bucket].list_object_versions(**asked)

    def head_object(self, Bucket: str, Key: str) -> dict:  # noqa: N803
        assert Bucket == "b", "where the results are"
        if Key not in self.done:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {}


@pytest.mark.parametrize(
    ("prefix", "asked"),
    [
        ("", {"b": "", "theirs": "in/"}),
        ("in/deep", {"b": "in/deep", "theirs": "in/deep"}),
        ("i", {"b": "i", "theirs": "in/"}),
        ("out/", {"b": "out/"}),
        ("n/", {"b": "n/"}),
    ],
)
def test_every_bucket_is_listed_below_its_prefix(prefix, asked):
    s3 = Buckets(b=[["a.mp4"], ["b.mp4"]], theirs=[["in/c.mp4"]])
    found = [one.key for some, _ in versions.pages(s3, BOTH, versions.Selection(prefix), {}) for one in some]
    assert found == ["a.mp4", "b.mp4", "in/c.mp4"][: 3 if len(asked) == 2 else 2]
    assert {name: each.asked[0]["Prefix"] for name, each in s3.buckets.items() if each.asked} == asked


def test_a_run_continues_in_the_bucket_where_it_stopped(walked, monkeypatch):
    def walk(limit):
        s3 = Buckets(b=[["a.mp4"]], theirs=[["in/b.mp4"], ["in/c.mp4"], ["in/d.mp4"]])
        stack, bookmark = Deployed(s3), versions.Bookmark(walked.state, "walk")
        missing.run(stack, BOTH, versions.Selection(), bookmark, apply=True, limit=limit, workers=1)
        return [event["Records"][0]["s3"]["object"]["key"] for event in stack.submitted]

    assert walk(limit=2) == ["a.mp4", "in/b.mp4"]
    assert walk(limit=9) == ["in/c.mp4", "in/d.mp4"]


def test_later_buckets_are_listed_from_the_beginning():
    s3 = Buckets(b=[["a.mp4"], ["b.mp4"]], theirs=[["in/c.mp4"], ["in/d.mp4"]])
    middle = {"Bucket": "b", "KeyMarker": "1", "VersionIdMarker": "after 1"}
    found = [one.key for some, _ in versions.pages(s3, BOTH, versions.Selection(), middle) for one in some]
    assert found == ["b.mp4", "in/c.mp4", "in/d.mp4"]


def test_results_for_another_bucket_are_in_a_separate_folder():
    s3 = Buckets(b=[["in/a.mp4"]], theirs=[["in/a.mp4"]])
    s3.done = {"results-of/theirs/in/a.mp4/null-e/result.json"}
    found = {one.bucket: versions.has_result(s3, "b", one)
             for some, _ in versions.pages(s3, BOTH, versions.Selection(), {}) for one in some}  # fmt: skip
    assert found == {"b": False, "theirs": True}


def test_a_result_that_may_not_be_read_is_not_treated_as_missing(monkeypatch, capsys):
    """If it were, a missing permission would cause every video in the bucket to be submitted."""

    def refused(**asked):
        raise ClientError({"Error": {"Code": "403"}}, "HeadObject")

    bucket = Bucket([version("a.mp4")])
    monkeypatch.setattr(bucket, "head_object", refused)
    monkeypatch.setattr(missing.idempotency, "is_done", lambda *_: False)
    stack = Deployed(bucket)
    status = missing.run(stack, OWN, versions.Selection(), versions.Bookmark(None, ""), apply=True, limit=9, workers=1)
    assert (status, stack.submitted) == (1, [])
    assert "1 failed" in capsys.readouterr().err


def test_a_result_that_is_written_meanwhile_is_not_missing(monkeypatch):
    bucket = Bucket([version("a.mp4")])
    monkeypatch.setattr(missing.idempotency, "is_done", lambda *_: setattr(bucket, "done", ("a.mp4",)) or True)
    stack = Deployed(bucket)
    assert (
        missing.run(stack, OWN, versions.Selection(), versions.Bookmark(None, ""), apply=True, limit=9, workers=1) == 0
    )
    assert stack.submitted == []


# ---------------------------------------------------------------- dead-letters

PAYLOAD = versions.event(Upload("b", "a.mp4", "v1", 7, "e1", "", "2026-07-01T10:00:00.000Z"))
RECORD = {
    "version": "1.0",
    "timestamp": "2026-07-01T10:05:00.000Z",
    "requestContext": {"requestId": "r0", "condition": "RetriesExhausted", "approximateInvokeCount": 3},
    "requestPayload": PAYLOAD,
    "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
    "responsePayload": {"errorType": "ClientError", "errorMessage": "SlowDown", "stackTrace": ["..."]},
}
NEVER_RUN = {name: part for name, part in RECORD.items() if not name.startswith("response")} | {
    "requestContext": {"requestId": "r0", "condition": "EventAgeExceeded", "approximateInvokeCount": 0}
}
TIMED_OUT = {
    "errorType": "Sandbox.Timedout",
    "errorMessage": "RequestId: r0 Error: Task timed out after 300.00 seconds",
}
KILLED = {"errorType": "Runtime.OutOfMemory", "errorMessage": "RequestId: r0 Error: signal: killed"}


BRIDGED = {
    "source": "aws.s3",
    "detail-type": "Object Created",
    "time": "2026-07-01T10:00:00Z",
    "detail": {
        "bucket": {"name": "theirs"},
        "object": {"key": "in/a b.mp4", "size": 7, "etag": "e1", "sequencer": "0A"},
    },
}

ANSWERED, ANSWERED_LATER = (
    {"ResponseMetadata": {"HTTPHeaders": {"date": f"Wed, 01 Jul 2026 {hour}:00:00 GMT"}}} for hour in (12, 13)
)


def message(body, name: str = "m0", sent: str = "1782900000000", **attributes: str) -> dict:
    return {
        "MessageId": name,
        "ReceiptHandle": "of " + name,
        "Body": body if isinstance(body, str) else json.dumps(body),
        "Attributes": {"SentTimestamp": sent},
        "MessageAttributes": {key: {"StringValue": value} for key, value in attributes.items()},
    }


@pytest.mark.parametrize(
    ("sent", "key", "why"),
    [
        (message(RECORD), "a.mp4", "2026-07-01T10:05:00.000Z RetriesExhausted after 3 attempts: ClientError: SlowDown"),
        (message(RECORD | {"responsePayload": TIMED_OUT}), "a.mp4", "Task timed out after 300.00 seconds"),
        (
            message(RECORD | {"responsePayload": KILLED}),
            "a.mp4",
            "Runtime.OutOfMemory: RequestId: r0 Error: signal: killed",
        ),
        (message(RECORD | {"responsePayload": None}), "a.mp4", "after 3 attempts: no error recorded"),
        (message(NEVER_RUN), "a.mp4", "EventAgeExceeded after 0 attempts: no error recorded"),
        (message(PAYLOAD, RequestID="r0", ErrorCode="200", ErrorMessage="boom"), "a.mp4", "200 after ? attempts: boom"),
        (
            message(BRIDGED, RULE_ARN="r", ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="may not", RETRY_ATTEMPTS="0"),
            "in/a b.mp4",
            "NO_PERMISSIONS after 0 attempts: may not",
        ),
        (message(RECORD | {"requestPayload": BRIDGED}), "in/a b.mp4", "ClientError: SlowDown"),
        (message(RECORD | {"requestPayload": {"hello": "world"}}), "(no upload)", "ClientError: SlowDown"),
        (message(RECORD | {"requestPayload": None}), "(no upload)", "ClientError: SlowDown"),
        (message("no JSON"), "(no upload)", "2026-07-01T10:00:00.000Z unknown after ? attempts: no error recorded"),
        (message("[1]"), "(no upload)", "unknown after ? attempts"),
        (message(RECORD | {"requestPayload": None}), "(no upload)", "\trequest r0\t"),
        (message("{}", RequestID="r7"), "(no upload)", "\trequest r7\t"),
        (
            message(RECORD | {"responsePayload": "in\n two\tlines"}),
            "a.mp4",
            "\t2026-07-01T10:05:00.000Z RetriesExhausted after 3 attempts: in two lines",
        ),
        (
            message(RECORD | {"requestPayload": 1, "responsePayload": "in\n two\tlines"}),
            "(no upload)",
            "attempts: in two lines",
        ),
    ],
)
def test_every_kind_of_failed_event_is_described_in_one_line(sent, key, why, capsys):
    assert looked_through(Queue(sent)) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(key + "\t")
    assert why in line
    version_and_bucket = {"a.mp4": ["v1", "b"], "in/a b.mp4": ["null", "theirs"]}
    assert line.split("\t")[1:3] == version_and_bucket.get(key, line.split("\t")[1:3])


def test_an_error_without_a_message_is_its_type():
    for payload in ({"errorType": "Runtime.ExitError"}, {"errorType": "Runtime.ExitError", "errorMessage": None}):
        assert dead_letters.parse(message(RECORD | {"responsePayload": payload})).error == "Runtime.ExitError"


class Queue:
    """A fake SQS: small batches of the requested parts, a message returned twice, and one that arrives during the run.

    An hour passes between the first response and the others.
    """

    def __init__(self, *messages: dict, comes_later: dict | None = None) -> None:
        self.waiting, self.later, self.answer = list(messages), comes_later, ANSWERED
        self.deleted: list[str] = []
        self.restored: list[str] = []

    def receive_message(self, **asked) -> dict:
        assert asked["QueueUrl"] == "FailedEventsQueueUrl"
        assert 60 <= asked["VisibilityTimeout"] <= 300, "hidden from others for minutes, not seconds or hours"
        assert asked["MaxNumberOfMessages"] == 10, "a request for each message costs ten times as much"
        assert asked["WaitTimeSeconds"] > 0, "a short poll asks only some of SQS's servers"
        given, self.waiting = self.waiting[:2], self.waiting[2:]
        if not given and self.later:
            given, self.later = [self.later], None
        asks = {"Attributes": ["SentTimestamp"], "MessageAttributes": ["All"]}
        left_out = {part for part, names in asks.items() if asked.get(f"{part.removesuffix('s')}Names") != names}
        given = [{name: part for name, part in one.items() if name not in left_out} for one in given]
        answer, self.answer = self.answer, ANSWERED_LATER
        return answer | ({"Messages": given} if given else {})

    def delete_message_batch(self, QueueUrl: str, Entries: list[dict]) -> dict:  # noqa: N803  # boto3's names
        assert (QueueUrl, 1 <= len(Entries) <= 10) == ("FailedEventsQueueUrl", True)
        self.deleted += [entry["ReceiptHandle"] for entry in Entries]
        return {}

    def change_message_visibility_batch(self, QueueUrl: str, Entries: list[dict]) -> dict:  # noqa: N803  # boto3's names
        assert (QueueUrl, 1 <= len(Entries) <= 10) == ("FailedEventsQueueUrl", True)
        assert all(entry["VisibilityTimeout"] == 0 for entry in Entries)
        self.restored += [entry["ReceiptHandle"] for entry in Entries]
        return {}


def looked_through(queue: Queue, refused=(), keys=(), reasons=(), apply=False, discard=False) -> int:
    stack = Deployed(sqs=queue, refused=refused)
    status = dead_letters.run(stack, list(keys), list(reasons), apply=apply, discard=discard, workers=2)
    queue.submitted = stack.submitted
    return status


def letters(*keys: str) -> list[dict]:
    uploads = [Upload("b", key, "v1", 7, "e1", "", "") for key in keys]
    return [message(RECORD | {"requestPayload": versions.event(upload)}, upload.key) for upload in uploads]


def test_a_report_shows_each_event_once_and_makes_it_visible_again(capsys):
    [again] = letters("a.mp4")
    queue = Queue(*letters("a.mp4", "b.mp4", "c.mp4", "d.mp4"), again | {"ReceiptHandle": "newest of a.mp4"})
    assert looked_through(queue) == 1
    told = capsys.readouterr()
    assert [line.split("\t")[0] for line in told.out.splitlines()] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert "4 in the queue" in told.err
    receipts = ["newest of a.mp4", "of b.mp4", "of c.mp4", "of d.mp4"]
    assert sorted(queue.restored) == receipts, "older ones have no effect"
    assert queue.deleted == queue.submitted == []


def test_an_empty_queue_exits_with_0(capsys):
    assert looked_through(Queue()) == 0
    assert capsys.readouterr().err == "nothing found.\n"


@FAULTS
def test_only_accepted_events_are_deleted(monkeypatch, capsys, fault):
    monkeypatch.setattr(Deployed, "fault", fault)
    queue = Queue(*letters("a.mp4", "b.mp4", "c.mp4"))
    assert looked_through(queue, refused=("b.mp4",), apply=True) == 1
    assert sorted(queue.deleted) == ["of a.mp4", "of c.mp4"]
    assert queue.restored == ["of b.mp4"]
    told = capsys.readouterr().err
    assert f"r0: {type(fault).__name__}: {fault}\n" in told
    assert "2 submitted again" in told


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"keys": ["b.mp4"]}, ["of b.mp4"]),
        ({"reasons": ["SLOWdown"]}, ["of a.mp4", "of b.mp4"]),
        ({"reasons": ["timed out", "retriesexhausted"]}, ["of a.mp4", "of b.mp4"]),
        ({"reasons": ["timed out"]}, []),
        ({"keys": ["b.mp4"], "reasons": ["timed out"]}, []),
    ],
)
def test_selected_events_are_submitted_and_the_others_remain(choice, sent, capsys):
    assert looked_through(Queue(*letters("a.mp4", "b.mp4")), **choice) == 1
    assert (f"{len(sent)} in the queue" in capsys.readouterr().err) is bool(sent)
    queue = Queue(*letters("a.mp4", "b.mp4"))
    assert looked_through(queue, apply=True, **choice) == int(len(sent) < 2)
    assert sorted(queue.deleted) == sent


def test_an_event_with_several_videos_is_selected_by_any_of_them():
    first, second = (versions.event(Upload("b", key, "v1", 7, "e1", "", "")) for key in ("a.mp4", "b.mp4"))
    queue = Queue(message(RECORD | {"requestPayload": {"Records": [*first["Records"], *second["Records"], {}]}}))
    assert looked_through(queue, keys=["b.mp4"], apply=True) == 0


NOON = 1782907200_000  # milliseconds: when SQS first answers


@pytest.mark.parametrize(("sent", "taken"), [(NOON - 1, True), (NOON + 999, True), (NOON + 1001, False)])
def test_events_that_arrive_after_the_start_are_left_for_the_next_run(capsys, sent, taken):
    late = message(RECORD | {"requestPayload": versions.event(LATE)}, "late", str(sent))
    queue = Queue(*letters("a.mp4"), comes_later=late)
    assert looked_through(queue, apply=True) == int(not taken)
    assert queue.deleted == ["of a.mp4", *["of late"] * taken]
    assert queue.restored == ["of late"] * (not taken)
    assert ("1 left for the next run" in capsys.readouterr().err) is not taken


def test_earlier_events_are_found_behind_later_ones():
    """SQS does not order messages."""
    later = [message(RECORD, f"later{number}", str(NOON + 60_000)) for number in range(6)]
    queue = Queue(*letters("a.mp4", "b.mp4"), *later, *letters("c.mp4"))
    assert looked_through(queue, apply=True) == 1
    assert queue.deleted[-1] == "of c.mp4"


LATE = Upload("b", "late.mp4", "v1", 7, "e1", "", "")


def test_a_video_with_several_events_is_submitted_once_per_run(capsys):
    one, *_ = letters("a.mp4")
    again = message(RECORD | {"requestContext": {"requestId": "r1"}}, "again")
    new = versions.event(Upload("b", "new.mp4", "v1", 7, "e1", "", ""))
    both = message(RECORD | {"requestPayload": {"Records": PAYLOAD["Records"] + new["Records"]}}, "both")
    queue = Queue(one, again, *letters("b.mp4"), both, comes_later=message(RECORD, "later"))
    assert looked_through(queue, apply=True) == 1
    assert [upload.key for event in queue.submitted for upload in uploads.parse(event)] == ["a.mp4", "b.mp4"]
    assert sorted(queue.deleted) == ["of a.mp4", "of b.mp4"]
    assert sorted(queue.restored) == ["of again", "of both", "of later"]
    told = capsys.readouterr().err
    assert "3 left for the next run" in told
    assert "or whose video it submitted, are left for the next run." in told


@pytest.mark.parametrize(
    "other", [{"bucket": "theirs"}, {"version_id": "v2"}, {"etag": "e2"}, {"rerun": "again"}], ids=str
)
def test_events_of_different_uploads_of_a_key_are_all_submitted(other):
    one = Upload("b", "a.mp4", "v1", 7, "e1", "", "")
    both = [one, replace(one, **other)]
    queue = Queue(*(message(RECORD | {"requestPayload": versions.event(each)}, str(n)) for n, each in enumerate(both)))
    assert looked_through(queue, apply=True) == 0
    assert len(queue.submitted) == 2


class Stopped(Queue):
    """With a reserved concurrency of 0, every submitted event immediately fails as a new message with a new request
    ID."""

    def __init__(self, *messages: dict, arrives: int) -> None:
        super().__init__(*messages)
        self.arrives, self.numbers = arrives, itertools.count()

    def comes_back(self, event: dict) -> str:
        name = f"back{next(self.numbers)}"
        record = RECORD | {"requestContext": {"requestId": name}, "requestPayload": event}
        self.waiting.append(message(record, name, str(self.arrives)))
        return "accepted"


@pytest.mark.parametrize("arrives", [NOON + 60_000, NOON - 60_000], ids=["clocks agree", "clocks differ"])
def test_a_run_ends_even_if_every_event_fails_again(monkeypatch, arrives):
    queue = Stopped(*letters("a.mp4", "b.mp4"), message({"hello": "world"}, "none"), arrives=arrives)
    submitted = []
    monkeypatch.setattr(Deployed, "submit", lambda self, event: submitted.append(event) or queue.comes_back(event))
    assert looked_through(queue, apply=True) == 1
    assert len(submitted) == 2, "messages that are not about an upload are kept"
    assert len(queue.restored) == 3, "they are there for the next reader"


@pytest.mark.parametrize("every", [1, 2], ids=["each response has one", "every other response is empty"])
def test_a_report_ends_even_if_events_keep_arriving(every):
    class Flooded(Queue):
        def receive_message(self, **asked):
            if self.n % every == 0:
                self.waiting.append(message(RECORD, f"later{self.n}", str(NOON + 60_000)))
            self.n += 1
            return super().receive_message(**asked)

        n = 0

    assert looked_through(Flooded(*letters("a.mp4"))) == 1


def test_discarding_submits_nothing(capsys):
    queue = Queue(message("no JSON"), *letters("a.mp4"))
    assert looked_through(queue, reasons=["unknown"], apply=True, discard=True) == 1, "the other one remains"
    assert "1 discarded" in capsys.readouterr().err
    assert (queue.deleted, queue.submitted) == (["of m0"], [])


def test_discarding_requires_yes(capsys):
    queue = Queue(*letters("a.mp4"))
    assert looked_through(queue, keys=["a.mp4"], discard=True) == 1
    assert (queue.deleted, queue.submitted, queue.restored) == ([], [], ["of a.mp4"])
    assert "Pass --yes to discard" in capsys.readouterr().err


def test_every_event_of_a_video_is_discarded():
    queue = Queue(message(RECORD, "one"), message(RECORD, "two"))
    assert looked_through(queue, keys=["a.mp4"], apply=True, discard=True) == 0
    assert sorted(queue.deleted) == ["of one", "of two"]


def test_an_empty_response_may_precede_the_last_message():
    """SQS queries only some of its servers, which may have no messages."""

    class Sparse(Queue):
        def receive_message(self, **asked):
            self.n += 1
            return super().receive_message(**asked) if self.n != 2 else dict(ANSWERED)

        n = 0

    queue = Sparse(*letters("a.mp4", "b.mp4", "c.mp4"))
    assert looked_through(queue, apply=True) == 0
    assert len(queue.deleted) == 3


@pytest.mark.parametrize("fault", [None, THROTTLED, OFFLINE], ids=["one", "throttled", "offline"])
def test_an_event_that_sqs_does_not_delete_is_reported_and_made_visible(capsys, fault):
    class Keeping(Queue):
        def delete_message_batch(self, QueueUrl: str, Entries: list[dict]) -> dict:  # noqa: N803  # boto3's names
            if fault:
                raise fault
            return {"Failed": [{"Id": Entries[0]["Id"], "SenderFault": False, "Code": "InternalError"}]}

    queue = Keeping(*letters("a.mp4", "b.mp4"))
    assert looked_through(queue, apply=True) == 1
    assert queue.restored == ["of a.mp4", "of b.mp4"][: 2 if fault else 1]
    told = capsys.readouterr().err
    assert told.startswith(f"not deleted: {type(fault or RuntimeError()).__name__}: ")
    assert "1 failed" in told


def test_a_record_without_its_event_is_kept():
    queue = Queue(message(RECORD | {"requestPayload": None}))
    assert looked_through(queue, apply=True) == 1
    assert (queue.deleted, queue.restored) == ([], ["of m0"])


@pytest.mark.parametrize("module", [dead_letters, missing, reprocess], ids=lambda module: module.__name__[18:])
def test_workers_submit_at_the_same_time(monkeypatch, module):
    together = threading.Barrier(2, timeout=30)  # broken if there is only one
    monkeypatch.setattr(Deployed, "submit", lambda self, event: together.wait())
    monkeypatch.setattr(missing.idempotency, "is_done", lambda *_: False)
    stack = Deployed(Bucket([version("a.mp4"), version("b.mp4")]), Queue(*letters("a.mp4", "b.mp4")))
    options = {"apply": True, "workers": 2}
    if module is dead_letters:
        status = dead_letters.run(stack, [], [], discard=False, **options)
    elif module is missing:
        status = missing.run(stack, OWN, versions.Selection(), versions.Bookmark(None, ""), limit=9, **options)
    else:
        status = reprocess.run(stack, OWN, reprocess.newest(stack, OWN, ""), "again", **options)
    assert status == 0


# ---------------------------------------------------------------- reprocess, and the command line


def test_keys_are_parsed_from_the_output_of_other_commands():
    lines = ["a b.mp4\n", "\n", "c.mp4\tv1\n", "d.mp4\tv2\tbucket\tRetriesExhausted\n"]
    assert list(reprocess.listed(lines)) == [("a b.mp4", "", ""), ("c.mp4", "v1", ""), ("d.mp4", "v2", "bucket")]


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "HeadObject")


class Objects:
    """A fake S3 for `reprocess`: keys by bucket. Version IDs begin with the name of their bucket."""

    def __init__(self, *places: tuple[str, str], fault: Exception | None = None) -> None:
        self.places, self.fault = places, fault  # of the bucket "closed"

    def head_object(self, Bucket: str, Key: str, VersionId: str = "") -> dict:  # noqa: N803  # boto3's names
        if self.fault and Bucket == "closed":
            raise self.fault
        if VersionId and not VersionId.startswith(Bucket):
            raise refused("400")
        if (Bucket, Key) not in self.places:
            raise refused("404")
        return {"ContentLength": 5, "ETag": '"e"', "LastModified": T0} | ({"VersionId": VersionId} if VersionId else {})


@pytest.mark.parametrize(
    ("asked", "found", "status"),
    [
        ("in/a.mp4", [("b", "in/a.mp4"), ("theirs", "in/a.mp4")], 0),
        ("in/a.mp4\t\ttheirs", [("theirs", "in/a.mp4")], 0),
        ("in/only.mp4", [("theirs", "in/only.mp4")], 0),
        ("in/a.mp4\ttheirs-1", [("theirs", "in/a.mp4")], 0),
        (" in/ a.mp4\n", [("b", " in/ a.mp4")], 0),
        ("out/a.mp4", [("b", "out/a.mp4")], 0),
        ("out/a.mp4\t\ttheirs", [], 1),  # the function may not read it
        ("in/none.mp4", [], 1),
        ("in/a.mp4\tnobodys-1", [], 1),
        ("in/a.mp4\t\tanother", [], 1),
        ("in/a.Mp4", [], 1),
    ],
)
def test_a_selected_video_is_searched_in_every_bucket_of_the_stack(asked, found, status, capsys):
    there = Objects(
        ("b", "in/a.mp4"),
        ("theirs", "in/a.mp4"),
        ("theirs", "in/only.mp4"),
        ("b", "out/a.mp4"),
        ("theirs", "out/a.mp4"),
        ("b", " in/ a.mp4"),
        ("b", "in/a.Mp4"),
    )
    stack = Deployed(there)
    assert reprocess.run(stack, BOTH, reprocess.listed([asked]), "again", apply=True, workers=1) == status
    submitted = [one for event in stack.submitted for one in uploads.parse(event)]
    assert [(one.bucket, one.key) for one in submitted] == found
    assert {(one.version_id, one.rerun) for one in submitted} <= {("null", "again"), ("theirs-1", "again")}
    told = capsys.readouterr().err
    assert (f"{' '.join(asked.split())}: " in told) is ("1 failed" in told) is bool(status), (
        "one reason for all buckets"
    )


@pytest.mark.parametrize("fault", [refused("403"), OFFLINE], ids=["forbidden", "offline"])
def test_an_error_of_a_bucket_does_not_mean_that_the_key_is_missing(fault):
    stack = Deployed(Objects(("b", "a.mp4"), fault=fault))
    work = reprocess.listed(["a.mp4"])
    assert reprocess.run(stack, [*OWN, Source("closed")], work, "again", apply=True, workers=1) == 1
    assert len(stack.submitted) == 1


def submitted(stack: Deployed) -> list[tuple[str, str, str]]:
    found = [upload for event in stack.submitted for upload in uploads.parse(event)]
    return [(upload.key, upload.version_id, upload.rerun) for upload in found]


@pytest.mark.parametrize(
    ("apply", "meant"), [(True, [("a.mp4", "v2", "again"), ("b.mp4", "v1", "again")]), (False, [])]
)
def test_the_newest_versions_get_new_results_under_the_name_of_the_run(capsys, apply, meant):
    stack = Deployed(Bucket([version("a.mp4", "v1", IsLatest=False), version("a.mp4", "v2"), version("b.mp4")]))
    status = reprocess.run(stack, OWN, reprocess.newest(stack, OWN, "in/"), "again", apply=apply, workers=1)
    assert (status, submitted(stack)) == (int(not apply), meant)
    assert stack.client("s3").asked == [{"Bucket": "b", "Prefix": "in/"}]
    nothing = "2 to be processed again. Nothing was submitted. Pass --yes to submit them.\n"
    assert capsys.readouterr() == ("a.mp4\tv2\tb\nb.mp4\tv1\tb\n", "2 submitted. Rerun again.\n" if apply else nothing)


def test_a_list_of_millions_is_processed_in_parts(monkeypatch):
    read: list[int] = []
    done: list[int] = []
    monkeypatch.setattr(reprocess, "CHUNK", 2)
    monkeypatch.setattr(Deployed, "submit", lambda self, event: done.append(len(read)))
    work = (read.append(n) or Upload("b", f"{n}.mp4", "v1", 7, "e1", "", "") for n in range(5))
    assert reprocess.run(Deployed(), OWN, work, "again", apply=True, workers=1) == 0
    assert (done[0], len(done)) == (2, 5)


def test_if_no_video_is_selected_something_is_wrong():
    assert reprocess.run(Deployed(), OWN, [], "again", apply=True, workers=1) == 1


@FAULTS
def test_a_failure_does_not_stop_the_other_videos(monkeypatch, capsys, fault):
    monkeypatch.setattr(Deployed, "fault", fault)
    stack = Deployed(Bucket([version("a.mp4"), version("b.mp4")]), refused=("a.mp4",))
    assert reprocess.run(stack, OWN, reprocess.newest(stack, OWN, ""), "again", apply=True, workers=1) == 1
    assert submitted(stack) == [("b.mp4", "v1", "again")]
    assert f"a.mp4: {type(fault).__name__}: {fault}\n" in capsys.readouterr().err


def test_keys_that_the_function_may_not_read_are_not_submitted(capsys):
    stack = Deployed(Bucket([]))
    work = [("a.txt", "", ""), Upload("b", "b.mp4", "v1", 7, "e1", "", "")]
    assert reprocess.run(stack, OWN, work, "again", apply=True, workers=1) == 1
    assert submitted(stack) == [("b.mp4", "v1", "again")]
    assert "a.txt: WrongUse" in capsys.readouterr().err


class Jobs:
    """A fake S3 and S3 Control for a batch job."""

    def __init__(self, *keys: str) -> None:
        self.bucket, self.manifests, self.jobs = Bucket([version(key) for key in keys], done=("done.mp4",)), [], []
        self.list_object_versions = self.bucket.list_object_versions

    def upload_file(self, name: str, bucket: str, key: str) -> None:
        assert bucket == "b", "the stack's, which the job's role can read"
        with open(name) as manifest:
            self.manifests.append((key, manifest.read()))

    def head_object(self, **asked) -> dict:
        assert asked["Bucket"] == "b"
        is_manifest = asked["Key"].endswith("manifest.csv")
        return {"VersionId": "m1", "ETag": '"m"'} if is_manifest else self.bucket.head_object(**asked)

    def create_job(self, **asked) -> dict:
        self.jobs.append(asked)
        return {"JobId": f"j{len(self.jobs)}"}


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("everything", [True, False])
def test_a_job_has_its_manifest_waits_without_yes_and_is_created_once(monkeypatch, capsys, apply, everything):
    s3, stack = Jobs("done.mp4", "a b.mp4"), Deployed()
    stack.clients = {"s3": s3, "s3control": s3}
    monkeypatch.setattr(Deployed, "output", lambda self, name: f"arn:aws:x:eu-west-1:1:{name}")
    options = {"apply": apply, "everything": everything, "workers": 1}
    assert batch_job.run(stack, OWN, versions.Selection(), "one", "again", **options) == int(not apply)
    lines = ["b,done.mp4,v1\n"] * everything + ["b,a%20b.mp4,v1\n"]
    assert s3.manifests == [("batch/one/manifest.csv", "".join(lines))]
    [job] = s3.jobs
    assert (job["ConfirmationRequired"], job["ClientRequestToken"]) == (not apply, "one")
    assert job["Operation"]["LambdaInvoke"]["UserArguments"] == {uploads.RERUN: "again"}
    assert job["Operation"]["LambdaInvoke"]["InvocationSchemaVersion"] == "2.0", "1.0 has no arguments"
    assert job["Manifest"]["Spec"]["Fields"] == ["Bucket", "Key", "VersionId"]
    location = {"ObjectArn": "arn:aws:x:eu-west-1:1:BucketArn/batch/one/manifest.csv", "ObjectVersionId": "m1"}
    assert job["Manifest"]["Location"] == location | {"ETag": "m"}
    assert job["Report"] == {
        "Enabled": True, "Bucket": "arn:aws:x:eu-west-1:1:BucketArn", "Prefix": "batch/one",
        "Format": "Report_CSV_20180820", "ReportScope": "FailedTasksOnly",
    }  # fmt: skip
    assert (job["AccountId"], job["Description"]) == ("1", "the-stack: one")
    assert job["RoleArn"] == "arn:aws:x:eu-west-1:1:BatchRoleArn"
    assert job["Operation"]["LambdaInvoke"]["FunctionArn"] == "arn:aws:x:eu-west-1:1:FunctionArn"
    told = capsys.readouterr()
    assert "--account-id 1 --job-id j1" in told.err
    assert told.err.startswith("2 in the manifest. " if everything else "1 with a result, 1 in the manifest. ")
    assert told.out == "j1\n"


@pytest.mark.parametrize("apply", [True, False])
def test_each_bucket_with_videos_has_a_separate_job(monkeypatch, capsys, apply):
    s3, stack = Jobs(), Deployed()
    listed = Buckets(b=[["done.mp4"], ["a.mp4"]], empty=[[]])
    listed.buckets["theirs"] = Bucket([version("in/b.mp4", "null"), version("in/c.mp4")])  # versioning came later
    monkeypatch.setattr(s3, "list_object_versions", listed.list_object_versions)
    stack.clients = {"s3": s3, "s3control": s3}
    monkeypatch.setattr(Deployed, "output", lambda self, name: f"arn:aws:x:eu-west-1:1:{name}")
    sources = [*OWN, Source("empty"), Source("theirs", "in/")]
    options = {"apply": apply, "everything": False, "workers": 1}
    assert batch_job.run(stack, sources, versions.Selection(), "one", "", **options) == int(not apply)
    told = capsys.readouterr()
    assert told.out == "j1\nj2\n"
    assert all(f"--job-id {job}" in told.err for job in ("j1", "j2"))
    assert ("--requested-job-status Ready" in told.err) is not apply
    assert s3.manifests == [
        ("batch/one/manifest.csv", "b,a.mp4,null\n"),
        ("batch/one-3/manifest.csv", "theirs,in/b.mp4,null\ntheirs,in/c.mp4,v1\n"),
    ]
    assert [job["ClientRequestToken"] for job in s3.jobs] == ["one", "one-3"], (
        "with the same one there is no second job"
    )
    assert [job["Report"]["Prefix"] for job in s3.jobs] == ["batch/one", "batch/one-3"]
    for job, third in zip(s3.jobs, ("Ignore", "VersionId"), strict=True):
        fields = ["Bucket", "Key", third]
        assert job["Manifest"]["Spec"] == {"Format": "S3BatchOperations_CSV_20180820", "Fields": fields}
        assert job["Operation"]["LambdaInvoke"]["UserArguments"] == {batch.UNVERSIONED: "yes"}


@pytest.mark.parametrize(
    ("arguments", "rerun"), [([], ""), (["--all"], "the name of the run"), (["--all", "--rerun", "again"], "again")]
)
def test_a_job_for_all_gets_new_results(run, monkeypatch, arguments, rerun):
    """Without a rerun name, those with a result would be duplicates."""
    given = []
    monkeypatch.setattr(replay, "named", lambda command: "the name of the run")
    monkeypatch.setattr(replay, "sources_of", lambda stack, given: OWN)
    monkeypatch.setattr(
        batch_job, "run", lambda stack, sources, chosen, name, again, **options: given.append(again) or 0
    )
    assert run("batch", *arguments) == 0
    assert given == [rerun]


@pytest.fixture
def far_away(monkeypatch):
    """In another time zone."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-01", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-07-01T10:00Z", T0),
        ("2026-07-01T12:00+02:00", T0),
        ("2026-07-01T10:00", T0),
        (None, None),
    ],
)
def test_dates_and_times_are_parsed(far_away, text, expected):
    assert replay.moment(text) == expected


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("36h", 36), ("7d", 168)])
def test_relative_times_are_parsed(text, hours):
    assert abs(datetime.now(UTC) - timedelta(hours=hours) - replay.moment(text)) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["yesterday", "7w", "", "-1d"])
def test_invalid_times_are_refused(text):
    with pytest.raises(WrongUse, match="is not a valid time"):
        replay.moment(text)


@pytest.fixture
def run(monkeypatch):
    """Only the command line: any call to AWS fails."""
    environ = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "x")
    environ |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), "/dev/null")
    for name, value in (environ | {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(replay.Stack, "output", lambda stack, name: pytest.fail(f"asked for {name}"))

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["replay.py", *arguments])
        try:
            return replay.main()
        except SystemExit as left:
            return left.code

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["dead-letters", "--no-such-option"],
        ["dead-letters", "--discard", "--yes"],
        ["missing", "--workers", "0"],
        ["missing", "--limit", "many"],
        ["missing", "--limit", "0"],
        ["missing", "--limit", "-1"],
        ["missing", "--since", "yesterday"],
        ["missing", "--profile", "no-such-profile"],
        ["reprocess"],
        ["reprocess", "--version", "v1"],
        ["reprocess", "--version", "v1", "--key", "a.mp4", "--key", "b.mp4"],
    ],
)
def test_wrong_use(run, arguments):
    assert run(*arguments) == 2


def test_a_missing_region_is_reported(run, monkeypatch, capsys):
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setattr(replay.Stack, "output", lambda stack, name: stack.client("cloudformation"))
    assert run("missing") == 2
    assert "region" in capsys.readouterr().err


def test_the_region_may_come_from_aws_region(run, monkeypatch):
    used = []
    monkeypatch.setattr(replay, "run_missing", lambda stack, given: used.append(stack.client("sqs").meta))
    run("missing", "--workers", "40")
    run("missing", "--region", "us-west-2")
    assert [meta.region_name for meta in used] == ["eu-west-1", "us-west-2"]
    assert used[0].config.max_pool_connections == 40, "workers do not wait for each other"
    assert used[0].config.retries["total_max_attempts"] > 5, "a large replay is throttled"


def test_an_infrastructure_failure_is_not_a_usage_error(run, stacked, capsys):
    assert run("reprocess", "--keys-from", "/no/such/file") == 1
    told = capsys.readouterr()
    assert (told.out, told.err.split(":")[:2]) == ("", ["replay", " FileNotFoundError"])


def test_an_interrupted_run_says_how_to_continue(run, monkeypatch, capsys):
    def interrupted(stack, given):
        raise KeyboardInterrupt

    monkeypatch.setattr(replay, "run_missing", interrupted)
    assert run("missing") == 1
    assert "Run the same command again to continue" in capsys.readouterr().err


@pytest.fixture
def stacked(monkeypatch):
    """The command line has a stack with two buckets."""
    monkeypatch.setattr(replay.Stack, "bucket", "b")
    monkeypatch.setattr(replay.Stack, "sources", BOTH)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 0),
        (["--yes", "--limit", "1", "--workers", "2"], 0),
        (["--stack", "another"], 2),
        (["--prefix", "in/"], 2),
        (["--since", "2026-07-02"], 2),
        (["--until", "2026-07-03"], 2),
        (["--bucket", "b"], 2),
    ],
    ids=str,
)
def test_a_run_is_continued_only_with_the_options_that_select_videos(
    run, stacked, monkeypatch, tmp_path, options, status
):
    limits = []
    state = ["--state", str(tmp_path / "state")]

    def first(stack, sources, chosen, bookmark, *, limit, **others):
        limits.append(limit)
        bookmark.write({})
        return 0

    monkeypatch.setattr(missing, "run", first)
    assert run("missing", *state, "--since", "2026-07-01", "--until", "2026-07-02") == 0
    monkeypatch.setattr(missing, "run", lambda stack, sources, chosen, bookmark, **others: len(bookmark.read()))
    assert run("missing", *state, "--since", "2026-07-01", "--until", "2026-07-02", *options) == status
    assert limits[0] >= 1 << 40, "without --limit, there is none"


WALKED = ["--prefix", "in/", "--since", "2026-07-01T10:00Z", "--until", "2026-07-02T10:00Z"]
SELECTED = versions.Selection("in/", T0, T0 + timedelta(days=1))


@pytest.mark.parametrize(
    ("arguments", "module", "selection", "passed"),
    [
        (["missing"], missing, versions.Selection(), {"apply": False, "workers": 16}),
        (["missing", "--yes", "--limit", "3", *WALKED], missing, SELECTED, {"apply": True, "limit": 3}),
        (["missing", "--bucket", "theirs"], missing, BOTH[1:], {}),
        (["batch"], batch_job, versions.Selection(), {"apply": False, "everything": False, "workers": 16}),
        (["batch", "--yes", "--all", *WALKED], batch_job, SELECTED, {"apply": True, "everything": True}),
        (["reprocess", "--key", "a.mp4"], reprocess, None, {"apply": False, "workers": 16}),
        (["reprocess", "--key", "a.mp4", "--yes", "--workers", "2"], reprocess, None, {"apply": True, "workers": 2}),
        (["reprocess", "--key", "a.mp4", "--rerun", "again"], reprocess, "again", {}),
        (["dead-letters"], dead_letters, None, {"apply": False, "discard": False}),
        (["dead-letters", "--yes"], dead_letters, None, {"apply": True, "discard": False}),
        (["dead-letters", "--discard", "--key", "a.mp4"], dead_letters, None, {"apply": False, "discard": True}),
        (["dead-letters", "--discard", "--reason", "x"], dead_letters, ["x"], {"discard": True}),
    ],
    ids=str,
)
def test_the_options_of_a_command_are_passed_on(run, stacked, monkeypatch, arguments, module, selection, passed):
    seen = []
    monkeypatch.setattr(module, "run", lambda stack, *given, **options: seen.append((given, options)) or 0)
    assert run(*arguments) == 0
    [(given, options)] = seen
    assert options.items() >= passed.items()
    assert selection is None or selection in given


def test_each_way_to_select_videos_is_passed_on(run, stacked, monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(reprocess, "newest", lambda stack, sources, prefix: [f"newest in {prefix!r}"])
    monkeypatch.setattr(reprocess, "run", lambda stack, sources, work, rerun, **options: given.append([*work]) or 0)
    (tmp_path / "keys").write_text("a\u2028\x0bb.mp4\tv1\nc.mp4\n", encoding="utf-8")
    assert run("reprocess", "--prefix", "") == 0
    assert run("reprocess", "--key", "a.mp4", "--version", "v1") == 0
    assert run("reprocess", "--key", "a.mp4", "--key", "b.mp4", "--prefix", "in/") == 0
    assert run("reprocess", "--keys-from", str(tmp_path / "keys")) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("d.mp4\n"))
    assert run("reprocess", "--keys-from", "-") == 0
    assert given == [
        ["newest in ''"],
        [("a.mp4", "v1", "")],
        [("a.mp4", "", ""), ("b.mp4", "", ""), "newest in 'in/'"],
        [("a\u2028\x0bb.mp4", "v1", ""), ("c.mp4", "", "")],
        [("d.mp4", "", "")],
    ]


def test_every_choice_of_dead_letters_is_passed_on(run, monkeypatch):
    given = []

    def keep(stack, *selected, workers, **options):
        given.append((stack.name, *selected, workers))
        return 0

    monkeypatch.setattr(dead_letters, "run", keep)
    assert run("dead-letters") == 0
    repeated = ["--key", "a.mp4", "--key", "b.mp4", "--reason", "x", "--reason", "y"]
    assert run("dead-letters", "--stack", "another", "--workers", "3", *repeated) == 0
    assert given == [("video-intake-dev", [], [], 16), ("another", ["a.mp4", "b.mp4"], ["x", "y"], 3)]


@pytest.mark.parametrize("command", ["dead-letters", "missing", "reprocess", "batch"])
def test_help(run, capsys, command):
    assert run("--help") == 0
    told = capsys.readouterr().out
    assert command in told
    assert "Exit status: 0" in told
    assert run(command, "--help") == 0
    assert "--yes" in capsys.readouterr().out


def test_two_runs_have_two_names():
    first, second = (replay.named("reprocess") for _ in range(2))
    assert first != second
    assert re.fullmatch(r"reprocess-\d{8}T\d{6}Z-[0-9a-f]{4}", first)


@given(st.lists(KEYS | st.sampled_from(FORGING), max_size=4))
def test_every_printed_key_is_one_line_and_can_be_parsed_again(found):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for key in found:
            Progress().found(key, "v1", "b")
    lines = out.getvalue().split("\n")[:-1]
    assert len(lines) == len(found)
    assert list(reprocess.listed(lines)) == [(key, "v1", "b") for key in found]
    assert all(messages.visible(part) == part for line in lines for part in line.split("\t"))


def test_a_failure_is_one_line_on_stderr(capsys):
    Progress().failed("a\n\x1b[31m.mp4", OSError("b\nc"))
    told, unsafe = capsys.readouterr(), "\N{REPLACEMENT CHARACTER}"
    assert (told.out, told.err) == ("", f"a{unsafe}{unsafe}[31m.mp4: OSError: b{unsafe}c\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stderr", "wiped", "seconds", "end"), [(Terminal, "\r\x1b[K", 0.2, ""), (io.StringIO, "", 10, "\n")]
)
def test_counts_are_shown_regularly(monkeypatch, stderr, wiped, seconds, end):
    now, err = [0.0], stderr()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("sys.stderr", err)
    shown = Progress()
    for _ in range(4):
        now[0] += seconds / 2
        shown.count("seen")
    shown.summary("That is all.")
    twice = [f"{wiped}{2 * n} seen after {n * seconds:.0f} s{end}" for n in (1, 2)]
    assert err.getvalue() == "".join(twice) + f"{wiped}4 seen. That is all.\n"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OF_LAMBDA = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("requestContext", "requestPayload", "responsePayload", "timestamp"), ANYTHING)
)


@given(OF_LAMBDA.map(json.dumps) | ANYTHING.map(json.dumps) | st.text())
def test_any_message_in_the_queue_can_be_parsed(body):
    message = {"MessageId": "m", "ReceiptHandle": "r", "Attributes": {"SentTimestamp": "1000"}, "Body": body}
    message |= {"MessageAttributes": {"ErrorCode": {"DataType": "Binary", "BinaryValue": b"x"}}}
    letter = dead_letters.parse(message)
    assert letter.sent == 1
    assert letter.work
    assert all(isinstance(text, str) for text in (letter.when, letter.condition, letter.error, letter.request_id))
