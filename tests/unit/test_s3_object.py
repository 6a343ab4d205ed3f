"""S3's errors, and their meaning for the upload."""

import contextlib
import io
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError, IncompleteReadError
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


def test_a_range_is_requested_from_exactly_that_version(stubbed):
    stubber, fetch = stubbed
    stubber.add_response("get_object", body(b"x" * 20), ASKED)
    assert fetch(10, 30) == b"x" * 20


class Interrupted(io.BytesIO):
    """A body whose connection fails while it is read."""

    def __init__(self, fault: Exception) -> None:
        super().__init__()
        self.fault = fault

    def read(self, amount: int | None = None) -> bytes:
        raise self.fault


@pytest.mark.parametrize(
    "source",
    [
        io.BytesIO(b"x" * 7),
        Interrupted(urllib3.exceptions.ReadTimeoutError(None, "", "")),  # type: ignore[arg-type]
        Interrupted(urllib3.exceptions.ProtocolError("reset")),
    ],
    ids=["short", "timeout", "reset"],
)
def test_an_incomplete_body_is_requested_again(stubbed, source):
    stubber, fetch = stubbed
    stubber.add_response("get_object", {"Body": StreamingBody(source, 20)}, ASKED)
    stubber.add_response("get_object", body(b"x" * 20), ASKED)
    assert fetch(10, 30) == b"x" * 20


def test_a_body_that_stays_incomplete_is_an_infrastructure_failure(stubbed):
    stubber, fetch = stubbed
    for _ in range(s3_object.BODY_ATTEMPTS):
        stubber.add_response("get_object", body(b"x" * 7, length=7), ASKED)
    with pytest.raises(IncompleteReadError, match=r"7 read.*20|20.*7"):
        fetch(10, 30)
    stubber.assert_no_pending_responses()


# Errors from https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, including some that reads do not
# cause.
FAULTS = {
    301: ["PermanentRedirect"],
    307: ["TemporaryRedirect"],
    400: ["AuthorizationHeaderMalformed", "BadRequest", "ExpiredToken", "InvalidArgument", "InvalidRequest",
          "InvalidToken", "KMS.DisabledException", "KMS.InvalidStateException", "KMS.NotFoundException",
          "RequestTimeout", "ThrottlingException", "TokenRefreshRequired"],
    403: ["AccessDenied", "AccountProblem", "AllAccessDisabled", "InvalidAccessKeyId", "RequestTimeTooSkewed",
          "SignatureDoesNotMatch"],
    404: ["NoSuchBucket", "NoSuchKey"],
    405: ["MethodNotAllowed"],  # of something else than a delete marker
    409: ["ConditionalRequestConflict", "OperationAborted"],
    412: ["PreconditionFailed"],
    416: ["InvalidRange"],
    500: ["InternalError"],
    501: ["NotImplemented"],
    503: ["ServiceUnavailable", "SlowDown"],
}  # fmt: skip
CODED = [(code, status) for status, codes in FAULTS.items() for code in codes]
BARE = [(str(status), status) for status in (*FAULTS, 402, 408, 410, 429, 502, 504)]  # from a proxy, or of HeadObject
MARKER = {"service_error_meta": {"Code": "MethodNotAllowed", "Message": "", "ResourceType": "DeleteMarker"}}
NULL = replace(UPLOAD, version_id="null")


@pytest.mark.parametrize(("code", "status"), CODED + BARE)
def test_errors_that_prove_nothing_are_infrastructure_failures(stubbed, code, status):
    stubber, fetch = stubbed
    stubber.add_client_error("get_object", code, http_status_code=status)
    with pytest.raises(ClientError):
        fetch(10, 30)


def test_a_version_that_is_no_longer_there_is_gone(stubbed):
    stubber, fetch = stubbed
    stubber.add_client_error("get_object", "NoSuchVersion", http_status_code=404)
    with pytest.raises(Gone):
        fetch(10, 30)


@pytest.mark.parametrize(
    "told", [MARKER, {"response_meta": {"HTTPHeaders": {"x-amz-delete-marker": "true"}}}], ids=["body", "header"]
)
def test_a_delete_marker_is_gone(stubbed, told):
    stubber, fetch = stubbed
    stubber.add_client_error("get_object", "MethodNotAllowed", http_status_code=405, **told)
    with pytest.raises(Gone):
        fetch(10, 30)


def test_only_without_versions_other_content_means_replaced(stubbed):
    stubber, _ = stubbed
    stubber.add_client_error("get_object", "PreconditionFailed", http_status_code=412)
    with pytest.raises(Gone):
        s3_object.fetcher(stubber.client, NULL)(10, 30)


LISTED = {"Bucket": "bucket", "Prefix": "a b.mp4", "MaxKeys": 1}


@pytest.mark.parametrize(
    ("listed", "consequence"),
    [([], Gone), (["a b.mp4"], ClientError), (["a b.mp4.part"], Gone)],
    ids=["nothing", "the key", "a longer key"],
)
def test_without_versions_a_key_that_is_not_listed_either_is_gone(stubbed, listed, consequence):
    stubber, _ = stubbed
    stubber.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    stubber.add_response("list_objects_v2", {"Contents": [{"Key": key} for key in listed]}, LISTED)
    with pytest.raises(consequence, match="NoSuchKey"):
        s3_object.fetcher(stubber.client, NULL)(10, 30)
    stubber.assert_no_pending_responses()


def test_a_listing_that_fails_proves_nothing(stubbed):
    stubber, _ = stubbed
    stubber.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    stubber.add_client_error("list_objects_v2", "SlowDown", http_status_code=503)
    with pytest.raises(ClientError, match="SlowDown"):
        s3_object.fetcher(stubber.client, NULL)(10, 30)


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_has_a_verdict(stubbed, storage_class):
    stubber, fetch = stubbed
    archived = {"Code": "InvalidObjectState", "Message": "", "StorageClass": storage_class}
    stubber.add_client_error("get_object", "InvalidObjectState", service_error_meta=archived, http_status_code=403)
    with pytest.raises(Rejected, match=storage_class):
        fetch(10, 30)


# ---------------------------------------------------------------- Whether it is still there

WHOLE = {name: value for name, value in ASKED.items() if name != "Range"}


@pytest.mark.parametrize(
    ("length", "error"), [(0, contextlib.nullcontext()), (5, pytest.raises(ValueError, match="has 5 bytes"))]
)
def test_an_empty_upload_is_checked_as_a_whole(stubbed, length, error):
    stubber, _ = stubbed
    answer = body(b"x" * length, length) | {"ContentLength": length}
    stubber.add_response("get_object", answer, WHOLE)
    with error:
        s3_object.confirm(stubber.client, replace(UPLOAD, size=0))
    stubber.assert_no_pending_responses()


def test_other_uploads_are_checked_by_their_first_byte(stubbed):
    stubber, _ = stubbed
    raw = io.BytesIO(b"x")
    answer = {"Body": StreamingBody(raw, 1), "ContentLength": 1}
    stubber.add_response("get_object", answer, WHOLE | {"Range": "bytes=0-0"})
    s3_object.confirm(stubber.client, UPLOAD)
    stubber.assert_no_pending_responses()
    assert raw.closed, "or its connection would not be used again"


@pytest.mark.parametrize(("code", "consequence"), [("NoSuchVersion", Gone), ("NoSuchKey", ClientError)])
def test_an_empty_upload_is_gone_only_if_s3_proves_it(stubbed, code, consequence):
    stubber, _ = stubbed
    stubber.add_client_error("get_object", code, http_status_code=404)
    with pytest.raises(consequence):
        s3_object.confirm(stubber.client, replace(UPLOAD, size=0))


# ---------------------------------------------------------------- A version without an event

TASK = Task("bucket", "a b.mp4", "v1", "again")
NAMED = {"Bucket": "bucket", "Key": "a b.mp4", "VersionId": "v1"}


def test_a_version_without_an_event_is_described_like_one_with_an_event(stubbed):
    stubber, _ = stubbed
    head = {"ContentLength": 100, "ETag": '"e1"', "LastModified": datetime(2026, 7, 1, 10, tzinfo=UTC)}
    stubber.add_response("head_object", head, NAMED)
    expected = Upload("bucket", "a b.mp4", "v1", 100, "e1", "", "2026-07-01T10:00:00.000Z", "again")
    assert s3_object.described(stubber.client, TASK, TASK.rerun) == expected


@pytest.mark.parametrize(("bare", "status"), [("400", 400), ("403", 403), ("404", 404), ("405", 405), ("503", 503)])
@pytest.mark.parametrize(
    ("code", "told", "consequence"),
    [
        ("NoSuchVersion", {}, Gone),
        ("MethodNotAllowed", MARKER, Gone),
        ("NoSuchKey", {}, ClientError),
        ("AccessDenied", {}, ClientError),
        ("InvalidRange", {}, ClientError),
    ],
)
def test_an_error_of_headobject_has_no_code_so_getobject_is_called(stubbed, bare, status, code, told, consequence):
    stubber, _ = stubbed
    stubber.add_client_error("head_object", bare, http_status_code=status)
    stubber.add_client_error(
        "get_object", code, http_status_code=status, expected_params=NAMED | {"Range": "bytes=0-0"}, **told
    )
    with pytest.raises(consequence, match=code):
        s3_object.described(stubber.client, TASK, TASK.rerun)


def test_if_getobject_succeeds_headobjects_error_is_raised(stubbed):
    stubber, _ = stubbed
    stubber.add_client_error("head_object", "404", http_status_code=404)
    raw = io.BytesIO(b"x")
    stubber.add_response("get_object", {"Body": StreamingBody(raw, 1)}, NAMED | {"Range": "bytes=0-0"})
    with pytest.raises(ClientError, match="404"):
        s3_object.described(stubber.client, TASK, TASK.rerun)
    assert raw.closed
