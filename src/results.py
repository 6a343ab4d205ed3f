"""The result of one upload as a JSON document, and where it lies. Its schema: docs/result.schema.json."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from events import Upload
from inspector import Inspection
from verdicts import REASONS, Rejected

SCHEMA_VERSION: Final = "1.0"  # minor: fields added; major: fields changed or gone
PREFIX: Final = "results/"
MAX_KEY_BYTES: Final = 1024  # of any S3 key, in UTF-8


@dataclass(frozen=True)
class Cost:
    """What one inspection took."""

    duration_ms: int
    requests: int  # ranges fetched
    round_trips: int  # of these, one after another
    bytes_read: int


def folder(upload: Upload) -> str:
    """The prefix of everything that belongs to this version: known to whoever knows key and version.

    A key too long for that is cut and told apart by its SHA-256.
    """
    tail = f"/{upload.version_id}/"
    room = MAX_KEY_BYTES - len(PREFIX) - len(tail) - len("storyboard.jpg")  # the longest name we give
    key = upload.key.encode()
    if len(key) > room:
        digest = "~" + hashlib.sha256(key).hexdigest()
        return PREFIX + key[: room - len(digest)].decode(errors="ignore") + digest + tail
    return PREFIX + upload.key + tail


def document(upload: Upload, outcome: Inspection | Rejected, cost: Cost) -> dict[str, Any]:
    """The result as JSON values; what a success has and a failure lacks is left out, not null."""
    result: dict[str, Any] = {
        "schemaVersion": SCHEMA_VERSION,
        "status": "failure" if isinstance(outcome, Rejected) else "success",
        "source": {
            "bucket": upload.bucket,
            "key": upload.key,
            "versionId": upload.version_id,
            "eTag": upload.etag,
            "size": upload.size,
            "sequencer": upload.sequencer,
            "uploadedAt": upload.event_time,
        },
        "resultKey": folder(upload) + "result.json",
        "inspection": _json(cost),
    }
    if isinstance(outcome, Rejected):
        advice = REASONS[outcome.reason].advice
        result["failure"] = {
            "reason": outcome.reason,
            "message": outcome.message,
            "advice": advice,
            "evidence": outcome.evidence,
        }
        return result
    poster = outcome.poster
    return result | {
        "container": _json(outcome.container),
        "video": _json(outcome.video),
        "audio": [_json(track) for track in outcome.audio],
        "poster": poster
        and {
            "key": folder(upload) + "poster.jpg",
            "width": poster.width,
            "height": poster.height,
            "time": poster.time,
        },
        "storyboard": _storyboard(upload, outcome),
        "warnings": [*_misnamed(upload, outcome), *outcome.warnings],
    }


def pictures(result: dict[str, Any], outcome: Inspection | Rejected) -> dict[str, bytes]:
    """The files that a result names, by their keys."""
    files: dict[str, bytes] = {}
    if isinstance(outcome, Inspection) and outcome.poster:
        files[result["poster"]["key"]] = outcome.poster.jpeg
    if isinstance(outcome, Inspection) and outcome.storyboard:
        files[result["storyboard"]["key"]] = outcome.storyboard.jpeg
        files[result["storyboard"]["vttKey"]] = outcome.storyboard.vtt.encode()
    return files


def _storyboard(upload: Upload, inspection: Inspection) -> dict[str, Any] | None:
    sheet = inspection.storyboard
    if sheet is None:
        return None
    keys = {"key": folder(upload) + "storyboard.jpg", "vttKey": folder(upload) + "storyboard.vtt"}
    names = ("columns", "rows", "tile_width", "tile_height", "frames")
    return keys | {_camel(name): getattr(sheet, name) for name in names}


def _misnamed(upload: Upload, inspection: Inspection) -> list[str]:
    extension = PurePosixPath(upload.key).suffix.lower().removeprefix(".")
    actual = inspection.container.format
    return [f"The name ends in .{extension}, but the file is {actual.upper()}."] if extension != actual else []


def _json(value: Any) -> dict[str, Any]:
    """A dataclass with its fields named as JSON people name them."""
    fields = asdict(value).items()
    return {_camel(name): list(content) if isinstance(content, tuple) else content for name, content in fields}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
