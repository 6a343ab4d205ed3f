"""What the demonstration prints: progress while it works, tables and letters afterwards."""

import email.policy
import sys
import unicodedata
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any, TextIO

HEADINGS = ("key", "verdict", "format", "codec", "displayed", "length", "time", "requests", "read", "of stored")


class Progress:
    """A line that is rewritten on a terminal, and one line for each step elsewhere."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out, self._live = out, out.isatty()

    def __call__(self, text: str) -> None:
        print(f"\r\033[2K{text}" if self._live else text, end="" if self._live else "\n", file=self._out, flush=True)

    def clear(self) -> None:
        """Takes the line off the terminal."""
        if self._live:
            print("\r\033[2K", end="", file=self._out, flush=True)


def row(result: dict[str, Any]) -> tuple[str, ...]:
    """What the table says of one result."""
    cost, size = result["inspection"], result["source"]["size"]
    spent = (f"{cost['durationMs']} ms", str(cost["requests"]), bytes_text(cost["bytesRead"]), bytes_text(size))
    if "failure" in result:
        return (result["source"]["key"], result["failure"]["reason"], "", "", "", "", *spent)
    video, container = result["video"], result["container"]
    codec = video["codec"] + (f" {video['bitDepth']} bit" if video["bitDepth"] > 8 else "")
    size_shown = f"{video['displayWidth']} x {video['displayHeight']}"
    length = f"{container['duration']:.1f} s" if container["duration"] else "?"
    return (result["source"]["key"], "playable", container["format"], codec, size_shown, length, *spent)


def table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell."""
    widths = [max(_width(cell) for cell in column) for column in zip(headings, *rows, strict=True)]
    lines = [headings, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def letters(mailbox: Path, after: int = 0) -> list[EmailMessage]:
    """The e-mails in `mailbox`, in the order in which they came, without the first `after` of them."""
    parser = BytesParser(_class=EmailMessage, policy=email.policy.default)
    return [parser.parsebytes(file.read_bytes()) for file in sorted(mailbox.glob("*.eml"))[after:]]


def letter(message: EmailMessage) -> str:
    """An e-mail as a person sees it, without the footer that SNS puts under each."""
    body = message.get_body()
    text, _, _ = str(body.get_content() if body else "").partition("\n--\n")  # behind it: how to unsubscribe
    lines = [f"To: {message['To']}", f"Subject: {message['Subject']}", "", *text.strip().splitlines()]
    return "\n".join("  | " + line for line in lines).replace("  | \n", "  |\n")


def bytes_text(size: float) -> str:
    """1234567 as "1.23 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5 or unit == "GB":
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def _width(text: str) -> int:
    """Columns on a terminal: an emoji takes two, an accent of its own none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
