"""Saves results and their pictures on disk, in the same folders as in the bucket."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from video_intake.document import Result

RESULT: Final = "result.json"
LONGEST_NAME: Final = 255  # bytes, on the file systems of Linux and macOS


def write(result: Result, pictures: Mapping[str, bytes], out: Path) -> Path:
    """Saves a result and its pictures, given by their keys, below `out`. Returns their folder.

    Nothing is written outside `out`, regardless of the key. Raises OSError.
    """
    document = json.dumps(result, indent=2, ensure_ascii=False).encode()
    for key, content in {**pictures, result["resultKey"]: document}.items():
        target = local(key, out)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}")
        unfinished.write_bytes(content)
        unfinished.replace(target)  # atomically: existing files are complete, so a download can be resumed
    return local(result["resultKey"], out).parent


def local(key: str, out: Path) -> Path:
    """The file of an object `results/...` or `results-of/...` below `out`."""
    parts = PurePosixPath(key).parts[1:]
    return out.joinpath(*(_name(part) for part in parts if part != ".."))


def _name(part: str) -> str:
    """A valid file name for a part of a key."""
    encoded = part.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
    if len(encoded) > LONGEST_NAME - 1:  # for the dot of the unfinished file
        encoded = encoded[:200] + b"-" + hashlib.sha256(encoded).hexdigest()[:16].encode()
    return encoded.decode(errors="ignore")


def pictures(result: Result) -> list[str]:
    """The keys of a result's pictures, and of the storyboard's times."""
    keys: list[Any] = []
    if poster := result.get("poster"):
        keys.append(poster["key"])
    if sheet := result.get("storyboard"):
        keys += [sheet["key"], sheet["vttKey"]]
    return keys
