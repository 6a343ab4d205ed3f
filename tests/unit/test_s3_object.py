import io
from datetime import UTC, datetime

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from video_intake import s3_object
from video_intake.batch import Task
from video_intake.media.verdicts import Gone, Rejected
from video_intake.uploads import Upload

UPLOAD = Upload("bucket", "a b.mp4", "v1", 100, "e1", "0A", "2026-07-01T10:00:00Z")
ASKED = {"Bucket": "bucket", "Key": "a b.mp4", "VersionId": "v1", "IfMatch": '"e1"', "Range": "bytes=10-29"}


@pytest.fixture
def stubbed():
    config = Config(retries={"total_max_attempts": 1})
    client = boto3.client("s3", "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x", config=config)
    with Stubber(client) as stubber:
        yield stubber, s3_object.fetcher(client, UPLOAD)


def body(content: bytes, length: int = 20) -> dict:
    return {"Body": StreamingBody(io.BytesIO(content), length)}


def test_the_range_of_the_version_and_of_no_other_is_asked_for(stubbed):
    stubber, fetch = stubbed
    stubber.add_response("get_object", body(b"x" * 20), ASKED)
    assert fetch(10, 30) == b"x" * 20


def test_a_body_that_breaks_off_is_asked_for_again(stubbed):
    stubber, fetch = stubbed
    stubber.add_response("get_object", body(b"x" * 7), ASKED)
    stubber.add_response("get_object", body(b"x" * 20), ASKED)
    assert fetch(10, 30) == b"x" * 20


def test_a_body_that_keeps_breaking_off_is_a_fault_of_the_world(stubbed):
    stubber, fetch = stubbed
    for _ in range(s3_object.BODY_ATTEMPTS):
        stubber.add_response("get_object", body(b"x" * 7, length=7), ASKED)
    with pytest.raises(IncompleteReadError):
        fetch(10, 30)
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "consequence"),
    [
        ("NoSuchKey", 404, Gone),
        ("NoSuchVersion", 404, Gone),
        ("MethodNotAllowed", 405, Gone),  # the version is a delete marker
        ("PreconditionFailed", 412, Gone),
        ("InvalidObjectState", 403, Rejected),
        ("AccessDenied", 403, ClientError),
        ("SlowDown", 503, ClientError),
        ("ThrottlingException", 400, ClientError),
        ("InternalError", 500, ClientError),
        ("RequestTimeout", 400, ClientError),
        ("InvalidRange", 416, ClientError),
        ("KMS.DisabledException", 400, ClientError),
    ],
)
def test_errors_are_sorted_by_consequence(stubbed, code, status, consequence):
    stubber, fetch = stubbed
    stubber.add_client_error("get_object", code, http_status_code=status)
    with pytest.raises(consequence):
        fetch(10, 30)


TASK = Task("bucket", "a b.mp4", "v1", "again")


def test_a_version_that_nobody_announced_is_described_as_if_it_had_been(stubbed):
    stubber, _ = stubbed
    head = {"ContentLength": 100, "ETag": '"e1"', "LastModified": datetime(2026, 7, 1, 10, tzinfo=UTC)}
    stubber.add_response("head_object", head, {"Bucket": "bucket", "Key": "a b.mp4", "VersionId": "v1"})
    expected = Upload("bucket", "a b.mp4", "v1", 100, "e1", "", "2026-07-01T10:00:00.000Z", "again")
    assert s3_object.described(stubber.client, TASK, TASK.rerun) == expected


@pytest.mark.parametrize(
    ("code", "status", "consequence"),
    [("404", 404, Gone), ("405", 405, Gone), ("403", 403, ClientError), ("503", 503, ClientError)],
)
def test_errors_without_a_body_are_sorted_too(stubbed, code, status, consequence):
    stubber, _ = stubbed
    stubber.add_client_error("head_object", code, http_status_code=status)
    with pytest.raises(consequence):
        s3_object.described(stubber.client, TASK, TASK.rerun)
