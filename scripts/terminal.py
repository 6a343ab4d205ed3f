"""What a terminal shows of a run: progress while it works, a table of results afterwards."""

import shutil
import sys
import unicodedata
from typing import TextIO

from video_intake.document import Result
from video_intake.messages import bytes_text

HEADINGS = ("key", "verdict", "format", "codec", "displayed", "length", "time", "requests", "read", "of stored")
WIDTHS = (4, 19, 6, 12, 11, 8, 8, 8, 7, 9)  # what the columns take as a rule, where they cannot wait for all rows
MAX_KEY_WIDTH = 60
BAR_WIDTH = 24


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


class Bar:
    """How many are done and which is at work, on a terminal only."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._progress, self._live = Progress(out), out.isatty()

    def show(self, done: int, of: int, name: str) -> None:
        if self._live:
            full = BAR_WIDTH * done // of
            room = shutil.get_terminal_size().columns - BAR_WIDTH - 2 * len(str(of)) - 6
            self._progress(f"[{'#' * full}{'.' * (BAR_WIDTH - full)}] {done}/{of} {name[-max(room, 0) :]}")

    def clear(self) -> None:
        self._progress.clear()


class Table:
    """A table whose rows are printed one by one: the columns are as wide as they usually need to be."""

    def __init__(self, headings: tuple[str, ...], widths: tuple[int, ...], keys: list[str]) -> None:
        longest = max(map(_width, keys), default=0)
        self._widths = [max(widths[0], min(longest, MAX_KEY_WIDTH)), *widths[1:]]
        self._head: str | None = "\n".join(_line(line, self._widths) for line in (headings, _rule(self._widths)))

    def row(self, cells: tuple[str, ...]) -> str:
        """The text of a row, below that of the head if it is the first."""
        head, self._head = self._head, None
        return "\n".join(filter(None, [head, _line(cells, self._widths)]))


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
    return "\n".join(_line(line, widths) for line in (headings, _rule(widths), *rows))


def _rule(widths: list[int]) -> tuple[str, ...]:
    return tuple("-" * width for width in widths)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = (cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def _width(text: str) -> int:
    """Columns on a terminal: an emoji takes two, an accent of its own none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
