"""Formats the function's log lines for people."""

import contextlib
import json
import time

from video_intake.messages import visible

SHOWN = ("level", "message", "key", "status", "reason")
NOISE = ("START ", "END ", "INIT_START ")
FAULTS = ("Task timed out", "Runtime exited", "Error:", "[ERROR]")  # Lambda's own error messages


def readable(milliseconds: int, message: str) -> str | None:
    """A shortened log line; None for metrics and Lambda's lines at the start and end of an invocation."""
    text = message.rstrip()
    if text.startswith(NOISE):
        return None
    if (entry := _entry(text)) is not None:
        if "_aws" in entry:
            return None
        text = "  ".join(visible(str(entry[name])) for name in SHOWN if entry.get(name))
        text += f"\n{entry['exception']}" if "exception" in entry else ""
    return f"{time.strftime('%H:%M:%S', time.localtime(milliseconds / 1000))}  {text}"


def is_error(message: str) -> bool:
    """Whether a log line gives the reason why an invocation failed."""
    entry = _entry(message)
    return any(words in message for words in FAULTS) if entry is None else entry.get("level") == "ERROR"


def _entry(text: str) -> dict[str, object] | None:
    with contextlib.suppress(json.JSONDecodeError):
        entry = json.loads(text)
        return entry if isinstance(entry, dict) else None
    return None
