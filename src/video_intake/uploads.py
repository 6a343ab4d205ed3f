"""An upload: one version of one object, how AWS names it, and where its results are written.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote_plus

SUFFIXES: Final = (".mp4", ".MP4", ".mov", ".MOV", ".avi", ".AVI")  # those that template.yaml has S3 announce
RERUN: Final = "videoIntakeAttempt"  # field that names a deliberate rerun (scripts/replay.py); S3 sends none

RESULTS: Final = "results/"
RESULT_NAMES: Final = ("result.json", "poster.jpg", "storyboard.jpg", "storyboard.vtt")
MAX_KEY_BYTES: Final = 1024  # of any S3 key, in UTF-8


@dataclass(frozen=True)
class Version:
    """One version of one object."""

    bucket: str
    key: str
    version_id: str  # "null" where versioning was suspended


@dataclass(frozen=True)
class Upload(Version):
    """One version of one object, as S3 announced it."""

    size: int  # bytes
    etag: str  # without quotes
    sequencer: str  # hexadecimal; orders the events of one key, nothing else
    event_time: str  # ISO 8601, UTC
    rerun: str = ""  # see RERUN: the same version under another one is not a duplicate


def parse(event: dict[str, Any]) -> list[Upload]:
    """The uploads in `event`, in its order; none for the test event that S3 sends when a rule is made.

    Raises ValueError for anything that is not an S3 object-created notification: such an event is a
    wiring mistake that should be seen, and must not pass as "nothing to do".
    """
    if event.get("Event") == "s3:TestEvent":
        return []
    try:
        return [_upload(record) for record in event["Records"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an S3 event notification: {error!r}") from error


def stored(version: Version, described: dict[str, Any], rerun: str = "") -> Upload:
    """The upload that S3 describes: an answer of HeadObject, or an entry of ListObjectVersions with its size."""
    size = described["ContentLength"] if "ContentLength" in described else described["Size"]
    etag, modified = described["ETag"].strip('"'), timestamp(described["LastModified"])
    version_id = described.get("VersionId") or version.version_id or "null"
    return Upload(version.bucket, version.key, version_id, size, etag, "", modified, rerun)


def timestamp(moment: datetime) -> str:
    """`moment` as S3 writes it: ISO 8601, UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def folder(version: Version) -> str:
    """The prefix of everything that belongs to a version, known from its key and version ID.

    A key too long for that is cut, and told apart by its SHA-256.
    """
    tail = f"/{version.version_id}/"
    room = MAX_KEY_BYTES - len(RESULTS) - len(tail) - max(map(len, RESULT_NAMES))
    key = version.key.encode()
    if len(key) > room:
        digest = "~" + hashlib.sha256(key).hexdigest()
        return RESULTS + key[: room - len(digest)].decode(errors="ignore") + digest + tail
    return RESULTS + version.key + tail


def _upload(record: dict[str, Any]) -> Upload:
    if not record["eventName"].startswith("ObjectCreated:"):
        raise ValueError(f"not an upload: {record['eventName']}")
    entity = record["s3"]["object"]
    return Upload(
        bucket=record["s3"]["bucket"]["name"],
        key=unquote_plus(entity["key"]),  # once: a key may itself contain "%20"
        version_id=entity.get("versionId", "null"),
        size=int(entity["size"]),
        etag=entity["eTag"],
        sequencer=entity.get("sequencer", ""),
        event_time=record["eventTime"],
        rerun=str(record.get(RERUN, "")),
    )
