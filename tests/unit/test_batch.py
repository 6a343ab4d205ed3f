"""Requests from and responses to S3 Batch Operations."""

import pytest

from video_intake import batch
from video_intake.batch import UNVERSIONED, Task
from video_intake.uploads import RERUN, SUFFIXES

ONE = {"s3BucketArn": "arn:aws:s3:::b"}  # schema 1.0 names the bucket so
TWO = {"s3Bucket": "b"}  # and 2.0 so
DONE = {"key": "a.mp4", "status": "success", "resultKey": "results/a.mp4/v1/result.json"}


def asked(*tasks: dict, schema: str = "2.0", **job) -> dict:
    numbered = [{"taskId": f"t{n}", "s3Key": "a.mp4", "s3VersionId": "v1"} | task for n, task in enumerate(tasks)]
    return {"invocationSchemaVersion": schema, "invocationId": "i1", "job": {"id": "j1"} | job, "tasks": numbered}


def told(event: dict, outcome=DONE) -> tuple[str, str]:
    [result] = batch.answer(event, lambda task: outcome)["results"]
    assert result["taskId"] == "t0"
    return result["resultCode"], result["resultString"]


def processed(event: dict) -> list[Task]:
    tasks: list[Task] = []
    batch.answer(event, lambda task: tasks.append(task) or DONE)
    return tasks


@pytest.mark.parametrize(
    ("task", "schema", "job", "expected"),
    [
        (ONE, "1.0", {}, Task("b", "a.mp4", "v1", "")),
        (TWO, "2.0", {}, Task("b", "a.mp4", "v1", "")),
        ({"s3BucketArn": "arn:aws-cn:s3:::b"}, "1.0", {}, Task("b", "a.mp4", "v1", "")),
        ({"s3BucketArn": "arn:aws:s3:eu-west-1:111122223333:b"}, "1.0", {}, Task("b", "a.mp4", "v1", "")),
        (TWO | {"s3Key": "%C3%89t%C3%A9%202026+%281%29.MOV"}, "2.0", {}, Task("b", "Été 2026 (1).MOV", "v1", "")),
        (TWO | {"s3Key": "a%2Bb%252Fc.avi"}, "2.0", {}, Task("b", "a+b%2Fc.avi", "v1", "")),  # decoded once
        (TWO | {"s3VersionId": "null"}, "2.0", {}, Task("b", "a.mp4", "null", "")),
        (TWO, "2.0", {"userArguments": {RERUN: "again-1"}}, Task("b", "a.mp4", "v1", "again-1")),
        (TWO, "2.0", {"userArguments": {"other": "x"}}, Task("b", "a.mp4", "v1", "")),
        (TWO, "2.0", {"userArguments": None}, Task("b", "a.mp4", "v1", "")),
        (TWO | {"s3VersionId": None}, "2.0", {"userArguments": {UNVERSIONED: "yes"}}, Task("b", "a.mp4", "null", "")),
        (TWO, "2.0", {"userArguments": {UNVERSIONED: "yes"}}, Task("b", "a.mp4", "v1", "")),
    ],
)
def test_both_schemas_become_tasks(task, schema, job, expected):
    assert processed(asked(task, schema=schema, **job)) == [expected]


@pytest.mark.parametrize(
    ("outcome", "code", "text"),
    [
        (DONE, "Succeeded", "success"),
        (DONE | {"status": "failure", "reason": "truncated"}, "Succeeded", "failure truncated"),  # a verdict
        ({"key": "a.mp4", "status": "gone"}, "Succeeded", "gone"),
        (TimeoutError("no answer"), "TemporaryFailure", "TimeoutError: no answer"),
        (RuntimeError("x" * 5000), "TemporaryFailure", ("RuntimeError: " + "x" * 5000)[:1024]),
        (ValueError("of ours, while processing"), "TemporaryFailure", "ValueError: of ours, while processing"),
    ],
)
def test_a_verdict_is_a_success_and_a_failure_is_retried(outcome, code, text):
    assert told(asked(TWO), outcome) == (code, text)


@pytest.mark.parametrize(
    ("task", "schema", "sentence"),
    [
        (TWO | {"s3VersionId": None}, "2.0", "has no version"),
        (TWO | {"s3VersionId": ""}, "2.0", "has no version"),
        (TWO | {"s3Key": "a.Mp4"}, "2.0", "does not end in .mp4 .MP4"),
        (TWO | {"s3Key": ""}, "2.0", "no bucket or no key"),
        (TWO | {"s3Key": None}, "2.0", "no bucket or no key"),
        (TWO | {"s3Key": "%FF.mp4"}, "2.0", "is not UTF-8"),  # by another name it would look deleted
        ({}, "2.0", "no bucket or no key"),
        ({"s3BucketArn": None}, "1.0", "no bucket or no key"),
        (TWO, "3.0", "schema 3.0 is not supported"),
    ],
)
def test_permanent_failures_are_reported_and_not_processed(task, schema, sentence):
    event = asked(task, schema=schema)
    code, text = told(event)
    assert (code, sentence in text) == ("PermanentFailure", True)
    assert processed(event) == []


@pytest.mark.parametrize("schema", ["1.0", "2.0"])
def test_every_task_has_a_result_even_if_others_fail(schema):
    outcomes = iter([DONE, OSError("down")])
    answer = batch.answer(asked(TWO, {}, TWO, schema=schema), lambda task: next(outcomes))
    results = answer.pop("results")
    assert answer == {
        "invocationSchemaVersion": schema,
        "treatMissingKeysAs": "TemporaryFailure",
        "invocationId": "i1",
    }
    assert [(result["taskId"], result["resultCode"]) for result in results] == [
        ("t0", "Succeeded"),
        ("t1", "PermanentFailure"),
        ("t2", "TemporaryFailure"),
    ]
    assert {type(value) for result in results for value in result.values()} == {str}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_six_suffixes_are_accepted(suffix):
    assert told(asked(TWO | {"s3Key": "a" + suffix}))[0] == "Succeeded"
