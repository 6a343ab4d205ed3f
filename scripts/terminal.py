"""What a terminal shows of a run: progress while it works, a table of results afterwards."""

import sys
import unicodedata
from typing import TextIO

from video_intake.document import Result
from video_intake.messages import bytes_text

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


def row(result: Result) -> tuple[str, ...]:
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


def _width(text: str) -> int:
    """Columns on a terminal: an emoji takes two, an accent of its own none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
