"""An existing bucket: from upload to outcome through EventBridge."""

import json
from collections.abc import Iterator

import pytest

from scripts.stack import Source, Stack, Uploaded, wait_for
from tests.support.pictures import pixels
from tools.videos import video

FILM = video(seconds=0.2)


@pytest.fixture(scope="module", autouse=True)
def settled(cloud) -> Iterator[None]:
    """Waits for all events, because other tests count what the stack does."""
    yield
    if cloud is not None:
        wait_for("every event's end", lambda: not cloud.control("GET", "events")["unfinished"])


@pytest.fixture(scope="module")
def good(intake: Stack, inbox: str, theirs: Source) -> Uploaded:
    """A video with its owner's tags."""
    key = f"{theirs.prefix}Été 1+1 %2B (2).mp4"
    answer = intake.client("s3").put_object(Bucket=theirs.bucket, Key=key, Body=FILM, Tagging="customer=4711")
    version = answer.get("VersionId", "null")
    return Uploaded(key, version, etag=answer["ETag"].strip('"'), bucket=theirs.bucket)


@pytest.fixture(scope="module")
def result(intake: Stack, good: Uploaded) -> dict:
    return intake.outcome(good)


def test_its_result_and_poster_are_in_the_stacks_bucket(intake, theirs, good, result, valid):
    valid(result)
    assert (result["status"], result["source"]["bucket"], result["source"]["key"]) == (
        "success",
        theirs.bucket,
        good.key,
    )
    assert result["resultBucket"] == intake.bucket
    assert f"s3://{intake.bucket}/{result['resultKey']}".startswith(intake.outputs["ExistingBucketResultsUri"])
    width, height, _ = pixels(intake.read(result["poster"]["key"]))
    assert (width, height) == (result["poster"]["width"], result["poster"]["height"])


def test_its_tags_are_added_to_the_owners_tags(intake, good, result):
    tags = wait_for("our tags", lambda: (tags := intake.tags(good)).get("video-intake:status") and tags)
    assert tags == {"customer": "4711", "video-intake:status": "success"}


def test_messages_and_the_log_name_its_bucket(intake, inbox, theirs, good, result):
    def heard() -> bool:
        answer = intake.client("sqs").receive_message(QueueUrl=inbox, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        bodies = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        return any(json.loads(body["Message"]) == result for body in bodies)

    def logged() -> bool:
        pages = intake.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=intake.outputs["LogGroupName"], filterPattern=f'"{theirs.bucket}"')
        lines = [json.loads(event["message"]) for page in found for event in page["events"]]
        return any(line.get("message") == "Processed" and line["key"] == good.key for line in lines)

    assert wait_for("the message", heard)
    assert wait_for("the line of the log", logged)


def test_new_content_of_a_key_has_its_own_result(intake, theirs):
    key = f"{theirs.prefix}replaced.mp4"
    first = intake.upload(key, FILM, bucket=theirs.bucket)
    result = intake.outcome(first)
    second = intake.upload(key, b"no video", bucket=theirs.bucket)
    assert intake.outcome(second)["failure"]["reason"] == "not-a-video"
    assert intake.result(first) == result


def test_the_same_key_in_the_stacks_bucket_is_another_upload(intake, good, result):
    ours = intake.upload(good.key, b"")
    assert intake.outcome(ours)["failure"]["reason"] == "empty"
    assert intake.result(good) == result


def test_keys_outside_the_prefix_are_not_processed(intake, theirs, cloud):
    outside = intake.upload("renditions/480p.mp4", FILM, bucket=theirs.bucket)
    inside = intake.upload(f"{theirs.prefix}inside.MOV", FILM, bucket=theirs.bucket)
    intake.outcome(inside)
    assert intake.tags(outside) == {}
    assert intake.result(outside) is None


def test_an_event_that_eventbridge_may_not_deliver_is_kept_and_can_be_replayed(intake, theirs, cloud, replay):
    """EventBridge does not retry if a permission is missing."""
    if cloud is None:
        pytest.skip("permissions of a live stack are not removed")
    functions, name = intake.client("lambda"), intake.outputs["FunctionName"]
    statements = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
    [permission] = [one for one in statements if one["Principal"]["Service"] == "events.amazonaws.com"]
    functions.remove_permission(FunctionName=name, StatementId=permission["Sid"])
    try:
        lost = intake.upload(f"{theirs.prefix}not allowed.mp4", FILM, bucket=theirs.bucket)
        wait_for("the dead letter", lambda: intake.failed_events() > 0)
    finally:
        functions.add_permission(
            FunctionName=name, StatementId=permission["Sid"], Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com", SourceArn=intake.outputs["ExistingBucketRuleArn"],
        )  # fmt: skip
    status, lines, _ = replay("dead-letters")
    assert status == 1
    [[key, version, bucket, why]] = [line.split("\t") for line in lines]
    assert (key, version, bucket) == (lost.key, "null", theirs.bucket)
    assert "NO_PERMISSIONS" in why
    assert replay("dead-letters", "--yes")[0] == 0
    assert intake.outcome(lost)["status"] == "success"
