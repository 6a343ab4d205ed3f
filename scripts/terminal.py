"""Progress and results on a terminal, or as plain text if the output is not a terminal."""

import sys
from collections.abc import Sequence
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.status import Status
from rich.table import Table
from rich.text import Text

from scripts.readable import effort, facts, name, verdict
from video_intake.document import Result
from video_intake.messages import bytes_text, visible

WIDE = 200  # columns if the output is a file, so that nothing is wrapped
HEADINGS = ("Key", "Verdict", "Facts", "Time", "Requests", "Read", "Of")


def console(out: TextIO | None = None) -> Console:
    """Writes to `out` (default: stdout) without interpreting markup or highlighting paths and numbers."""
    plain = not (out or sys.stdout).isatty()
    return Console(file=out, highlight=False, markup=False, emoji=False, soft_wrap=plain, width=WIDE if plain else None)


class Progress:
    """Shows the current step: on a terminal in a line that is rewritten, otherwise in a line for each."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._console = console(out)
        self._status = Status("", console=self._console) if self._console.is_terminal else None

    def __call__(self, text: str) -> None:
        if self._status:
            self._status.update(Text(visible(text)))
            self._status.start()
        else:
            self._console.print(visible(text))

    def clear(self) -> None:
        """Removes the line from the terminal."""
        if self._status:
            self._status.stop()


class Bar:
    """A progress bar with the current item, on a terminal only."""

    def __init__(self, of: int, out: TextIO = sys.stderr) -> None:
        console_ = console(out)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
        self._progress = RichProgress(*columns, console=console_, transient=True, disable=not console_.is_terminal,
                                      redirect_stdout=False, redirect_stderr=False)  # fmt: skip
        self._task = self._progress.add_task("", total=of)

    def show(self, done: int, at_work: str) -> None:
        self._progress.update(self._task, completed=done, description=visible(at_work))
        self._progress.start()

    def clear(self) -> None:
        """Removes the bar from the terminal until the next `show`."""
        self._progress.stop()


def table(results: Sequence[Result]) -> Table:
    """A row for each result. Print it with a `console`, because keys may look like markup."""
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in HEADINGS:
        number = heading in ("Time", "Requests", "Read", "Of")
        drawn.add_column(heading, justify="right" if number else "left", no_wrap=number or heading == "Verdict",
                         overflow="fold")  # fmt: skip
    for result in results:
        cost, playable = result["inspection"], "failure" not in result
        drawn.add_row(
            name(result), Text(verdict(result), "green" if playable else "red"),
            facts(result) if playable else "", f"{cost['durationMs']} ms", str(cost["requests"]),
            bytes_text(cost["bytesRead"]), bytes_text(result["source"]["size"]),
        )  # fmt: skip
    return drawn


def summary(result: Result) -> Text:
    """A few lines about one result: verdict and key, then facts or message and advice, then the effort."""
    playable = "failure" not in result
    lines = Text.assemble((verdict(result), "bold green" if playable else "bold red"), "  ",
                          (name(result), "bold"))  # fmt: skip
    said = [facts(result), *result["warnings"]] if "failure" not in result else [
        result["failure"]["message"], result["failure"]["advice"]]  # fmt: skip
    for line in said:
        lines.append(f"\n  {visible(line)}")
    return lines.append(f"\n  {effort(result)}", "dim")
