"""From an S3 event notification to the uploads it tells of.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote_plus

SUFFIXES: Final = (".mp4", ".MP4", ".mov", ".MOV", ".avi", ".AVI")  # those that template.yaml has S3 announce
ATTEMPT: Final = "videoIntakeAttempt"  # names a deliberate repetition (scripts/replay.py); S3 sends none


@dataclass(frozen=True)
class Upload:
    """One version of one object, as S3 announced it."""

    bucket: str
    key: str
    version_id: str  # "null" where versioning was suspended
    size: int  # bytes
    etag: str  # without quotes
    sequencer: str  # hexadecimal; orders the events of one key, nothing else
    event_time: str  # ISO 8601, UTC
    attempt: str = ""  # see ATTEMPT: the same version under another one is no duplicate


def parse(event: dict[str, Any]) -> list[Upload]:
    """The uploads in `event`, in its order; none for the test event that S3 sends when a rule is made.

    Raises ValueError for anything that is not an S3 object-created notification: such an event is a
    wrong wiring that should be seen, and must not pass as "nothing to do".
    """
    if event.get("Event") == "s3:TestEvent":
        return []
    try:
        return [_upload(record) for record in event["Records"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an S3 event notification: {error!r}") from error


def timestamp(moment: datetime) -> str:
    """As S3 writes one: ISO 8601, UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
        attempt=str(record.get(ATTEMPT, "")),
    )
