"""An upload: one version of one object, as in AWS's events, and where its results are written.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import unquote_plus

SUFFIXES: Final = (".mp4", ".MP4", ".mov", ".MOV", ".avi", ".AVI")  # those in template.yaml's notifications
RERUN: Final = "videoIntakeAttempt"  # field that names a deliberate rerun (scripts/replay.py); S3 sends none

NO_VERSION: Final = "null"  # version ID of an object that was uploaded without versioning

RESULTS: Final = "results/"
RESULTS_OF: Final = "results-of/"  # followed by the source bucket's name, if that is another bucket
RESULT_NAMES: Final = ("result.json", "poster.jpg", "storyboard.jpg", "storyboard.vtt")
MAX_KEY_BYTES: Final = 1024  # of any S3 key, in UTF-8


@dataclass(frozen=True)
class Version:
    """One version of one object."""

    bucket: str
    key: str
    version_id: str  # NO_VERSION does not distinguish contents of the same key


@dataclass(frozen=True)
class Upload(Version):
    """One version of one object, with properties from an S3 event."""

    size: int  # bytes
    etag: str  # without quotes
    sequencer: str  # hexadecimal; orders the events of one key, nothing else
    event_time: str  # ISO 8601, UTC
    rerun: str = ""  # see RERUN: with another value, the same version is not a duplicate


class Shape(Enum):
    """The sender of an event, by its format."""

    NOTIFICATION = auto()  # S3, for the stack's own bucket; scripts/replay.py, for any
    EVENTBRIDGE = auto()  # S3 through EventBridge, for a bucket that existed before the stack
    BATCH = auto()  # S3 Batch Operations, of either schema (batch.py)
    TEST = auto()  # S3, when a notification is configured


def shape(event: Any) -> Shape:
    """The format of `event`. Only this function distinguishes them.

    Raises ValueError for any other, which is a configuration mistake that must not pass as "nothing to do".
    """
    match event:
        case {"invocationSchemaVersion": _, "tasks": _}:
            return Shape.BATCH
        case {"Event": "s3:TestEvent"}:
            return Shape.TEST
        case {"source": "aws.s3", "detail-type": _}:
            return Shape.EVENTBRIDGE
        case {"Records": [_, *_]}:
            return Shape.NOTIFICATION
        case dict():
            raise ValueError("This is not an S3 event: it has no Records, and its source is not aws.s3.")
    raise ValueError("This is not an S3 event: it is not a JSON object.")


def parse(event: Any) -> list[Upload | ValueError]:
    """The upload in each record of `event`, in order; none for the test event.

    A malformed record is returned as a ValueError, so that it does not stop the others. Raises ValueError as `shape`
    does, and for S3 Batch Operations.
    """
    match shape(event):
        case Shape.TEST:
            return []
        case Shape.EVENTBRIDGE:
            return [_from_eventbridge(event)]
        case Shape.NOTIFICATION:
            records = event["Records"]
            return [_upload(record, f"Record {number} of {len(records)}") for number, record in enumerate(records, 1)]
    raise ValueError("This is not an S3 event: it is an invocation by S3 Batch Operations.")


def stored(version: Version, described: dict[str, Any], rerun: str = "") -> Upload:
    """The upload described by a response of HeadObject or an entry of ListObjectVersions."""
    size = described["ContentLength"] if "ContentLength" in described else described["Size"]
    etag, modified = described["ETag"].strip('"'), timestamp(described["LastModified"])
    version_id = described.get("VersionId") or version.version_id or NO_VERSION
    return Upload(version.bucket, version.key, version_id, size, etag, "", modified, rerun)


def timestamp(moment: datetime) -> str:
    """`moment` in S3's format: ISO 8601, UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def folder(upload: Upload, home: str = "") -> str:
    """The prefix of an upload's results, in the bucket `home` ("": the upload's own).

    It depends only on bucket, key and version ID, and for NO_VERSION on the ETag. It is unique: a key that is too long
    is shortened and identified by its SHA-256, and results of other buckets have a separate prefix.
    """
    root = RESULTS if home in ("", upload.bucket) else f"{RESULTS_OF}{upload.bucket}/"
    content = f"-{upload.etag}" if upload.version_id == NO_VERSION and upload.etag else ""
    tail = f"/{upload.version_id}{content}/"
    room = MAX_KEY_BYTES - len(root) - len(tail) - max(map(len, RESULT_NAMES))
    key = upload.key.encode()
    if len(key) > room:
        digest = "~" + hashlib.sha256(key).hexdigest()
        return root + key[: room - len(digest)].decode(errors="ignore") + digest + tail
    return root + upload.key + tail


def _upload(record: Any, name: str) -> Upload | ValueError:
    match record:
        case {
            "eventName": str(event_name),
            "eventTime": str(event_time),
            "s3": {
                "bucket": {"name": str(bucket)},
                "object": {"key": str(encoded), "size": int(size), "eTag": str(etag)} as entity,
            },
        } if event_name.startswith("ObjectCreated:") and size >= 0:
            try:
                key = unquote_plus(encoded, errors="strict")  # once: a key may itself contain "%20"
            except UnicodeDecodeError:  # with "?" instead it would be the key of no object, and look deleted
                return ValueError(f"{name} is not an upload: its key is not UTF-8.")
            version_id, sequencer = entity.get("versionId") or NO_VERSION, entity.get("sequencer") or ""
            rerun = str(record.get(RERUN, ""))
            return Upload(bucket, key, str(version_id), size, etag, str(sequencer), event_time, rerun)
        case {"eventName": str(event_name)} if not event_name.startswith("ObjectCreated:"):
            return ValueError(f"{name} is not an upload: its eventName is {event_name}.")
    return ValueError(
        f"{name} is not an upload: eventName, eventTime, s3.bucket.name or s3.object.key, size or eTag is wrong."
    )


def _from_eventbridge(event: Any) -> Upload | ValueError:
    """An event from EventBridge: its key is not URL-encoded, and without versioning it has no version ID."""
    match event:
        case {
            "detail-type": "Object Created",
            "time": str(time),
            "detail": {
                "bucket": {"name": str(bucket)},
                "object": {"key": str(key), "size": int(size), "etag": str(etag)} as entity,
            },
        } if size >= 0:
            version_id, sequencer = entity.get("version-id") or NO_VERSION, entity.get("sequencer") or ""
            return Upload(bucket, key, str(version_id), size, etag, str(sequencer), time)
        case {"detail-type": str(kind)} if kind != "Object Created":
            return ValueError(f"The event is not an upload: its detail-type is {kind}.")
    return ValueError(
        "The event is not an upload: time, detail.bucket.name or detail.object.key, size or etag is wrong."
    )
