"""One version of an S3 object: its properties and ranges, and what an S3 error means for an upload.

An upload ends without a verdict only where S3 proves that nobody waits for one. Whatever else S3 answers, with or
without a code, is an infrastructure failure, which is tried again and kept: a wrong "it is gone" would lose an upload
without a trace. (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)

| S3 answers                           | For the upload |
| ------------------------------------ | -------------- |
| 404 NoSuchVersion                    | It was deleted: no object has this version any more. |
| 405 MethodNotAllowed, delete marker  | It was deleted while versioning was suspended: marker "null" [1]. |
| 412 PreconditionFailed, no version   | It was replaced: If-Match names its ETag. (A version cannot change.) |
| 403 InvalidObjectState               | It is archived: a verdict. |
| 404 NoSuchKey                        | Nothing: S3 may say so of what is there while versioning is young [2]. |
| 404 NoSuchKey, no version, not listed | It was deleted: a bucket without versions knows no other answer. |
| 404, 405, 412 of HeadObject          | Nothing: its errors have no code. GetObject is asked the same. |
| 416, 409, other 400 and 403, 5xx     | Nothing: a size, a key, a permission, a time-out, throttling, an outage. |

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

BODY_ATTEMPTS = 3  # botocore retries a request that fails, but not a body that breaks off while it is read


def described(client: Any, version: Version, rerun: str = "") -> Upload:
    """The version as S3 would have announced it.

    Raises Gone, or botocore's errors for infrastructure failures.
    """
    asked = {"Bucket": version.bucket, "Key": version.key, "VersionId": version.version_id}
    try:
        return uploads.stored(version, client.head_object(**asked), rerun)
    except ClientError as error:
        raise consequence(client, version, with_a_code(client, asked, error)) from error


def confirm(client: Any, upload: Upload) -> None:
    """Checks that an upload still exists as announced, by its first byte, or as a whole if it is empty.

    Raises Gone, Rejected (archived), ValueError where an empty one has a byte, or botocore's errors for infrastructure
    failures. HeadObject would cost the same, but its errors have no code.
    """
    first = {"Range": "bytes=0-0"} if upload.size else {}
    try:
        answer = client.get_object(**_pinned(upload), **first)
    except ClientError as error:
        raise consequence(client, upload, error) from error
    answer["Body"].close()
    if not upload.size and answer["ContentLength"]:
        raise ValueError(f"It was announced as empty, but has {answer['ContentLength']} bytes.")


def fetcher(client: Any, upload: Upload) -> Fetch:
    """A function that gets the bytes of [start, end) of the version that was uploaded, and of no other.

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
    """What an error of S3 about a version means for its upload: Gone, Rejected, or the error itself.

    Raises botocore's errors: of a key without versions that is not there, S3 is asked a second time, for its name.
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
    """A listing is consistent (and comes in the order of keys, so that the key itself is first)."""
    found = client.list_objects_v2(Bucket=version.bucket, Prefix=version.key, MaxKeys=1)
    return any(one["Key"] == version.key for one in found.get("Contents", []))


def _pinned(upload: Upload) -> dict[str, str]:
    version = {"Bucket": upload.bucket, "Key": upload.key, "VersionId": upload.version_id}
    return version | {"IfMatch": f'"{upload.etag}"'}  # works without versioning too: two files are never mixed
