"""One version of an S3 object: what it is, and ranges of it."""

from typing import Any

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from batch import Task
from events import Upload, timestamp
from range_reader import Fetch
from verdicts import Gone, Rejected

# The version was deleted (its place may be taken by a delete marker), or replaced where there are no versions.
GONE = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "PreconditionFailed", "404", "405", "412"})
BODY_ATTEMPTS = 3  # botocore repeats a request that fails, but not a body that breaks off while it is read


def announced(client: Any, task: Task) -> Upload:
    """The version that a task means, as S3 would have announced it.

    Raises Gone, or botocore's errors for faults of the world.
    """
    try:
        head = client.head_object(Bucket=task.bucket, Key=task.key, VersionId=task.version_id)
    except ClientError as error:
        raise consequence(error) from error
    size, etag, modified = head["ContentLength"], head["ETag"].strip('"'), timestamp(head["LastModified"])
    return Upload(task.bucket, task.key, task.version_id, size, etag, "", modified, task.attempt)


def fetcher(client: Any, upload: Upload) -> Fetch:
    """A function that gets the bytes of [start, end) of the version that was uploaded, and of no other.

    It raises Gone, Rejected("archived"), or botocore's errors for faults of the world.
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
            except (HTTPClientError, IncompleteReadError) as error:
                if isinstance(error.kwargs.get("error"), MemoryError):  # the file's fault: see memory.ceiling
                    raise MemoryError from error
                if attempt == BODY_ATTEMPTS:
                    raise
        raise AssertionError("not reached: the last attempt returns or raises")

    return fetch


def require(client: Any, upload: Upload) -> None:
    """Raises Gone unless the version is there, or botocore's errors for faults of the world."""
    try:
        client.head_object(Bucket=upload.bucket, Key=upload.key, VersionId=upload.version_id)
    except ClientError as error:
        raise consequence(error) from error


def consequence(error: ClientError) -> Exception:
    """What an error of S3 means for the upload: the same error where it is the world's fault."""
    code = str(error.response["Error"]["Code"])
    if code in GONE:
        return Gone(code)
    if code == "InvalidObjectState":
        storage_class = error.response["Error"].get("StorageClass", "GLACIER")
        return Rejected("archived", storageClass=storage_class)
    fault: Exception = error
    return fault
