"""The message about an outcome, in two versions: text for e-mail and JSON for programs."""

import json
import unicodedata
from fractions import Fraction
from typing import Final

from video_intake.document import Audio, Result

MAX_MESSAGE: Final = (256 << 10) - 4096  # bytes, as sent; SNS counts subject and attributes too
MAX_SUBJECT: Final = 99  # SNS: ASCII, one line, fewer than 100 characters

SHORTENED: Final = "This message omits audio tracks, chapters and warnings; see the result document at resultKey."

CODECS: Final = {
    "h264": "H.264",
    "hevc": "HEVC",
    "av1": "AV1",
    "vp9": "VP9",
    "prores": "ProRes",
    "mjpeg": "Motion JPEG",
    "mpeg4": "MPEG-4",
}


# Control, format and surrogate characters, line and paragraph separators: they change how the surrounding text is shown
UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    """Untrusted text (a key, a title, evidence) on one line, with a replacement character for each character that would
    change how the surrounding text is shown."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(each) in UNSAFE_CATEGORIES else each for each in text
    )


def message(result: Result) -> str:
    """The message body for `MessageStructure="json"`: every protocol except e-mail gets the result document.

    A message that is too long for SNS is sent without its lists, with a warning.
    """
    whole = _versions(result)
    return whole if len(whole) <= MAX_MESSAGE else _versions(_shortened(result))  # JSON is ASCII: characters are bytes


def _versions(result: Result) -> str:
    return json.dumps({"default": json.dumps(result), "email": email(result)})


def _shortened(result: Result) -> Result:
    """The result without its lists, which still conforms to the schema."""
    short = result.copy()
    if "failure" in result:
        short["failure"] = result["failure"] | {"evidence": {}}
    else:
        short["container"] = result["container"] | {"chapters": []}
        short["audio"] = []
        short["warnings"] = [SHORTENED]
    return short


def attributes(result: Result, environment: str) -> dict[str, dict[str, str]]:
    """The attributes that subscribers filter on: status, reason for a failure, and environment."""
    values = {"status": result["status"], "environment": environment}
    if "failure" in result:
        values["reason"] = result["failure"]["reason"]
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def subject(result: Result) -> str:
    """The subject line: the verdict, then the end of the key, which distinguishes files in the same folder."""
    if "failure" in result:
        head = f"Video rejected ({result['failure']['reason']}): "
    else:
        head = "Video ready: "
    name = _ascii(result["source"]["key"])
    room = MAX_SUBJECT - len(head)
    return head + (name if len(name) <= room else "..." + name[3 - room :])


def email(result: Result) -> str:
    """The text of the e-mail."""
    body = _rejection(result) if "failure" in result else _success(result)
    source = result["source"]
    places = [f"Video    s3://{source['bucket']}/{source['key']}", f"         version {source['versionId']}"]
    if poster := result.get("poster"):
        places.append(f"Poster   s3://{result['resultBucket']}/{poster['key']}")
    places.append(f"Result   s3://{result['resultBucket']}/{result['resultKey']}")
    lines = [*body, "", *places, f"Uploaded {source['uploadedAt']}", ""]
    return "\n".join(map(visible, lines))  # a line break in a key must not start a new line


def _rejection(result: Result) -> list[str]:
    failure = result["failure"]
    lines = [
        f"{result['source']['key']} is not a playable video.",
        "",
        f"Why      {failure['message']}",
        f"Advice   {failure['advice']}",
        f"Size     {bytes_text(result['source']['size'])}",
    ]
    if failure["evidence"]:
        lines.append("Details  " + ", ".join(f"{name}: {value}" for name, value in failure["evidence"].items()))
    return lines


def _success(result: Result) -> list[str]:
    video, container = result["video"], result["container"]
    codec = CODECS.get(video["codec"], video["codec"])
    picture = [f"{video['displayWidth']} x {video['displayHeight']}", f"{codec} {video['profile'] or ''}".strip()]
    if video["frameRate"]:
        picture.append(f"{float(Fraction(video['frameRate'])):.5g} frames/s")
    if video["hdr"]:
        picture.append(f"HDR ({video['hdr']}, {video['bitDepth']} bit)")
    length = _time(container["duration"]) if container["duration"] else "unknown"
    rate = f", {container['bitRate'] / 1e6:.3g} Mbit/s" if container["bitRate"] else ""
    return [
        f"{result['source']['key']} is a playable video.",
        "",
        f"Picture  {', '.join(picture)}",
        f"Length   {length}",
        f"Audio    {'; '.join(_sound(track) for track in result['audio']) or 'none'}",
        f"File     {container['format'].upper()}, {bytes_text(result['source']['size'])}{rate}",
        *(f"Note     {warning}" for warning in result["warnings"]),
    ]


def _sound(track: Audio) -> str:
    parts = [track["codec"].upper(), track["channelLayout"], track["sampleRate"] and f"{track['sampleRate']} Hz"]
    return " ".join(str(part) for part in (*parts, track["language"]) if part)


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    kept = (character for character in plain if not unicodedata.combining(character))
    return "".join(character if " " <= character <= "~" else "?" for character in kept)


def bytes_text(size: float) -> str:
    """1234567 as "1.23 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5 or unit == "GB":  # what would be rounded to 1,000
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
