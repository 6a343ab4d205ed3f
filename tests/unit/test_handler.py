"""The function's code in this process, on moto's services."""

import contextlib
import gc
import hashlib
import importlib
import io
import itertools
import json
import time
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import quote

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from cryptography.hazmat.primitives.asymmetric import rsa
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import Subscription

from tests.support.function import BUCKET, CONTEXT, ENVIRON, REGION, TABLE, TOPIC_ARN, account, cold_start
from tools.videos import video
from video_intake import decoder, idempotency, messages, publisher, worker_process
from video_intake.media.limits import Limits
from video_intake.media.range_reader import SMALL_FILE
from video_intake.uploads import Upload, parse

SEQUENCE = itertools.count(1)
BROKEN = b"no video, whatever its name says"


@pytest.fixture(scope="module")
def workers():
    """Decoder processes that are ready, because starting one takes longer than most of these tests."""
    ready: list[worker_process.WorkerProcess] = []
    yield ready
    for each in ready:
        each.end()


@pytest.fixture(scope="module")
def signing_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def world(monkeypatch, workers, signing_key):
    """A bucket, a table, a topic with a queue, and the handler after a cold start."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    start = decoder.WorkerProcess
    monkeypatch.setattr(decoder, "WorkerProcess", lambda command: workers.pop() if workers else start(command))
    # moto signs messages to queues with a new key for each subscription
    monkeypatch.setattr(Subscription, "private_key", lambda _: signing_key)
    with account():
        s3, sns, sqs = boto3.client("s3"), boto3.client("sns"), boto3.client("sqs")
        inbox = sqs.create_queue(QueueName="inbox")["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{DEFAULT_ACCOUNT_ID}:inbox"
        sns.subscribe(TopicArn=TOPIC_ARN, Protocol="sqs", Endpoint=arn)
        handler = cold_start()

        def received() -> list[dict]:
            answer = sqs.receive_message(QueueUrl=inbox, MaxNumberOfMessages=10)
            return [json.loads(one["Body"]) for one in answer.get("Messages", [])]

        def heard() -> list[str]:
            return [json.loads(one["Message"])["source"]["key"] for one in received()]

        yield SimpleNamespace(
            s3=s3,
            sns=sns,
            module=handler,
            handler=lambda event: handler.handler(event, CONTEXT),
            received=received,
            heard=heard,
        )
        if (worker := handler.decoder._worker) and worker.usable:
            workers.append(worker)


def uploaded(world, key: str, content: bytes = BROKEN) -> dict:
    """The record of its event."""
    version = world.s3.put_object(Bucket=BUCKET, Key=key, Body=content).get("VersionId", "null")
    etag = hashlib.md5(content).hexdigest()
    return {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-07-01T10:00:00.000Z",
        "s3": {
            "bucket": {"name": BUCKET},
            "object": {
                "key": key,
                "versionId": version,
                "size": len(content),
                "eTag": etag,
                "sequencer": f"{next(SEQUENCE):016X}",
            },
        },
    }


def test_each_record_of_an_event_has_its_outcome(world):
    outcomes = world.handler({"Records": [uploaded(world, "a.mp4"), uploaded(world, "b.mp4")]})
    assert [(one["key"], one["reason"]) for one in outcomes] == [("a.mp4", "not-a-video"), ("b.mp4", "not-a-video")]
    assert sorted(world.heard()) == ["a.mp4", "b.mp4"]


def logged(world, event, happens=None) -> list[dict]:
    """The function's log lines about an event, by default one that the handler gets."""
    logger, lines = world.module.logger, io.StringIO()
    before = logger.registered_handler.setStream(lines)
    logger.setLevel("INFO")
    try:
        with contextlib.suppress(ClientError, ValueError):
            (happens or world.handler)(event)
    finally:
        logger.setLevel("CRITICAL")
        logger.registered_handler.setStream(before)
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_every_line_about_a_version_names_it(world):
    record, elsewhere = uploaded(world, "a.mp4"), uploaded(world, "b.mp4")
    elsewhere["s3"]["bucket"]["name"] = "not-ours"
    version = {"key": "a.mp4", "bucket": BUCKET, "versionId": record["s3"]["object"]["versionId"]}
    [processed] = logged(world, {"Records": [record]})
    assert processed["message"] == "Processed"
    assert processed.items() >= (version | {"status": "failure", "reason": "not-a-video", "size": len(BROKEN)}).items()
    assert processed.keys() >= {"durationMs", "requests", "roundTrips", "bytesRead", "threads", "peakMemoryMB"}
    [duplicate] = logged(world, {"Records": [record]})
    assert duplicate["message"].startswith("Duplicate event")
    assert duplicate.items() >= version.items()
    world.s3.delete_object(Bucket=BUCKET, Key="a.mp4", VersionId=version["versionId"])
    record["videoIntakeAttempt"] = "again"
    [gone] = logged(world, {"Records": [record]})
    assert gone["message"].startswith("Deleted before")
    assert gone["reason"] == "NoSuchVersion"
    assert gone.items() >= version.items()
    [failed] = logged(world, {"Records": [elsewhere]})
    assert failed["level"] == "ERROR"
    assert failed["exception_name"] == "NoSuchBucket"
    assert failed.items() >= {"key": "b.mp4", "bucket": "not-ours"}.items()


def test_a_lost_decoder_is_an_error_in_the_log(world):
    """The verdict does not show how, and the dashboard shows lines of this level."""
    [line] = logged(world, "how it was lost", happens=world.module.decoder.on_fault)
    assert (line["level"], line["detail"]) == ("ERROR", "how it was lost")


def test_metrics_are_written_with_each_outcome(world, capsys):
    record = uploaded(world, "a.mp4")
    for names in ({"VideosProcessed", "SuccessfulProcessing", "ProcessingDuration"}, {"DuplicateEvents"}):
        capsys.readouterr()
        world.handler({"Records": [record]})
        [metrics] = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]
        [directive] = metrics["_aws"]["CloudWatchMetrics"]
        assert {metric["Name"] for metric in directive["Metrics"]} == names
        assert directive["Dimensions"] == [["environment", "service"]]


def metrics_of(world, capsys, event: dict) -> dict:
    """The metrics of an event: values, metadata, and dimensions."""
    capsys.readouterr()
    world.handler(event)
    [metrics] = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]
    [directive] = metrics["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "VideoIntake"
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units == {name: "Milliseconds" if name.endswith("Duration") else "Count" for name in units}
    return metrics


@pytest.mark.parametrize(
    ("key", "content", "successes"),
    [("a.mp4", BROKEN, [0]), ("a.mp4", video(seconds=0.2), [1]), ("a.mov", video(seconds=0.2), [1])],
    ids=["bad", "good", "with a warning"],
)
def test_metrics_have_the_values_of_the_outcome(world, capsys, key, content, successes):
    record = uploaded(world, key, content)
    metrics = metrics_of(world, capsys, {"Records": [record]})
    assert (metrics["VideosProcessed"], metrics["SuccessfulProcessing"]) == ([1], successes)
    result = json.load(
        world.s3.get_object(Bucket=BUCKET, Key=world.handler({"Records": [record]})[0]["resultKey"])["Body"]
    )
    assert metrics["ProcessingDuration"] == [result["inspection"]["durationMs"]]
    assert (metrics["environment"], metrics["service"]) == ("test", "video-intake")
    version = record["s3"]["object"]["versionId"]
    assert metrics.items() >= {"bucket": BUCKET, "key": key, "versionId": version}.items()
    assert metrics["function_request_id"] == CONTEXT.aws_request_id
    assert metrics_of(world, capsys, {"Records": [record]})["DuplicateEvents"] == [1]


@pytest.mark.parametrize("content", [BROKEN, video(seconds=0.2)], ids=["bad", "good"])
def test_a_message_is_what_mail_programs_and_subscriptions_need(world, content):
    world.handler({"Records": [uploaded(world, "a.mp4", content)]})
    [message] = world.received()
    result = json.loads(message["Message"])
    assert message["Subject"] == messages.subject(result)
    attributes = {name: (each["Type"], each["Value"]) for name, each in message["MessageAttributes"].items()}
    assert attributes == {
        "status": ("String", result["status"]),
        "environment": ("String", "test"),
        **({"reason": ("String", result["failure"]["reason"])} if "failure" in result else {}),
    }


@pytest.mark.parametrize(("left", "given"), [(300, 30), (20, 5), (45, 30), (44, 29)])
def test_an_inspection_leaves_time_to_publish_its_outcome(world, monkeypatch, left, given):
    seen = []
    judge = world.module.judge
    monkeypatch.setattr(world.module, "judge", lambda *args: (seen.append(args[4]), judge(*args))[1])
    context = SimpleNamespace(**vars(CONTEXT) | {"get_remaining_time_in_millis": lambda: left * 1000})
    world.module.handler({"Records": [uploaded(world, "a.mp4")]}, context)
    assert seen == [given]


@pytest.mark.parametrize("storyboard", ["enabled", "disabled"])
def test_limits_are_those_of_the_environment(world, monkeypatch, storyboard):
    given = {"MAX_FRAME_PIXELS": "123", "MAX_BYTES_READ": "456", "POSTER_MAX_EDGE": "789", "STORYBOARD": storyboard}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    used = importlib.reload(world.module).limits
    assert used == Limits(max_pixels=123, max_bytes=456, poster_edge=789, storyboard=storyboard == "enabled")


def test_the_given_limits_are_those_of_an_inspection(world, monkeypatch):
    monkeypatch.setattr(world.module, "limits", replace(world.module.limits, poster_edge=64))
    [outcome] = world.handler({"Records": [uploaded(world, "a.mp4", video(seconds=0.2))]})
    assert kept(world, outcome)["poster"]["width"] == 64


def test_the_decoder_starts_before_the_first_event(world):
    assert world.module.decoder.process_id


def test_what_is_imported_is_never_searched_for_garbage(world, monkeypatch):
    enabled = []
    monkeypatch.setattr(gc, "freeze", lambda: enabled.append(gc.isenabled()))
    importlib.reload(world.module)
    assert enabled == [False]
    assert gc.isenabled(), "from then on"


def test_no_client_waits_long_or_for_a_free_connection(world, monkeypatch):
    made = []
    make = boto3.client
    monkeypatch.setattr(boto3, "client", lambda *args, **named: made.append(make(*args, **named)) or made[-1])
    importlib.reload(world.module)
    assert {client.meta.service_model.service_name for client in made} == {"s3", "sns", "dynamodb"}
    for config in (client.meta.config for client in made):
        assert config.retries["total_max_attempts"] > 1
        assert config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout) < 60
        assert config.max_pool_connections >= decoder.CONNECTIONS + worker_process.LANES


def test_no_checksum_is_computed_or_requested(world):
    """S3's of a whole object cannot check a range, and TLS protects what is written."""
    sent: dict[str, set[str]] = {}
    world.module.s3.meta.events.register(
        "request-created.s3", lambda request, operation_name, **_: sent.update({operation_name: set(request.headers)})
    )
    world.handler({"Records": [uploaded(world, "a.mp4", video(seconds=0.2))]})
    assert {"GetObject", "PutObject", "PutObjectTagging"} <= sent.keys()
    for operation in ("GetObject", "PutObject"):  # tags must have one
        assert not [name for name in sent[operation] if "checksum" in name.lower() or "trailer" in name.lower()]


def test_a_malformed_record_is_logged_with_its_reason(world):
    [line] = logged(world, {"Records": [{"eventName": "ObjectRemoved:Delete"}]})
    assert (line["level"], line["message"]) == ("ERROR", "Not processed; it will be retried")
    assert line["reason"].endswith("its eventName is ObjectRemoved:Delete.")


def test_the_failure_of_one_record_is_raised_and_does_not_stop_the_others(world):
    elsewhere = uploaded(world, "a.mp4")
    elsewhere["s3"]["bucket"]["name"] = "not-ours"
    with pytest.raises(ClientError, match="NoSuchBucket"):
        world.handler({"Records": [elsewhere, uploaded(world, "b.mp4")]})
    assert world.heard() == ["b.mp4"]


def test_the_failures_of_several_records_are_raised_together(world):
    records = [uploaded(world, "a.mp4"), uploaded(world, "b.mp4"), uploaded(world, "c.mp4")]
    for record in records[:2]:
        record["s3"]["bucket"]["name"] = "not-ours"
    with pytest.RaisesGroup(ClientError, ClientError):
        world.handler({"Records": records})
    assert world.heard() == ["c.mp4"]


def test_a_malformed_record_is_raised_and_does_not_stop_the_others(world):
    malformed = uploaded(world, "a.mp4")
    del malformed["s3"]["object"]["eTag"]
    records = [uploaded(world, "b.mp4"), malformed, uploaded(world, "c.mp4")]
    with pytest.raises(ValueError, match=r"^Record 2 of 3 is not an upload: .+\.$"):
        world.handler({"Records": records})
    assert sorted(world.heard()) == ["b.mp4", "c.mp4"]


def test_a_batch_operations_task_gets_a_response_in_its_schema(world):
    [there, gone] = [uploaded(world, key)["s3"]["object"] for key in ("a b.mp4", "gone.mp4")]
    world.s3.delete_object(Bucket=BUCKET, Key=gone["key"], VersionId=gone["versionId"])
    tasks = [
        {
            "taskId": name,
            "s3Key": quote(described["key"]),
            "s3VersionId": described["versionId"],
            "s3BucketArn": f"arn:aws:s3:::{BUCKET}",
        }
        for name, described in (("one", there), ("two", gone))
    ]
    answer = world.handler({"invocationSchemaVersion": "1.0", "invocationId": "i", "job": {"id": "j"}, "tasks": tasks})
    assert {one["taskId"]: one["resultCode"] for one in answer["results"]} == {"one": "Succeeded", "two": "Succeeded"}
    assert world.heard() == ["a b.mp4"]


def test_a_version_is_done_when_it_has_its_outcome_and_not_before(world):
    event = {"Records": [uploaded(world, "a.mp4")]}
    [upload] = parse(event)
    dynamodb = boto3.client("dynamodb")
    assert not idempotency.is_done(TABLE, dynamodb, upload)
    world.handler(event)
    assert idempotency.is_done(TABLE, dynamodb, upload)
    assert world.handler(event)[0]["key"] == "a.mp4"
    assert len(world.heard()) == 1, "a duplicate returns the outcome without a message"


def test_a_locked_version_is_not_done_and_its_lock_expires_before_a_retry(world):
    event = {"Records": [uploaded(world, "a.mp4")]}
    [upload] = parse(event)
    dynamodb = boto3.client("dynamodb")
    locked = []

    def look(upload: Upload) -> dict:
        assert not idempotency.is_done(TABLE, dynamodb, upload)
        locked.extend(dynamodb.scan(TableName=TABLE)["Items"])
        return {}

    began = time.time()
    idempotency.once(look, TABLE, world.module.CLIENT, lambda: None)(upload=upload)
    assert idempotency.is_done(TABLE, dynamodb, upload)
    took = time.time() - began
    lock = float(locked[0]["in_progress_expiration"]["N"]) / 1000 - began
    assert idempotency.LOCK_SECONDS - 0.01 <= lock <= idempotency.LOCK_SECONDS + took
    [record] = dynamodb.scan(TableName=TABLE)["Items"]
    kept = int(record["expiration"]["N"]) - began
    assert idempotency.REMEMBERED_SECONDS - 1 <= kept <= idempotency.REMEMBERED_SECONDS + took + 1


@pytest.mark.parametrize("content", [BROKEN, b""])
def test_a_version_deleted_before_processing_has_no_outcome(world, content):
    record = uploaded(world, "a.mp4", content)
    described = record["s3"]["object"]
    world.s3.delete_object(Bucket=BUCKET, Key="a.mp4", VersionId=described["versionId"])
    assert world.handler({"Records": [record]}) == [{"key": "a.mp4", "status": "gone"}]
    assert world.heard() == []


@pytest.mark.parametrize("content", [BROKEN, b""])
def test_nosuchkey_is_a_failure_and_the_retry_has_the_outcome(world, monkeypatch, content):
    """S3 may return this for an existing object in the first minutes after versioning was enabled."""
    record = uploaded(world, "a.mp4", content)
    with monkeypatch.context() as young:
        young.setattr(world.module.s3, "get_object", not_yet)
        with pytest.raises(ClientError, match="NoSuchKey"):
            world.handler({"Records": [record]})
    assert world.heard() == []
    assert world.handler({"Records": [record]})[0]["status"] == "failure"
    assert world.heard() == ["a.mp4"]


def not_yet(**_):
    raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")


# ---------------------------------------------------------------- A bucket whose versioning is suspended


@pytest.fixture
def suspended(world):
    world.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    return world


def test_without_versioning_each_content_of_a_key_has_an_outcome(suspended):
    outcomes = [suspended.handler({"Records": [uploaded(suspended, "a.mp4", content)]})[0] for content in (BROKEN, b"")]
    assert [outcome["reason"] for outcome in outcomes] == ["not-a-video", "empty"]
    assert len({outcome["resultKey"] for outcome in outcomes}) == 2
    for outcome in outcomes:
        kept = json.load(suspended.s3.get_object(Bucket=BUCKET, Key=outcome["resultKey"])["Body"])
        assert kept["failure"]["reason"] == outcome["reason"]
    assert len(suspended.heard()) == 2


def test_without_versions_the_same_event_is_a_duplicate(suspended):
    event = {"Records": [uploaded(suspended, "a.mp4")]}
    assert suspended.handler(event) == suspended.handler(event)
    assert suspended.heard() == ["a.mp4"]


def test_without_versions_replaced_content_is_gone_and_processed_if_uploaded_again(suspended):
    first, second = uploaded(suspended, "a.mp4"), uploaded(suspended, "a.mp4", b"")
    assert suspended.handler({"Records": [first]}) == [{"key": "a.mp4", "status": "gone"}]
    assert suspended.handler({"Records": [second]})[0]["reason"] == "empty"
    again = uploaded(suspended, "a.mp4")
    assert suspended.handler({"Records": [again]})[0]["reason"] == "not-a-video"
    assert len(suspended.heard()) == 2


def test_without_versions_a_deleted_upload_is_gone(suspended):
    record = uploaded(suspended, "a.mp4")
    suspended.s3.delete_object(Bucket=BUCKET, Key="a.mp4")
    assert suspended.handler({"Records": [record]}) == [{"key": "a.mp4", "status": "gone"}]


def test_without_versions_a_replacement_is_not_tagged_for_what_it_replaced(suspended, monkeypatch, caplog):
    record = uploaded(suspended, "a.mp4")

    def replaced(*_):
        suspended.s3.put_object(Bucket=BUCKET, Key="a.mp4", Body=b"another")

    monkeypatch.setattr(suspended.module.publisher._sns, "publish", lambda **_: None)
    before = suspended.module.publisher._merge_tags
    monkeypatch.setattr(suspended.module.publisher, "_merge_tags", lambda result: (replaced(), before(result)))
    suspended.handler({"Records": [record]})
    assert "so it was not tagged" in caplog.text
    assert suspended.s3.get_object_tagging(Bucket=BUCKET, Key="a.mp4")["TagSet"] == []


# ---------------------------------------------------------------- A bucket that exists already, through EventBridge

THEIRS = "videos-from-before"


@pytest.fixture(params=[None, "Enabled", "Suspended"], ids=["no versions", "versions", "suspended"])
def another(world, request):
    """The user's bucket in each state of versioning."""
    world.s3.create_bucket(Bucket=THEIRS, CreateBucketConfiguration={"LocationConstraint": REGION})
    if request.param:
        world.s3.put_bucket_versioning(Bucket=THEIRS, VersioningConfiguration={"Status": request.param})
    return world


def bridged(world, key: str, content: bytes = BROKEN, tags: str = "") -> dict:
    """Its event, without a version ID if the bucket has no versioning."""
    told = world.s3.put_object(Bucket=THEIRS, Key=key, Body=content, Tagging=tags)
    version = {"version-id": told["VersionId"]} if "VersionId" in told else {}
    etag = hashlib.md5(content).hexdigest()
    entity = {"key": key, "size": len(content), "etag": etag, "sequencer": f"{next(SEQUENCE):016X}"} | version
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": "2026-07-01T10:00:00Z",
        "detail": {"bucket": {"name": THEIRS}, "object": entity, "reason": "PutObject"},
    }


def kept(world, outcome: dict) -> dict:
    return json.load(world.s3.get_object(Bucket=BUCKET, Key=outcome["resultKey"])["Body"])


def test_results_go_to_the_stacks_bucket_and_tags_to_the_source(another):
    event = bridged(another, "in/Été 1+1.mp4", video(seconds=0.2), tags="customer=4711")
    [outcome] = another.handler(event)
    result = kept(another, outcome)
    content = another.s3.get_object(Bucket=BUCKET, Key=outcome["resultKey"])["Body"].read().decode()
    assert '"key": "in/Été 1+1.mp4"' in content, "legible"
    assert result["source"]["bucket"] == THEIRS
    assert (result["resultBucket"], result["resultKey"]) == (BUCKET, outcome["resultKey"])
    assert outcome["resultKey"].startswith(f"results-of/{THEIRS}/in/Été 1+1.mp4/")
    assert another.s3.head_object(Bucket=BUCKET, Key=result["poster"]["key"])["ContentType"] == "image/jpeg"
    tags = another.s3.get_object_tagging(Bucket=THEIRS, Key="in/Été 1+1.mp4")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"customer": "4711", "video-intake:status": "success"}
    assert [one["Key"] for one in another.s3.list_objects_v2(Bucket=THEIRS)["Contents"]] == ["in/Été 1+1.mp4"]
    assert another.handler(event) == [outcome]
    assert len(another.heard()) == 1, "a duplicate is one here too"


def test_the_same_key_in_both_buckets_is_two_uploads(another):
    [ours] = another.handler({"Records": [uploaded(another, "a.mp4", b"")]})
    [theirs] = another.handler(bridged(another, "a.mp4"))
    assert [kept(another, one)["failure"]["reason"] for one in (ours, theirs)] == ["empty", "not-a-video"]


def test_a_second_content_there_is_an_upload_with_a_result(another):
    [first] = another.handler(bridged(another, "a.mp4"))
    [second] = another.handler(bridged(another, "a.mp4", b""))
    assert [kept(another, one)["failure"]["reason"] for one in (first, second)] == ["not-a-video", "empty"]
    assert len(another.heard()) == 2


@pytest.mark.parametrize("content", [BROKEN, b""])
def test_an_upload_deleted_there_before_processing_has_no_outcome(another, content):
    event = bridged(another, "a.mp4", content)
    for version in another.s3.list_object_versions(Bucket=THEIRS)["Versions"]:
        another.s3.delete_object(Bucket=THEIRS, Key="a.mp4", VersionId=version["VersionId"])
    assert another.handler(event) == [{"key": "a.mp4", "status": "gone"}]
    assert another.heard() == []


def test_an_eventbridge_event_that_is_not_an_upload_is_raised(world):
    with pytest.raises(ValueError, match=r"its detail-type is Object Deleted\.$"):
        world.handler({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}})


def test_idempotency_records_identify_version_or_content(world):
    """Records are kept for 15 days, and must remain valid across deployments."""
    versioned = Upload("b", "a.mp4", "v1", 5, "e1", "0A", "then")
    ids = {}
    for name, upload in {
        "versioned": versioned,
        "another ETag": replace(versioned, etag="e2", sequencer="0B", size=7),
        "null": replace(versioned, version_id="null"),
        "another content": replace(versioned, version_id="null", etag="e2"),
        "it came back": replace(versioned, version_id="null", sequencer="0C"),
    }.items():
        idempotency.once(lambda upload: {}, TABLE, world.module.CLIENT, lambda: None)(upload=upload)
        known = {item["id"]["S"] for item in boto3.client("dynamodb").scan(TableName=TABLE)["Items"]}
        ids[name] = known - set().union(*ids.values())
    assert ids["versioned"] == {"video#" + hashlib.md5(b'["b", "a.mp4", "v1", ""]').hexdigest()}
    assert not ids["another ETag"]
    assert [len(ids[name]) for name in ("null", "another content", "it came back")] == [1, 1, 1]


# ---------------------------------------------------------------- The order of writes, and what they are labeled with


@pytest.fixture
def written(world, monkeypatch) -> tuple[list[str], dict[str, str]]:
    """The writes for a playable video, in order, and the content type of each file."""
    steps, types = [], {}
    call = BaseClient._make_api_call

    def noted(client, name, given):
        step = given["Key"].rpartition("/")[2] if name == "PutObject" else name
        steps.append(step)
        if name == "PutObject":
            types[step] = given["ContentType"]
        return call(client, name, given)

    record = uploaded(world, "a.mp4", video(seconds=0.4))
    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    monkeypatch.setattr(world.module, "limits", replace(world.module.limits, storyboard=True))
    measure = world.module._measure
    monkeypatch.setattr(world.module, "_measure", lambda *given: (steps.append("metrics"), measure(*given)))
    world.handler({"Records": [record]})
    return [step for step in steps if not step.startswith(("Get", "Head"))], types


PICTURES = {"poster.jpg", "storyboard.jpg", "storyboard.vtt"}


def test_each_step_is_published_after_the_earlier_ones(written):
    steps, _ = written
    assert len(steps) == len(set(steps))
    at = {step: steps.index(step) for step in steps}
    assert at.keys() == PICTURES | {"result.json", "PutObjectTagging", "Publish", "metrics", "PutItem", "UpdateItem"}
    assert at["PutItem"] == 0, "the lock"
    assert max(at[step] for step in (*PICTURES, "result.json", "PutObjectTagging")) < at["Publish"]
    assert at["Publish"] < at["metrics"] < at["UpdateItem"]
    assert at["UpdateItem"] == len(steps) - 1, "the record"


def test_every_file_has_its_content_type(written):
    jpeg, text = "image/jpeg", "text/vtt"
    assert written[1] == {
        "poster.jpg": jpeg,
        "storyboard.jpg": jpeg,
        "storyboard.vtt": text,
        "result.json": "application/json",
    }


# What is merged into the tags


@pytest.mark.parametrize("theirs", [0, 8, 9, 10])
def test_the_users_tags_are_kept_and_ours_are_added_if_they_fit(theirs):
    before = {f"tag{number}": str(number) for number in range(theirs)} | {"video-intake:status": "success"}
    after = publisher.merged(before, {"status": "failure", "failure": {"reason": "empty"}})
    assert {key: value for key, value in after.items() if key.startswith("tag")} == {
        key: value for key, value in before.items() if key.startswith("tag")
    }
    ours = [("video-intake:status", "failure"), ("video-intake:reason", "empty")]
    assert [pair for pair in after.items() if pair[0].startswith("video-intake:")] == ours[: 10 - theirs]


def test_a_success_removes_an_earlier_reason():
    before = {"video-intake:status": "failure", "video-intake:reason": "empty"}
    assert publisher.merged(before, {"status": "success"}) == {"video-intake:status": "success"}


def test_a_tag_that_may_not_be_set_is_an_infrastructure_failure():
    client = boto3.client("s3", "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    result = {"status": "success", "source": {"bucket": "b", "key": "a.mp4", "versionId": "v"}}
    stubber = Stubber(client)
    stubber.add_client_error("get_object_tagging", "AccessDenied")
    with stubber, pytest.raises(ClientError, match="AccessDenied"):
        publisher.Publisher(client, None, "topic", "test")._tag(result)


def test_a_version_deleted_during_processing_is_not_tagged(caplog):
    client = boto3.client("s3", "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    result = {"status": "success", "source": {"bucket": "b", "key": "a.mp4", "versionId": "v"}}
    stubber = Stubber(client)
    stubber.add_client_error("get_object_tagging", "NoSuchVersion")
    with stubber:
        publisher.Publisher(client, None, "topic", "test")._tag(result)
    stubber.assert_no_pending_responses()
    assert "so it was not tagged" in caplog.text


def test_existing_tags_are_not_written_again():
    client = boto3.client("s3", "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    result = {"status": "success", "source": {"bucket": "b", "key": "a.mp4", "versionId": "v"}}
    stubber = Stubber(client)
    stubber.add_response("get_object_tagging", {"TagSet": [{"Key": "video-intake:status", "Value": "success"}]})
    with stubber:  # which fails at any other call
        publisher.Publisher(client, None, "topic", "test")._tag(result)
    stubber.assert_no_pending_responses()


def test_an_indexed_video_is_seven_waits_for_aws(world, monkeypatch):
    """The lock, two for the file, two for the parallel writes, the message, and the record of the outcome."""
    calls, groups = [], []
    call = BaseClient._make_api_call
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda *args: (calls.append(args[1]), call(*args))[1])

    def one_by_one(writes):
        before, lengths = len(calls), []
        for write in writes:
            began = len(calls)
            write()
            lengths.append(len(calls) - began)
        groups.append(max(lengths))
        del calls[before:]

    world.module.publisher.carry_out = one_by_one
    noisy = video("mov", size=(640, 360), seconds=3, picture="testsrc2,noise=alls=40:allf=t")
    assert len(noisy) > SMALL_FILE
    record = uploaded(world, "film.mov", noisy)
    calls.clear()
    (outcome,) = world.handler({"Records": [record]})
    reads, others = calls.count("GetObject"), [name for name in calls if name != "GetObject"]
    result = json.load(world.s3.get_object(Bucket=BUCKET, Key=outcome["resultKey"])["Body"])
    assert reads == result["inspection"]["requests"] == 3
    assert others == ["PutItem", "Publish", "UpdateItem"]
    assert len(others) + sum(groups) + result["inspection"]["roundTrips"] == 7
