"""Finds unidiomatic English in everything that people read: `make lint` runs it over every tracked text file.

In Python that is comments, strings, docstrings and the names of tests; in other files every line. No checker on PyPI
has these phrases, which are the ones that this project's authors tend to write. Prints FILE:LINE and what to write
instead.
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PHRASES: Final = {
    r"(?<!there\s)\b(is|are|was|were) no (?!(longer|more|less|use|need|way|such|later|other|doubt)\b)[a-z]+": (
        '"is not a", "there is no"'
    ),
    r"so many\b(?! (that|as)\b)": '"the number of"',
    r"tells? (of|the rest|only|what|which|where|whether|why|how)\b|they only tell\b": '"report", "show", "say"',
    r"(asks|demands|answers) nobody": '"asks no one"',
    r"\bbeside\b": '"compared with", "next to", "in addition to"',
    r"\bbehind (it|them|this|that)\b": '"after", "in back of"',
    r"\b(lies|lie) (in|under|below|above|on|at|there|here)\b": '"is", "are"',
    r"\b(whoever|whosoever)\b": '"anyone who", "the person who"',
    r"\bof (its|their|your|his) own\b": '"separate", "dedicated", "your own"',
    r"\bby itself\b|\bby themselves\b": '"automatically", "alone"',
    r"\balarms? (ring|rings|rang)\b|\bring the alarm\b|\brings (for|when|at|after)\b": '"trigger", "notify"',
    r"\bcomes? to (its|an|the) (outcome|end|result)\b|\bcame to (its|their) outcome\b": '"has a result", "ends"',
    r"\bfaults? of the world\b": '"an infrastructure failure", "a transient error"',
    r"\bbecome of|\bbecame of\b": '"happened to"',
    r"\bmade? anew\b|\bbuilt anew\b": '"again", "recreate"',
    r"\bgoes on by itself|\bcommand goes on\b": '"run the same command again to continue"',
    r"\bthe reason is above\b": '"see the error above"',
    r"\b(colour|behaviour|licence|centre|recognis|organis|favour|grey|catalogue)\w*\b": "the American spelling",
}
SPACE: Final = r"(?:\s|^[ ]*#)+"  # a phrase may go on in the next line
PATTERN: Final = re.compile(
    "|".join(f"(?P<p{n}>{phrase.replace(' ', SPACE)})" for n, phrase in enumerate(PHRASES)),
    re.IGNORECASE | re.MULTILINE,
)
ADVICE: Final = list(PHRASES.values())
TEST_NAME: Final = re.compile(r"def (test_\w+)")

# Files that are not searched, with the reason.
EXCEPTIONS: Final = {
    "tools/words.py": "the table of phrases itself",
    "tests/unit/test_words.py": "examples of each phrase",
}


def main(files: list[str]) -> int:
    """The exit status: 1 when a file has such a phrase."""
    found = [each for name in files if name not in EXCEPTIONS for each in complaints(Path(name))]
    print("\n".join(found), end="\n" if found else "")
    return int(bool(found))


def complaints(file: Path) -> Iterator[str]:
    """Each phrase of a file that should be worded differently, as FILE:LINE with advice."""
    text = file.read_text(encoding="utf-8", errors="replace")
    for line, words in prose(text) if file.suffix == ".py" else [(1, text)]:
        for match in PATTERN.finditer(words):
            number = line + words.count("\n", 0, match.start())
            advice = next(ADVICE[int(name[1:])] for name, value in match.groupdict().items() if value)
            yield f"{file}:{number}: {' '.join(match[0].split())!r}; write {advice}"


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Comments, strings and names of tests of a Python file, each with its first line."""
    kinds = (tokenize.COMMENT, tokenize.STRING, tokenize.FSTRING_MIDDLE)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in kinds:
            yield token.start[0], token.string
    for match in TEST_NAME.finditer(source):
        yield source.count("\n", 0, match.start()) + 1, match[1].replace("_", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
