"""Output of a long run: findings on stdout, progress and the summary on stderr."""

import contextlib
import json
import sys
import time
from collections import Counter
from typing import Final

from video_intake.messages import visible

SECONDS: Final = {True: 0.2, False: 10.0}  # between updates: on a terminal, in a log


def column(text: str) -> str:
    """`text` in a line of columns: unchanged, or as a JSON string if it could pass for more than one column or line."""
    return text if visible(text) == text and not text.startswith('"') else json.dumps(text)


def text_of(column: str) -> str:
    """The text of a column that `column` or a person wrote."""
    if column.startswith('"'):
        with contextlib.suppress(ValueError):
            return str(json.loads(column))
    return column


class Progress:
    """Counts each outcome, and prints the counts regularly and at the end."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._terminal = sys.stderr.isatty()
        self._shown = self._began = time.monotonic()

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] += number
        if time.monotonic() - self._shown >= SECONDS[self._terminal]:
            self._shown = time.monotonic()
            self._say(f"{self} after {self._shown - self._began:.0f} s", end="" if self._terminal else "\n")

    def found(self, *columns: str) -> None:
        """Prints a line on stdout, with columns separated by tabs."""
        self._wipe()
        print("\t".join(map(column, columns)), flush=True)

    def failed(self, what: str, fault: BaseException) -> None:
        self._wipe()
        print(visible(f"{what}: {type(fault).__name__}: {fault}"), file=sys.stderr)
        self.count("failed")

    def summary(self, *advice: str) -> None:
        self._wipe()
        print(" ".join([f"{self}.", *advice]), file=sys.stderr)

    def __str__(self) -> str:
        return ", ".join(f"{number} {what}" for what, number in self.counts.items() if number) or "nothing found"

    def _say(self, text: str, end: str) -> None:
        self._wipe()
        print(text, end=end, file=sys.stderr, flush=True)

    def _wipe(self) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr)
