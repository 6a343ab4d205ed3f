"""Creates the result document and its pictures from an inspection."""

from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any, Final, cast

from video_intake import document
from video_intake.media.facts import Inspection
from video_intake.media.verdicts import Rejected
from video_intake.uploads import Upload, folder

SCHEMA_VERSION: Final = "1.1"  # minor: fields added; major: fields changed or gone


def result(upload: Upload, outcome: Inspection | Rejected, cost: document.Cost, home: str = "") -> document.Result:
    """The result document, for the bucket `home`; a failure omits the fields of a success."""
    where = folder(upload, home)
    made: document.Result = {
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
        "resultBucket": home or upload.bucket,
        "resultKey": where + "result.json",
        "inspection": cost,
    }
    if isinstance(outcome, Rejected):
        made["failure"] = {
            "reason": outcome.reason,
            "message": outcome.message,
            "advice": outcome.advice,
            "evidence": outcome.evidence,
        }
        return made
    made["container"] = cast("document.Container", _json(outcome.container))
    made["video"] = cast("document.Video", _json(outcome.video))
    made["audio"] = [cast("document.Audio", _json(track)) for track in outcome.audio]
    made["poster"] = _poster(where, outcome)
    made["storyboard"] = _storyboard(where, outcome)
    made["warnings"] = [*_misnamed(upload, outcome), *outcome.warnings]
    return made


def pictures(made: document.Result, outcome: Inspection | Rejected) -> dict[str, bytes]:
    """The files of a result document, by key."""
    files: dict[str, bytes] = {}
    if isinstance(outcome, Rejected):
        return files
    if outcome.poster and (poster := made.get("poster")):
        files[poster["key"]] = outcome.poster.jpeg
    if outcome.storyboard and (sheet := made.get("storyboard")):
        files[sheet["key"]] = outcome.storyboard.jpeg
        files[sheet["vttKey"]] = outcome.storyboard.vtt.encode()
    return files


def _poster(where: str, inspection: Inspection) -> document.Poster | None:
    poster = inspection.poster
    if poster is None:
        return None
    return {
        "key": where + "poster.jpg",
        "width": poster.width,
        "height": poster.height,
        "time": poster.time,
    }


def _storyboard(where: str, inspection: Inspection) -> document.Storyboard | None:
    sheet = inspection.storyboard
    if sheet is None:
        return None
    return {
        "key": where + "storyboard.jpg",
        "vttKey": where + "storyboard.vtt",
        "columns": sheet.columns,
        "rows": sheet.rows,
        "tileWidth": sheet.tile_width,
        "tileHeight": sheet.tile_height,
        "frames": sheet.frames,
    }


def _misnamed(upload: Upload, inspection: Inspection) -> list[str]:
    extension = PurePosixPath(upload.key).suffix.lower().removeprefix(".")
    actual = inspection.container.format
    return [f"The name ends in .{extension}, but the file is {actual.upper()}."] if extension != actual else []


def _json(value: Any) -> dict[str, Any]:
    """A dataclass as a dictionary with camelCase names."""
    fields = asdict(value).items()
    return {_camel(name): list(content) if isinstance(content, tuple) else content for name, content in fields}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
