"""One version of an S3 object: its properties and ranges, and what an S3 error means for an upload.

An upload ends without a verdict only if S3 proves that it was deleted or replaced. Any other error, with or without a
code, is an infrastructure failure, which is retried and then kept: mistaking it for a deletion would silently lose an
upload. (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)

| S3's response                         | Meaning for the upload |
| ------------------------------------- | ---------------------- |
| 404 NoSuchVersion                     | Deleted: no object has this version anymore. |
| 405 MethodNotAllowed, delete marker   | Deleted while versioning was suspended: marker "null" [1]. |
| 412 PreconditionFailed, no version    | Replaced: If-Match has its ETag. (A version cannot change.) |
| 403 InvalidObjectState                | Archived: a verdict. |
| 404 NoSuchKey                         | None: S3 may return it for existing objects in a new bucket [2]. |
| 404 NoSuchKey, no version, not listed | Deleted: the only response of a bucket without versioning. |
| 404, 405, 412 of HeadObject           | None: its errors have no code, so GetObject is called. |
| 416, 409, other 400 and 403, 5xx      | None: a size, a key, a permission, a timeout, throttling, an outage. |

[1] https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html
[2] https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html
"""

from typing import Any

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from video_intake import uploads
from video_intake.decoding_job import Fetch
from video_intake.media import verdicts
from video_intake.media.verdicts import Gone
from video_intake.uploads import NO_VERSION, Upload, Version

BODY_ATTEMPTS = 3  # botocore retries failed requests, but not a body that is cut off while it is read


def described(client: Any, version: Version, rerun: str = "") -> Upload:
    """The version as an Upload, as if from an S3 event.

    Raises Gone, or botocore's errors for infrastructure failures.
    """
    asked = {"Bucket": version.bucket, "Key": version.key, "VersionId": version.version_id}
    try:
        return uploads.stored(version, client.head_object(**asked), rerun)
    except ClientError as error:
        raise consequence(client, version, with_a_code(client, asked, error)) from error


def confirm(client: Any, upload: Upload) -> None:
    """Checks that an upload still exists unchanged, by reading its first byte, or all of it if it is empty.

    Raises Gone, Rejected (archived), ValueError if an empty one has content, or botocore's errors for infrastructure
    failures. HeadObject would cost the same, but its errors have no code.
    """
    first = {"Range": "bytes=0-0"} if upload.size else {}
    try:
        answer = client.get_object(**_pinned(upload), **first)
    except ClientError as error:
        raise consequence(client, upload, error) from error
    answer["Body"].close()
    if not upload.size and answer["ContentLength"]:
        raise ValueError(f"According to the event it is empty, but it has {answer['ContentLength']} bytes.")


def fetcher(client: Any, upload: Upload) -> Fetch:
    """A function that returns the bytes [start, end) of exactly the version that was uploaded.

    It raises Gone, Rejected (archived), or botocore's errors for infrastructure failures.
    """

    def fetch(start: int, end: int) -> bytes:
        for attempt in range(1, BODY_ATTEMPTS + 1):
            try:
                answer = client.get_object(**_pinned(upload), Range=f"bytes={start}-{end - 1}")
                body: bytes = answer["Body"].read()
                if len(body) == end - start:
                    return body
                raise IncompleteReadError(actual_bytes=len(body), expected_bytes=end - start)
            except ClientError as error:
                raise consequence(client, upload, error) from error
            except (HTTPClientError, IncompleteReadError):
                if attempt == BODY_ATTEMPTS:
                    raise
        raise AssertionError("not reached: the last attempt returns or raises")

    return fetch


def consequence(client: Any, version: Version, error: ClientError) -> Exception:
    """What S3's error for a version means for its upload: Gone, Rejected, or the error itself.

    Raises botocore's errors: if a key without versioning does not exist, this also lists it.
    """
    details = error.response["Error"]
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    code = str(details["Code"])
    marker = details.get("ResourceType") == "DeleteMarker" or headers.get("x-amz-delete-marker") == "true"
    if code == "NoSuchVersion" or (code == "MethodNotAllowed" and marker):
        return Gone(code)
    if version.version_id == NO_VERSION and (
        code == "PreconditionFailed" or (code == "NoSuchKey" and not _is_listed(client, version))
    ):
        return Gone(code)
    if code == "InvalidObjectState":
        return verdicts.archived(details.get("StorageClass", "GLACIER"))
    fault: Exception = error
    return fault


def with_a_code(client: Any, asked: dict[str, str], error: ClientError) -> ClientError:
    """GetObject's error for `asked` if HeadObject, whose errors have no code, failed; otherwise `error` itself."""
    try:
        client.get_object(**asked, Range="bytes=0-0")["Body"].close()
    except ClientError as coded:
        return coded
    return error


def _is_listed(client: Any, version: Version) -> bool:
    """Whether S3 lists the key. Listings are consistent and sorted, so the key would come first."""
    found = client.list_objects_v2(Bucket=version.bucket, Prefix=version.key, MaxKeys=1)
    return any(one["Key"] == version.key for one in found.get("Contents", []))


def _pinned(upload: Upload) -> dict[str, str]:
    version = {"Bucket": upload.bucket, "Key": upload.key, "VersionId": upload.version_id}
    return version | {"IfMatch": f'"{upload.etag}"'}  # so that two files are never mixed, even without versioning
