"""A mistake that a careless engineer could make: one place of one file is changed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutation:
    """A mistake: `before`, which is at `at` in the file, becomes `after`."""

    file: str
    before: str
    after: str
    tests: str
    at: int = -1  # -1: the only occurrence
    reason: str = ""  # why no test needs to notice it

    def apply(self, project: Path) -> str:
        """Changes the file in `project` and returns its old text. Raises ValueError unless `before` occurs once."""
        text = (project / self.file).read_text()
        if self.at < 0 and text.count(self.before) != 1:
            raise ValueError(f"{self.file} has {self.before!r} {text.count(self.before)} times")
        at = text.index(self.before) if self.at < 0 else self.at
        (project / self.file).write_text(text[:at] + self.after + text[at + len(self.before) :])
        return text

    def __str__(self) -> str:
        lines = (ROOT / self.file).read_text()[: self.at].count("\n") + 1 if self.at >= 0 else 0
        place = f"{self.file}:{lines}" if lines else self.file
        return f"{place}: {' '.join(self.before.split())[:70]} → {' '.join(self.after.split())[:70] or '(nothing)'}"
