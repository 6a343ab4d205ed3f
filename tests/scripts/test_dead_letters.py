"""`replay.py dead-letters` on a fake queue."""

import itertools
import json
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.replaying import dead_letters, missing, reprocess, versions
from tests.support.replayed import FAULTS, OFFLINE, OWN, THROTTLED, Bucket, Deployed, version
from video_intake import uploads
from video_intake.uploads import Upload

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
