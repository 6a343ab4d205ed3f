"""Formats a result for people, in the terminal and on a page."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from scripts.cost import GB, PRICES
from video_intake.document import Result
from video_intake.messages import CODECS, bytes_text, visible


def name(result: Result) -> str:
    """The key of the video, with its bucket if that is not the result's bucket."""
    source = result["source"]
    elsewhere = source["bucket"] != result.get("resultBucket", source["bucket"])
    return visible(f"s3://{source['bucket']}/{source['key']}" if elsewhere else source["key"])


def verdict(result: Result) -> str:
    """ "playable", or the reason for the rejection."""
    return result["failure"]["reason"] if "failure" in result else "playable"


def facts(result: Result) -> str:
    """The main facts of a playable video on one line: picture, rate, length, sound, format."""
    video, container = result["video"], result["container"]
    parts = [f"{video['displayWidth']} × {video['displayHeight']}", CODECS.get(video["codec"], video["codec"])]
    if video["frameRate"]:
        parts.append(f"{float(Fraction(video['frameRate'])):.4g} fps")
    if video["hdr"]:
        parts.append(f"HDR ({video['hdr']})")
    if container["duration"]:
        parts.append(clock(container["duration"]))
    sounds = {track["codec"].upper() for track in result["audio"]}
    parts += [" and ".join(sorted(sounds)) if sounds else "no sound", container["format"].upper()]
    return visible(" · ".join(parts))


def details(result: Result) -> list[tuple[str, str]]:
    """Names and values of further details."""
    found: list[tuple[str, Any]] = []
    if "failure" in result:
        found = list(result["failure"]["evidence"].items())
    else:
        video, container = result["video"], result["container"]
        device = " ".join(filter(None, (container["deviceMake"], container["deviceModel"])))
        found = [
            ("Profile", video["profile"]),
            ("Stored as", f"{video['width']} × {video['height']}, {video['pixelFormat']}"),
            ("Rotation", f"{video['rotation']}°" if video["rotation"] else None),
            ("Frames", f"{video['frames']:,}" if video["frames"] else None),
            ("Color transfer", video["colorTransfer"]),
            ("Bit rate", f"{container['bitRate'] / 1e6:.3g} Mbit/s" if container["bitRate"] else None),
            ("Recorded", container["recordedAt"] or container["creationTime"]),
            ("Device", device or None),
        ]
    source = result["source"]
    found += [
        ("Size", bytes_text(source["size"])),
        ("Version", source["versionId"]),
        ("Uploaded", source["uploadedAt"]),
    ]
    return [(visible(name), visible(str(value))) for name, value in found if value not in (None, "")]


def effort(result: Result) -> str:
    """Time, requests and bytes of the inspection."""
    spent, size = result["inspection"], result["source"]["size"]
    requests = "1 request" if spent["requests"] == 1 else f"{spent['requests']} requests"
    return f"{spent['durationMs']} ms · {requests} · {bytes_text(spent['bytesRead'])} of {bytes_text(size)} read"


def dollars_per_thousand(results: Sequence[Result]) -> float:
    """The average cost of inspecting a thousand such videos: Lambda's duration and S3's requests."""
    milliseconds = sum(result["inspection"]["durationMs"] for result in results)
    requests = sum(result["inspection"]["requests"] for result in results)
    spent = milliseconds / 1000 * GB * PRICES["arm64"].dollars + requests * PRICES["get"].dollars / PRICES["get"].per
    return 1000 * spent / len(results) if results else 0.0


def clock(seconds: float) -> str:
    """7325.4 as "2:02:05", 12 as "0:12", 0.4 as "0.4 s"."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
