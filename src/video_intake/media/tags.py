"""Reads text from a file's metadata and limits its length: recording device and time, chapters, languages.

The recording location is deliberately omitted: see docs/security.md.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from av.container import InputContainer

from video_intake.media.facts import Chapter

MAX_CHAPTERS: Final = 100  # a movie has thirty
MAX_TITLE: Final = 100  # characters
MAX_TEXT: Final = 64  # characters of everything else

# The first one found is used: Apple's and Android's keys precede QuickTime's user data
MAKE: Final = ("com.apple.quicktime.make", "com.android.manufacturer", "make")
MODEL: Final = ("com.apple.quicktime.model", "com.android.model", "model")
RECORDED: Final = ("com.apple.quicktime.creationdate", "date")
RECORDED_AVI: Final = ("creation_time", "date")  # FFmpeg's name for IDIT: the camera's clock, without a zone
ISO_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?")
ASCTIME: Final = ("%a %b %d %H:%M:%S %Y", "%Y:%m:%d %H:%M:%S", "%Y/%m/%d %H:%M:%S")  # cameras' formats of IDIT


def text(value: str | None, most: int = MAX_TEXT) -> str | None:
    """Limits text, which may be in any encoding: PyAV marks bytes that are not UTF-8 with surrogates."""
    return (value[:most].encode("utf-8", "replace").decode().strip("\0 \r\n\t") or None) if value else None


def first(metadata: Mapping[str, str], keys: Iterable[str]) -> str | None:
    """The text of the first of these tags that has one."""
    return next((found for key in keys if (found := text(metadata.get(key)))), None)


def recorded_at(metadata: Mapping[str, str], *, avi: bool = False) -> str | None:
    """The recording time in ISO 8601, with a time zone if it is stated."""
    keys = RECORDED_AVI if avi else RECORDED
    return next((time for key in keys if (time := _time(text(metadata.get(key)) or ""))), None)


def language(code: str | None) -> str | None:
    """A language code; None if undetermined."""
    return None if code in (None, "", "und") else text(code)


def chapters(opened: InputContainer) -> Sequence[Chapter]:
    """The first hundred chapters."""
    return [
        Chapter(
            round(float(chapter["start"] * chapter["time_base"]), 3),
            round(float(chapter["end"] * chapter["time_base"]), 3),
            text(chapter["metadata"].get("title"), MAX_TITLE),
        )
        for chapter in opened.chapters()[:MAX_CHAPTERS]
    ]


def _time(stated: str) -> str | None:
    if found := ISO_TIME.fullmatch(stated):
        date, time, zone = found.groups(default="")
        try:
            return datetime.fromisoformat(f"{date}T{time}{zone}").isoformat()
        except ValueError:
            return None
    for form in ASCTIME:
        try:
            return datetime.strptime(stated, form).isoformat()  # noqa: DTZ007 - the camera states no time zone
        except ValueError:
            continue
    return None
