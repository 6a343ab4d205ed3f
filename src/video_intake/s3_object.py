"""One version of an S3 object: what it is, and ranges of it."""

from typing import Any

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from video_intake import uploads
from video_intake.decoding_job import Fetch
from video_intake.media import verdicts
from video_intake.media.verdicts import Gone
from video_intake.uploads import Upload, Version

# The version was deleted (its place may be taken by a delete marker), or replaced where there are no versions.
GONE = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "PreconditionFailed", "404", "405", "412"})
BODY_ATTEMPTS = 3  # botocore repeats a request that fails, but not a body that breaks off while it is read


def described(client: Any, version: Version, rerun: str = "") -> Upload:
    """The version as S3 would have announced it.

    Raises Gone, or botocore's errors for infrastructure failures.
    """
    try:
        head = client.head_object(Bucket=version.bucket, Key=version.key, VersionId=version.version_id)
    except ClientError as error:
        raise consequence(error) from error
    return uploads.stored(version, head, rerun)


def fetcher(client: Any, upload: Upload) -> Fetch:
    """A function that gets the bytes of [start, end) of the version that was uploaded, and of no other.

    It raises Gone, Rejected (archived), or botocore's errors for infrastructure failures.
    """

    def fetch(start: int, end: int) -> bytes:
        for attempt in range(1, BODY_ATTEMPTS + 1):
            try:
                body: bytes = client.get_object(
                    Bucket=upload.bucket,
                    Key=upload.key,
                    VersionId=upload.version_id,
                    IfMatch=f'"{upload.etag}"',  # holds where versions do not: two files are never mixed
                    Range=f"bytes={start}-{end - 1}",
                )["Body"].read()
                if len(body) == end - start:
                    return body
                raise IncompleteReadError(actual_bytes=len(body), expected_bytes=end - start)
            except ClientError as error:
                raise consequence(error) from error
            except (HTTPClientError, IncompleteReadError):
                if attempt == BODY_ATTEMPTS:
                    raise
        raise AssertionError("not reached: the last attempt returns or raises")

    return fetch


def consequence(error: ClientError) -> Exception:
    """What an error of S3 means for the upload: the same error where it is the world's fault."""
    code = str(error.response["Error"]["Code"])
    if code in GONE:
        return Gone(code)
    if code == "InvalidObjectState":
        storage_class = error.response["Error"].get("StorageClass", "GLACIER")
        return verdicts.archived(storage_class)
    fault: Exception = error
    return fault
