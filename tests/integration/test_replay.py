"""scripts/replay.py on a deployed stack, run like a user does."""

import csv
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree

import pytest

from scripts.stack import Stack, Uploaded, wait_for
from tests.support.outage import broken
from tools.videos import video
from video_intake.uploads import Upload, folder

RETRIES_SECONDS = 600  # Lambda tries again after one minute, and after two more; the local cloud at once
# A key that is cut, one that must be encoded, and one that a user put among our results.
KEYS = ("missing/" + "long" * 245 + ".mp4", "missing/Été 2026+07 (1) %2B 🎬.MP4", "results/missing/own.mov")


@pytest.fixture
def replay(replay) -> Callable[..., tuple[int, list[str], str]]:
    """As the fixture, but with only the first column of each line."""

    def run(*arguments: str, **more: str) -> tuple[int, list[str], str]:
        status, lines, told = replay(*arguments, **more)
        return status, [line.split("\t")[0] for line in lines], told

    return run


def result_key(intake: Stack, uploaded: Uploaded) -> str:
    upload = Upload(intake.bucket, uploaded.key, uploaded.version_id, 0, "", "", "")
    return folder(upload) + "result.json"


def result(intake: Stack, uploaded: Uploaded) -> bytes:
    return wait_for(f"the result of {uploaded.key}", lambda: intake.read(result_key(intake, uploaded)), RETRIES_SECONDS)


def times_written(intake: Stack, uploaded: Uploaded) -> int:
    """The number of results of a version, all of which S3 keeps."""
    answer = intake.client("s3").list_object_versions(Bucket=intake.bucket, Prefix=result_key(intake, uploaded))
    return len(answer.get("Versions", []))


def in_flight(intake: Stack) -> dict[str, int]:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = intake.outputs["FailedEventsQueueUrl"]
    answer = intake.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return {"waiting": int(answer[names[0]]), "hidden": int(answer[names[1]])}


def taken_for_a_duplicate(intake: Stack, key: str) -> bool:
    """Waits until the function logs a duplicate event for `key`."""

    def said() -> bool:
        lines = intake.client("logs").filter_log_events(
            logGroupName=intake.outputs["LogGroupName"], filterPattern='"Duplicate event"'
        )["events"]
        return any(json.loads(line["message"])["key"] == key for line in lines)

    return wait_for(f"that {key} is announced again", said, 120)


def test_after_an_outage_two_commands_process_everything_exactly_once(intake, replay):
    with broken(intake):
        first, second = (intake.upload(f"outage/{name}.mp4", video(seconds=0.2)) for name in ("first", "second"))
        wait_for("two dead letters", lambda: in_flight(intake)["waiting"] >= 2, RETRIES_SECONDS)
        assert intake.read(result_key(intake, first)) is None

    status, keys, told = replay("dead-letters")
    assert (status, sorted(keys)) == (1, [first.key, second.key])
    assert "Pass --yes" in told
    assert in_flight(intake) == {"waiting": 2, "hidden": 0}, "listed, and at once there for everybody again"

    status, keys, told = replay("dead-letters", "--key", first.key, "--reason", "IDEMPOTENCY", "--yes")
    assert (status, keys) == (1, [first.key]), "one remains"
    assert "1 submitted again" in told
    result(intake, first)

    status, keys, told = replay("missing", "--prefix", "outage/", "--yes")
    assert (status, keys) == (0, [second.key])
    result(intake, second)
    assert replay("dead-letters", "--yes")[:2] == (0, [second.key])
    assert replay("dead-letters")[:2] == (0, [])
    assert in_flight(intake) == {"waiting": 0, "hidden": 0}
    assert taken_for_a_duplicate(intake, second.key), "it was a dead letter of what `missing` had brought"
    assert times_written(intake, second) == 1


def test_with_the_function_stopped_a_replay_ends_and_works_later(intake, replay):
    """With processing stopped as in the runbook, every submitted event fails immediately."""
    client, function = intake.client("lambda"), {"FunctionName": intake.outputs["FunctionName"]}
    client.put_function_concurrency(**function, ReservedConcurrentExecutions=0)
    try:
        uploaded = [intake.upload(f"stopped/{name}.mp4", b"no video") for name in ("one", "two")]
        wait_for("two dead letters", lambda: in_flight(intake)["waiting"] >= 2, RETRIES_SECONDS)
        status, keys, _ = replay("dead-letters", "--yes")
        assert (status, sorted(keys)) == (1, ["stopped/one.mp4", "stopped/two.mp4"]), "each once"
        wait_for("both letters again", lambda: in_flight(intake) == {"waiting": 2, "hidden": 0}, RETRIES_SECONDS)
    finally:
        client.delete_function_concurrency(**function)
    assert replay("dead-letters", "--yes")[0] == 0
    for one in uploaded:
        assert json.loads(result(intake, one))["failure"]["reason"] == "not-a-video"


def test_events_that_lambda_refuses_stay_in_the_queue_and_can_be_discarded(intake, replay):
    described = {"key": "poison.mp4", "versionId": "none", "size": 1, "eTag": "e", "sequencer": "0"}
    s3 = {"bucket": {"name": intake.bucket}, "object": described}
    poison = json.dumps(
        {"Records": [{"eventName": "ObjectCreated:Put", "eventTime": "2026-07-01T10:00:00.000Z", "s3": s3}, {}]}
    ).encode()
    intake.client("lambda").invoke(FunctionName=intake.outputs["FunctionName"], InvocationType="Event", Payload=poison)
    wait_for("a dead letter", lambda: in_flight(intake)["waiting"] > 0, RETRIES_SECONDS)
    try:
        with answering(403, b'{"Message": "not today"}') as refusing:
            status, _, told = replay("dead-letters", "--yes", AWS_ENDPOINT_URL_LAMBDA=refusing.url)
        assert (status, in_flight(intake)) == (1, {"waiting": 1, "hidden": 0})
        assert "1 failed" in told
        assert "not today" in told
        assert replay("dead-letters", "--discard", "--yes")[0] == 2, "everything at once would be too easy"
    finally:
        status, keys, _ = replay("dead-letters", "--discard", "--yes", "--key", "poison.mp4")
    assert (status, keys, in_flight(intake)["waiting"]) == (0, ["poison.mp4"], 0)


def test_versions_without_a_result_are_found_and_processed(intake, replay, tmp_path):
    uploaded = [intake.upload(key, video(seconds=0.2)) for key in KEYS]
    for one in uploaded:
        result(intake, one)
    for prefix in ("missing/", "results/missing/"):
        assert replay("missing", "--prefix", prefix)[:2] == (0, [])
    for one in uploaded:
        intake.client("s3").delete_object(Bucket=intake.bucket, Key=result_key(intake, one))

    status, keys, told = replay("missing", "--prefix", "missing/", "--since", "1d")
    assert (status, sorted(keys)) == (1, sorted(KEYS[:2]))
    assert "2 missing" in told
    assert replay("missing", "--prefix", "missing/", "--until", "1d")[:2] == (0, [])
    assert replay("missing", "--prefix", "results/missing/")[:2] == (1, [KEYS[2]])
    assert [intake.read(result_key(intake, one)) for one in uploaded] == [None] * 3, "looking changes nothing"

    state = str(tmp_path / "state")
    status, keys, told = replay("missing", "--prefix", "missing/", "--yes", "--limit", "1", "--state", state)
    assert (status, len(keys), "1 left" in told) == (1, 1, True)
    wait_for("the first", lambda: [intake.read(result_key(intake, one)) for one in uploaded[:2]].count(None) == 1)
    status, keys, told = replay("missing", "--prefix", "missing/", "--yes", "--state", state)
    assert (status, len(keys), "1 with a result" in told) == (0, 1, True)
    assert replay("missing", "--prefix", "results/missing/", "--yes")[:2] == (0, [KEYS[2]])
    for one in uploaded:
        result(intake, one)
    for prefix in ("missing/", "results/missing/"):
        assert replay("missing", "--prefix", prefix)[:2] == (0, [])


def test_selected_videos_get_new_results(intake, replay):
    old, new = (intake.upload("again/one video.mp4", video(seconds=0.2)) for _ in range(2))
    other = intake.upload("again/other.mp4", video(seconds=0.2))
    for one in (old, new, other):
        result(intake, one)

    def written() -> list[int]:
        return [times_written(intake, one) for one in (old, new, other)]

    status, keys, told = replay("reprocess", "--key", new.key)
    assert (status, keys, written()) == (1, [new.key], [1, 1, 1])
    assert "Pass --yes" in told

    status, keys, told = replay("reprocess", "--key", new.key, "--yes")
    assert (status, keys) == (0, [new.key])
    wait_for("a second result of the newest", lambda: written() == [1, 2, 1])
    rerun = re.search(r"Rerun (\S+)\.", told)[1]

    assert replay("reprocess", "--prefix", "again/", "--rerun", rerun, "--yes")[:2] == (0, [new.key, other.key])
    wait_for("the other one", lambda: written() == [1, 2, 2])
    assert taken_for_a_duplicate(intake, new.key), "that attempt has been"

    assert replay("reprocess", "--key", old.key, "--version", old.version_id, "--yes")[0] == 0
    wait_for("a second result of the old one", lambda: written() == [2, 2, 2])

    lines = f"{old.key}\t{old.version_id}\n{other.key}\nagain/no such.mp4\nagain/notes.txt\n"
    status, keys, told = replay("reprocess", "--keys-from", "-", "--yes", stdin=lines)
    assert (status, keys) == (1, [old.key, other.key]), "two cannot be"
    assert "2 submitted" in told
    assert "2 failed" in told
    wait_for("those of the list", lambda: written() == [3, 2, 3])


def test_a_missing_stack_is_a_usage_error(intake, replay):
    status, lines, told = replay("missing", "--stack", "video-intake-no-such")
    assert (status, lines) == (2, [])
    assert "There is no stack video-intake-no-such" in told


# ---------------------------------------------------------------- S3 Batch Operations


class Answering(ThreadingHTTPServer):
    """An HTTP endpoint that records requests and always returns the same response."""

    status: int
    body: bytes
    asked: list[tuple[str, bytes]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[Answering]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.asked.append((self.path, asked))
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(self.server.body)))
            self.end_headers()
            self.wfile.write(self.server.body)

        def log_message(self, *_) -> None:
            pass

    with Answering(("127.0.0.1", 0), Handler) as server:
        server.status, server.body, server.asked = status, body, []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


def texts(document: bytes) -> dict[str, str]:
    """The leaves of an XML document by name."""
    return {leaf.tag.rpartition("}")[2]: leaf.text for leaf in ElementTree.fromstring(document).iter() if not len(leaf)}


def invoked(intake: Stack, schema: str, rows: list[list[str]], **job) -> list[dict[str, str]]:
    """Invokes the function like S3 Batch Operations, with the lines of a manifest."""
    place = {"1.0": lambda bucket: {"s3BucketArn": f"arn:aws:s3:::{bucket}"}, "2.0": lambda name: {"s3Bucket": name}}
    answers = []
    for number, (bucket, key, version_id) in enumerate(rows):
        task = {"taskId": str(number), "s3Key": key, "s3VersionId": version_id} | place[schema](bucket)
        event = {"invocationSchemaVersion": schema, "invocationId": "i", "job": {"id": "j"} | job, "tasks": [task]}
        answer = intake.client("lambda").invoke(
            FunctionName=intake.outputs["FunctionName"], Payload=json.dumps(event).encode()
        )
        assert "FunctionError" not in answer
        told = json.loads(answer["Payload"].read())
        assert (told["invocationSchemaVersion"], told["invocationId"]) == (schema, "i")
        answers += told["results"]
    return answers


@pytest.fixture(scope="module")
def backlog(intake) -> list[Uploaded]:
    """Three versions: a video, an empty file, and one that is deleted in the meantime."""
    uploaded = [
        intake.upload("backlog/Été 2026+07.mp4", video(seconds=0.2)),
        intake.upload("backlog/empty.mov", b""),
        intake.upload("backlog/gone.avi", b"soon"),
    ]
    for one in uploaded:
        result(intake, one)
    return uploaded


def test_a_backlog_is_processed_by_a_batch_job(intake, cloud, replay, backlog):
    """moto has no CreateJob: a proxy receives the request, and the function is invoked like S3 does."""
    if cloud is None:
        pytest.skip("a real job costs a quarter of a dollar: make one by hand")
    created = b"<CreateJobResult><JobId>job-1</JobId></CreateJobResult>"
    with answering(200, created) as s3control:
        status, lines, told = replay(
            "batch", "--prefix", "backlog/", "--all",
            AWS_ENDPOINT_URL_S3_CONTROL="http://s3control.example", HTTP_PROXY=s3control.url, NO_PROXY="127.0.0.1",
        )  # fmt: skip
    assert (status, lines) == (1, ["job-1"]), "it waits for its confirmation"
    assert "--job-id job-1 --requested-job-status Ready" in told
    [(path, request)] = s3control.asked
    assert path.endswith("/v20180820/jobs")
    asked = texts(request)
    assert asked["ConfirmationRequired"] == "true"
    assert (asked["RoleArn"], asked["FunctionArn"]) == (intake.outputs["BatchRoleArn"], intake.outputs["FunctionArn"])
    assert (asked["InvocationSchemaVersion"], asked["key"]) == ("2.0", "videoIntakeAttempt")

    where = asked["ObjectArn"].removeprefix(f"arn:aws:s3:::{intake.bucket}/")
    stored = intake.client("s3").head_object(Bucket=intake.bucket, Key=where)
    assert where.startswith("batch/")
    assert (asked["ETag"], asked["ObjectVersionId"]) == (stored["ETag"].strip('"'), stored["VersionId"])
    rows = list(csv.reader(io.StringIO(intake.read(where).decode())))
    assert {row[2] for row in rows} == {one.version_id for one in backlog}

    gone = backlog[2]
    intake.client("s3").delete_object(Bucket=intake.bucket, Key=gone.key, VersionId=gone.version_id)
    arguments = {"userArguments": {asked["key"]: asked["value"]}}
    for _ in range(2):  # what it is asked again it answers again, without doing it again
        answers = invoked(intake, "2.0", rows, **arguments)
        names = [key.rpartition("/")[2] for _, key, _ in rows]
        ends = {name: (end["resultCode"], end["resultString"]) for name, end in zip(names, answers, strict=True)}
        assert ends == {
            "%C3%89t%C3%A9%202026%2B07.mp4": ("Succeeded", "success"),
            "empty.mov": ("Succeeded", "failure empty"),
            "gone.avi": ("Succeeded", "gone"),
        }
    assert [times_written(intake, one) for one in backlog] == [2, 2, 1]


def test_the_older_schema_and_permanent_failures(intake, backlog):
    good, empty, _ = backlog
    rows = [
        [intake.bucket, "backlog/%C3%89t%C3%A9+2026%2B07.mp4", good.version_id],
        [intake.bucket, empty.key, None],
        [intake.bucket, "backlog/notes.txt", "v1"],
    ]
    ends = [(end["resultCode"], end["resultString"][:20]) for end in invoked(intake, "1.0", rows)]
    assert ends == [
        ("Succeeded", "success"),
        ("PermanentFailure", "The manifest has no "),
        ("PermanentFailure", "The key does not end"),
    ]


def test_an_infrastructure_failure_is_a_temporary_failure(intake, backlog):
    with broken(intake):
        [end] = invoked(intake, "2.0", [[intake.bucket, backlog[1].key, backlog[1].version_id]])
    assert end["resultCode"] == "TemporaryFailure"
    assert "IdempotencyPersistenceLayerError" in end["resultString"]


# ---------------------------------------------------------------- A bucket that existed before the stack


@pytest.fixture
def years(request, intake, theirs, cloud) -> list[Uploaded]:
    """Two objects in a separate folder, from before it sent its events to EventBridge."""
    if cloud is None:
        pytest.skip("notifications of a live bucket are not changed")
    s3 = intake.client("s3")
    before = s3.get_bucket_notification_configuration(Bucket=theirs.bucket)
    s3.put_bucket_notification_configuration(Bucket=theirs.bucket, NotificationConfiguration={})
    try:
        return [intake.upload(f"{theirs.prefix}{request.node.name}/{name}", content, bucket=theirs.bucket)
                for name, content in (("a b+c.mp4", video(seconds=0.2)), ("empty.MOV", b""))]  # fmt: skip
    finally:
        bridge = {"EventBridgeConfiguration": before["EventBridgeConfiguration"]}
        s3.put_bucket_notification_configuration(Bucket=theirs.bucket, NotificationConfiguration=bridge)


def folder_of(uploaded: Uploaded) -> str:
    return uploaded.key.rpartition("/")[0] + "/"


def test_a_backlog_of_a_bucket_without_versions_becomes_a_separate_job(intake, theirs, replay, years):
    created = b"<CreateJobResult><JobId>job-1</JobId></CreateJobResult>"
    with answering(200, created) as s3control:
        status, lines, _ = replay(
            "batch", "--prefix", folder_of(years[0]), "--yes",
            AWS_ENDPOINT_URL_S3_CONTROL="http://s3control.example", HTTP_PROXY=s3control.url, NO_PROXY="127.0.0.1",
        )  # fmt: skip
    assert (status, lines) == (0, ["job-1"])
    [(_, request)] = s3control.asked
    fields = [each.text for each in ElementTree.fromstring(request).iter() if each.tag.endswith("}member")]
    assert fields == ["Bucket", "Key", "Ignore"], "S3 wants no version where there are none"
    asked = texts(request)
    where = asked["ObjectArn"].removeprefix(f"arn:aws:s3:::{intake.bucket}/")
    rows = [[bucket, key, None] for bucket, key, _ in csv.reader(io.StringIO(intake.read(where).decode()))]
    assert [row[0] for row in rows] == [theirs.bucket] * 2
    answers = invoked(intake, "2.0", rows, userArguments={asked["key"]: asked["value"]})
    assert [end["resultString"] for end in answers] == ["success", "failure empty"]
    assert intake.outcome(years[0])["source"]["bucket"] == theirs.bucket


def test_missing_finds_and_submits_earlier_videos_in_that_bucket(intake, theirs, replay, years):
    there = ["missing", "--prefix", folder_of(years[0])]
    assert replay(*there, "--bucket", intake.bucket)[:2] == (0, [])
    assert replay(*there)[:2] == (1, [one.key for one in years])
    status, keys, _ = replay(*there, "--bucket", theirs.bucket, "--yes")
    assert (status, keys) == (0, [one.key for one in years])
    assert [intake.outcome(one)["status"] for one in years] == ["success", "failure"]
    assert replay(*there)[:2] == (0, [])
    intake.client("s3").delete_object(Bucket=intake.bucket, Key=years[0].folder + "result.json")
    assert replay(*there, "--yes")[:2] == (0, [years[0].key]), "although its record is complete"
    assert intake.outcome(years[0])["status"] == "success"


def test_a_selected_video_in_that_bucket_gets_a_new_result(intake, theirs, replay, years):
    [good, _] = years
    assert replay("missing", "--prefix", good.key, "--yes")[:2] == (0, [good.key])
    intake.outcome(good)
    intake.client("s3").delete_object(Bucket=intake.bucket, Key=good.folder + "result.json")
    assert replay("reprocess", "--key", good.key, "--yes")[:2] == (0, [good.key])
    assert intake.outcome(good)["status"] == "success"


def test_a_bucket_that_the_stack_does_not_process_is_refused(intake, theirs, replay):
    status, lines, told = replay("missing", "--bucket", "another")
    assert (status, lines) == (2, [])
    assert f"processes uploads to {intake.bucket} and {theirs.bucket}, not to another" in told


def test_without_a_backlog_there_is_no_job(replay):
    status, lines, told = replay("batch", "--prefix", "there/is/nothing")
    assert (status, lines) == (0, [])
    assert "No job was created" in told
