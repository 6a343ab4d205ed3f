"""The tests of scripts/verify.sh on a live stack: good and bad videos, up to result, message and metrics.

They do not disturb users of the stack: they use a separate folder, change no settings, and rely on no counts that
others may affect. At the end, only log lines, metric values and the e-mail about the bad video remain.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from scripts.stack import Overdue, Stack, Uploaded, wait_for
from tests.support.pictures import near, pixels
from tools.videos import video

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/result.schema.json").read_text())

# Deadlines for a stack on AWS, much longer than usual; a local one never needs them.
OUTCOME_SECONDS = 180  # S3 announces "typically in seconds, but can sometimes take a minute or longer"
MESSAGE_SECONDS = 120
METRICS_SECONDS = 900  # log line to embedded metric to statistic: two or three minutes when all is well


@dataclass
class Run:
    """The videos of this run (only the last is bad) and their outcomes."""

    began: datetime
    good: list[Uploaded]  # one in each bucket that the stack processes
    bad: Uploaded
    outcomes: dict[Uploaded, dict]


@pytest.fixture(scope="module")
def folder(intake: Stack) -> Iterator[str]:
    """A folder for this run, below the prefix of a bucket. All its versions and results are deleted afterwards."""
    name = f"verify/{uuid.uuid4()}/"
    yield name
    s3, home = intake.client("s3"), intake.bucket
    places = [(home, f"results/{name}")]
    for source in intake.sources:
        places += [(source.bucket, source.prefix + name), (home, f"results-of/{source.bucket}/{source.prefix}{name}")]
    for bucket, prefix in places:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Versions", []) + page.get("DeleteMarkers", []):
                s3.delete_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])


@pytest.fixture(scope="module")
def run(intake: Stack, inbox: str, folder: str) -> Run:
    failed_before = intake.failed_events()
    began = datetime.now(UTC).replace(second=0, microsecond=0)
    sideways = video(size=(320, 180), seconds=1, rotation=-90, audio=None, picture="color=color=red")
    good = [
        intake.upload(
            f"{source.prefix}{folder}good.mp4", sideways, bucket="" if source.bucket == intake.bucket else source.bucket
        )
        for source in intake.sources
    ]
    bad = intake.upload(f"{folder}bad.mp4", b"This is a letter, not a video.")

    def outcome(uploaded: Uploaded) -> Callable[[], dict | None]:
        def ask() -> dict | None:
            if (result := intake.result(uploaded)) is None and intake.failed_events() > failed_before:
                raise Overdue("An event has failed permanently: `scripts/replay.py dead-letters` shows which, and why")
            return result

        return ask

    outcomes = {one: wait_for(f"the result of {one.key}", outcome(one), OUTCOME_SECONDS) for one in (*good, bad)}
    return Run(began, good, bad, outcomes)


@pytest.fixture(scope="module")
def messages(intake: Stack, inbox: str, run: Run) -> dict[str, dict]:
    """The messages about the videos in a subscribed queue, by result key."""
    received: dict[str, dict] = {}

    def complete() -> bool:
        answer = intake.client("sqs").receive_message(QueueUrl=inbox, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            body = json.loads(message["Body"])
            received[json.loads(body["Message"])["resultKey"]] = body
        return received.keys() >= {outcome["resultKey"] for outcome in run.outcomes.values()}

    wait_for("all messages", complete, MESSAGE_SECONDS)
    return received


def test_a_good_video_is_playable(intake: Stack, run: Run) -> None:
    for good, source in zip(run.good, intake.sources, strict=True):
        result = run.outcomes[good]
        jsonschema.validate(result, SCHEMA)
        assert (result["status"], result["source"]["bucket"]) == ("success", source.bucket)
        assert (result["video"]["displayWidth"], result["video"]["displayHeight"]) == (180, 320)


def test_its_poster_is_upright_and_shows_the_video(intake: Stack, run: Run) -> None:
    for good in run.good:
        width, height, pixel = pixels(intake.read(run.outcomes[good]["poster"]["key"]))
        assert (width, height) == (180, 320)
        assert near(pixel(width // 2, height // 2), (254, 0, 0))


def test_a_bad_video_is_rejected_with_a_reason(run: Run) -> None:
    result = run.outcomes[run.bad]
    jsonschema.validate(result, SCHEMA)
    assert (result["status"], result["failure"]["reason"]) == ("failure", "not-a-video")


def test_every_version_is_tagged(intake: Stack, run: Run) -> None:
    tags = {one: wait_for("the tags", lambda one=one: intake.tags(one) or None) for one in run.outcomes}
    assert tags.pop(run.bad) == {"video-intake:status": "failure", "video-intake:reason": "not-a-video"}
    assert list(tags.values()) == [{"video-intake:status": "success"}] * len(run.good)


def test_every_outcome_is_published(run: Run, messages: dict[str, dict]) -> None:
    for outcome in run.outcomes.values():
        message = messages[outcome["resultKey"]]
        assert json.loads(message["Message"]) == outcome
        assert message["MessageAttributes"]["status"]["Value"] == outcome["status"]


def test_every_outcome_is_counted(intake: Stack, environment: str, run: Run) -> None:
    def counted() -> bool:
        answer = intake.client("cloudwatch").get_metric_statistics(
            Namespace="VideoIntake", MetricName="SuccessfulProcessing", Period=60,
            Dimensions=[{"Name": "environment", "Value": environment}, {"Name": "service", "Value": "video-intake"}],
            StartTime=run.began, EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Statistics=["SampleCount", "Minimum", "Maximum"],
        )  # fmt: skip
        points = answer["Datapoints"]
        return (
            sum(point["SampleCount"] for point in points) >= len(run.outcomes)
            and min(point["Minimum"] for point in points) == 0
            and max(point["Maximum"] for point in points) == 1
        )

    assert wait_for("a success and a failure in the metrics", counted, METRICS_SECONDS)
