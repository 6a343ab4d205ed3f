"""What scripts/verify.sh proves of a live stack: a good and a bad video, all the way to result, message and metrics.

It does not disturb users of the stack: it has a separate folder, changes no setting, and relies on no count that
others may add to. In the end it takes back everything but log lines, metric values and the e-mail about the bad video.
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

# Deadlines for a stack on AWS, far beyond what is usual; a local one never needs them.
OUTCOME_SECONDS = 180  # S3 announces "typically in seconds, but can sometimes take a minute or longer"
MESSAGE_SECONDS = 120
METRICS_SECONDS = 900  # log line to embedded metric to statistic: two or three minutes when all is well


@dataclass
class Run:
    """The two videos of this run and their outcomes."""

    began: datetime
    good: Uploaded
    bad: Uploaded
    outcomes: dict[str, dict]


@pytest.fixture(scope="module")
def folder(intake: Stack) -> Iterator[str]:
    """Of this run alone. Every version in it, and of its results, is deleted afterwards."""
    name = f"verify/{uuid.uuid4()}/"
    yield name
    s3 = intake.client("s3")
    for prefix in (name, f"results/{name}"):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=intake.bucket, Prefix=prefix):
            for found in page.get("Versions", []) + page.get("DeleteMarkers", []):
                s3.delete_object(Bucket=intake.bucket, Key=found["Key"], VersionId=found["VersionId"])


@pytest.fixture(scope="module")
def run(intake: Stack, inbox: str, folder: str) -> Run:
    failed_before = intake.failed_events()
    began = datetime.now(UTC).replace(second=0, microsecond=0)
    sideways = video(size=(320, 180), seconds=1, rotation=-90, audio=None, picture="color=color=red")
    good = intake.upload(f"{folder}good.mp4", sideways)
    bad = intake.upload(f"{folder}bad.mp4", b"This is a letter, not a video.")

    def outcome(uploaded: Uploaded) -> Callable[[], dict | None]:
        def ask() -> dict | None:
            if (result := intake.result(uploaded)) is None and intake.failed_events() > failed_before:
                raise Overdue("An event has failed permanently: `scripts/replay.py dead-letters` shows which, and why")
            return result

        return ask

    outcomes = {one.key: wait_for(f"the result of {one.key}", outcome(one), OUTCOME_SECONDS) for one in (good, bad)}
    return Run(began, good, bad, outcomes)


@pytest.fixture(scope="module")
def messages(intake: Stack, inbox: str, run: Run) -> dict[str, dict]:
    """What a subscribed queue received about the two videos, by key."""
    received: dict[str, dict] = {}

    def complete() -> bool:
        answer = intake.client("sqs").receive_message(QueueUrl=inbox, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            body = json.loads(message["Body"])
            received[json.loads(body["Message"])["source"]["key"]] = body
        return received.keys() >= run.outcomes.keys()

    wait_for("both messages", complete, MESSAGE_SECONDS)
    return received


def test_a_good_video_is_playable(run: Run) -> None:
    result = run.outcomes[run.good.key]
    jsonschema.validate(result, SCHEMA)
    assert result["status"] == "success"
    assert (result["video"]["displayWidth"], result["video"]["displayHeight"]) == (180, 320)


def test_its_poster_is_upright_and_shows_the_film(intake: Stack, run: Run) -> None:
    width, height, pixel = pixels(intake.read(run.outcomes[run.good.key]["poster"]["key"]))
    assert (width, height) == (180, 320)
    assert near(pixel(width // 2, height // 2), (254, 0, 0))


def test_a_bad_video_is_rejected_with_a_reason(run: Run) -> None:
    result = run.outcomes[run.bad.key]
    jsonschema.validate(result, SCHEMA)
    assert (result["status"], result["failure"]["reason"]) == ("failure", "not-a-video")


def test_both_versions_are_tagged(intake: Stack, run: Run) -> None:
    tags = {one.key: wait_for("the tags", lambda one=one: intake.tags(one) or None) for one in (run.good, run.bad)}
    assert tags[run.good.key] == {"video-intake:status": "success"}
    assert tags[run.bad.key] == {"video-intake:status": "failure", "video-intake:reason": "not-a-video"}


def test_both_outcomes_are_announced(run: Run, messages: dict[str, dict]) -> None:
    for key, outcome in run.outcomes.items():
        assert json.loads(messages[key]["Message"]) == outcome
        assert messages[key]["MessageAttributes"]["status"]["Value"] == outcome["status"]


def test_both_outcomes_are_counted(intake: Stack, environment: str, run: Run) -> None:
    def counted() -> bool:
        answer = intake.client("cloudwatch").get_metric_statistics(
            Namespace="VideoIntake", MetricName="SuccessfulProcessing", Period=60,
            Dimensions=[{"Name": "environment", "Value": environment}, {"Name": "service", "Value": "video-intake"}],
            StartTime=run.began, EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Statistics=["SampleCount", "Minimum", "Maximum"],
        )  # fmt: skip
        points = answer["Datapoints"]
        return (
            sum(point["SampleCount"] for point in points) >= 2
            and min(point["Minimum"] for point in points) == 0
            and max(point["Maximum"] for point in points) == 1
        )

    assert wait_for("a success and a failure in the metrics", counted, METRICS_SECONDS)
