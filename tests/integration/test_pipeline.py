"""From upload to outcome on a deployed stack, with real videos."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from scripts.stack import Uploaded, wait_for
from tests.support.pictures import pixels
from tests.support.template import RESOURCES
from tools.localcloud import letters
from tools.videos import samples, video

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/result.schema.json").read_text())
SAMPLES = {sample.key: sample for sample in samples()}


def counted(intake, environment: str) -> dict[str, float]:
    """The sums of the metrics in the last hours."""
    now = datetime.now(UTC)
    found = {}
    for name in ("VideosProcessed", "SuccessfulProcessing", "ProcessingDuration"):
        points = intake.client("cloudwatch").get_metric_statistics(
            Namespace="VideoIntake", MetricName=name, Period=86400, Statistics=["Sum"],
            StartTime=now - timedelta(hours=12), EndTime=now + timedelta(minutes=5),
            Dimensions=[{"Name": "environment", "Value": environment},
                        {"Name": "service", "Value": "video-intake"}],
        )["Datapoints"]  # fmt: skip
        found[name] = sum(point["Sum"] for point in points)
    return found


@pytest.fixture(scope="module")
def processed(intake, environment, inbox) -> tuple[dict[str, tuple[Uploaded, dict]], dict[str, float]]:
    """The result of every sample, all uploaded at once, and by how much the metrics grew."""
    before = counted(intake, environment)
    uploaded = [intake.upload(sample.key, sample.content()) for sample in SAMPLES.values()]
    results = {one.key: (one, intake.outcome(one)) for one in uploaded}
    expected = before["VideosProcessed"] + len(SAMPLES)
    # CloudWatch shows a metric of a real account within minutes, not seconds.
    wait_for("the metrics", lambda: counted(intake, environment)["VideosProcessed"] >= expected, 300)
    return results, {name: after - before[name] for name, after in counted(intake, environment).items()}


@pytest.fixture(scope="module")
def outcomes(processed) -> dict[str, tuple[Uploaded, dict]]:
    return processed[0]


@pytest.fixture(scope="module")
def messages(intake, inbox, outcomes) -> dict[str, dict]:
    """The message for every sample, as received by a queue."""
    received: dict[str, dict] = {}

    def complete() -> bool:
        answer = intake.client("sqs").receive_message(QueueUrl=inbox, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            body = json.loads(message["Body"])
            received[json.loads(body["Message"])["source"]["key"]] = body
        return received.keys() >= outcomes.keys()

    wait_for("every message", complete)
    return received


@pytest.mark.parametrize("key", SAMPLES)
def test_every_sample_gets_its_verdict(outcomes, key):
    _, result = outcomes[key]
    assert result.get("failure", {}).get("reason", "success") == SAMPLES[key].verdict
    jsonschema.validate(result, SCHEMA)


@pytest.mark.parametrize("key", [key for key, sample in SAMPLES.items() if sample.verdict == "success"])
def test_every_playable_video_has_an_upright_poster(intake, outcomes, key):
    _, result = outcomes[key]
    width, height, _ = pixels(intake.read(result["poster"]["key"]))
    shown = result["video"]["displayWidth"], result["video"]["displayHeight"]
    assert (width, height) == (result["poster"]["width"], result["poster"]["height"])
    assert max(width, height) <= 1280
    assert width / height == pytest.approx(shown[0] / shown[1], rel=0.01)


@pytest.mark.parametrize("key", SAMPLES)
def test_every_version_is_tagged(intake, outcomes, key):
    uploaded, result = outcomes[key]
    expected = {"video-intake:status": result["status"]}
    if result["status"] == "failure":
        expected["video-intake:reason"] = SAMPLES[key].verdict
    assert wait_for("the tags", lambda: intake.tags(uploaded) or None) == expected


@pytest.mark.parametrize("key", SAMPLES)
def test_programs_receive_every_outcome(messages, outcomes, key):
    message = messages[key]
    assert json.loads(message["Message"]) == outcomes[key][1], "the message is the result document"
    attributes = {name: value["Value"] for name, value in message["MessageAttributes"].items()}
    assert attributes["status"] == outcomes[key][1]["status"]
    assert attributes.get("reason", "success") == SAMPLES[key].verdict


def test_people_receive_only_failures(mailbox, messages):
    bodies = [letter.get_body().get_content() for letter in letters.letters(mailbox)]
    for key, sample in SAMPLES.items():
        named = [body for body in bodies if f"{key} is" in body]
        assert len(named) == (sample.verdict != "success"), key
    cut_off = next(body for body in bodies if "cut off.mov" in body)
    assert "bad/cut off.mov is not a playable video." in cut_off
    assert "Upload it again" in cut_off


def test_success_and_failure_are_counted_once_each(processed):
    outcomes, counts = processed
    assert counts == {
        "VideosProcessed": len(SAMPLES),
        "SuccessfulProcessing": sum(sample.verdict == "success" for sample in SAMPLES.values()),
        "ProcessingDuration": sum(result["inspection"]["durationMs"] for _, result in outcomes.values()),
    }


def test_every_line_of_the_log_names_request_and_object(intake, outcomes):
    def lines() -> list[dict] | None:
        events = intake.client("logs").filter_log_events(
            logGroupName=intake.outputs["LogGroupName"], filterPattern='"versionId"'
        )["events"]
        found = [json.loads(event["message"]) for event in events if event["message"].startswith("{")]
        return found if {line.get("key") for line in found} >= SAMPLES.keys() else None

    about = {one.key: one.version_id for one, _ in outcomes.values()}
    for line in wait_for("the log", lines, 120):
        assert all(line[name] for name in ("function_request_id", "bucket", "key", "versionId"))
        if line["key"] in about:
            assert (line["bucket"], line["versionId"]) == (intake.bucket, about[line["key"]])


def test_a_key_uploaded_twice_has_two_results(intake):
    first = intake.upload("twice.mp4", video(seconds=0.2))
    second = intake.upload("twice.mp4", b"no video at all")
    assert intake.outcome(first)["status"] == "success"
    assert intake.outcome(second)["status"] == "failure"


def test_the_users_tags_are_kept(intake):
    answer = intake.client("s3").put_object(
        Bucket=intake.bucket, Key="tagged.mp4", Body=b"", Tagging="customer=4711&project=x"
    )
    uploaded = Uploaded("tagged.mp4", answer["VersionId"])
    tags = wait_for("our tags", lambda: (tags := intake.tags(uploaded)).get("video-intake:status") and tags)
    assert (tags["customer"], tags["project"], tags["video-intake:reason"]) == ("4711", "x", "empty")


def test_the_multipart_upload_of_a_large_file_costs_a_few_ranges(intake, tmp_path):
    """A 64 MB video costs its ends and one key frame."""
    content = video(seconds=0.5, size=(320, 180), audio=None)
    padding = 64 << 20
    file = tmp_path / "large.mp4"
    with file.open("wb") as out:  # the index behind 64 MB of free space: a sparse file, but not for S3
        at = content.index(b"moov") - 4
        out.write(content[:at] + (8 + padding).to_bytes(4) + b"free")
        out.seek(padding, 1)
        out.write(content[at:])
    uploaded = intake.upload_file("large.mp4", str(file))
    result = intake.outcome(uploaded)
    assert result["status"] == "success"
    assert result["source"]["size"] > padding
    assert result["inspection"]["bytesRead"] < 1 << 20
    assert result["inspection"]["requests"] <= 4


def event(*objects: dict, attempt: str = "") -> bytes:
    """S3's event; with a new `attempt`, it is not a duplicate."""
    records = [
        {
            "videoIntakeAttempt": attempt,
            "eventName": "ObjectCreated:Put",
            "eventTime": "2026-07-01T10:00:00.000Z",
            "s3": {"bucket": {"name": one.pop("bucket")}, "object": {"size": 4_000_000, "eTag": "0" * 32} | one},
        }
        for one in objects
    ]
    return json.dumps({"Records": records}).encode()


def invoke(intake, payload: bytes) -> tuple[str | None, list | dict]:
    answer = intake.client("lambda").invoke(FunctionName=intake.outputs["FunctionName"], Payload=payload)
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def test_a_video_deleted_before_processing_is_not_a_failure(intake):
    uploaded = intake.upload("gone.mp4", b"no video")
    intake.outcome(uploaded)
    intake.client("s3").delete_object(Bucket=intake.bucket, Key=uploaded.key, VersionId=uploaded.version_id)
    late = {"bucket": intake.bucket, "key": uploaded.key, "versionId": uploaded.version_id}
    assert invoke(intake, event(late, attempt="late")) == (None, [{"key": uploaded.key, "status": "gone"}])


def test_a_failure_of_one_record_does_not_stop_the_others(intake):
    uploaded = intake.upload("record.mp4", video(seconds=0.2))
    intake.outcome(uploaded)
    etag = intake.client("s3").head_object(Bucket=intake.bucket, Key="record.mp4")["ETag"].strip('"')
    size = intake.client("s3").head_object(Bucket=intake.bucket, Key="record.mp4")["ContentLength"]
    intake.client("s3").delete_object(Bucket=intake.bucket, Key=uploaded.folder + "result.json")
    good = {
        "bucket": intake.bucket,
        "key": uploaded.key,
        "versionId": uploaded.version_id,
        "eTag": etag,
        "size": size,
    }
    error, _ = invoke(intake, event({"bucket": "there-is-no-such-bucket-4711", "key": "a.mp4"}, good, attempt="b"))
    assert error, "the fault is raised, so that Lambda tries again"
    assert intake.result(uploaded)["status"] == "success"


def test_an_event_that_is_not_an_upload_is_an_error(intake):
    error, _ = invoke(intake, b'{"hello": "world"}')
    assert error


def test_the_alarms_of_the_template_notify_the_alarm_topic(intake):
    alarms = intake.alarms()
    declared = {name for name, body in RESOURCES.items() if body["Type"] == "AWS::CloudWatch::Alarm"}
    assert {alarm["AlarmName"].removeprefix(f"{intake.name}-").partition("-")[0] for alarm in alarms} == declared
    assert all(alarm["AlarmActions"] == [intake.outputs["AlarmTopicArn"]] for alarm in alarms)


def test_a_duplicate_event_has_no_second_outcome(intake, inbox):
    uploaded = intake.upload("again.mp4", video(seconds=0.2))
    intake.outcome(uploaded)
    intake.client("s3").delete_object(Bucket=intake.bucket, Key=uploaded.folder + "result.json")
    head = intake.client("s3").head_object(Bucket=intake.bucket, Key=uploaded.key)
    same = {"bucket": intake.bucket, "key": uploaded.key, "versionId": uploaded.version_id}
    again = event(same | {"eTag": head["ETag"].strip('"'), "size": head["ContentLength"]})
    error, outcome = wait_for("the record", lambda: (done := invoke(intake, again))[0] is None and done)
    assert (error, outcome[0]["status"]) == (None, "success")
    assert intake.result(uploaded) is None, "nothing was written a second time"
