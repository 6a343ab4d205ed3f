"""The scripts use only features of bash 3.2, the version of macOS, as far as a search for newer ones can tell."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted([*ROOT.glob("scripts/*.sh"), *ROOT.glob("scripts/shell/*.sh")])

# Features that bash 3.2 lacks, with the version that introduced them.
NEWER = {
    r"\b(declare|local|typeset) -[a-zA-Z]*[Ang]": "associative arrays (4.0), namerefs (4.3), -g (4.2)",
    r"\b(mapfile|readarray|coproc)\b": "4.0",
    r"\$\{[\w@*\[\]]+(\^|,,?[}a-zA-Z])": "changing case (4.0)",
    r"\$\{[\w@*\[\]]+@[A-Za-z]\}": "parameter transformation (4.4)",
    r"\[-\d+\]": "negative subscripts (4.3)",
    r"\[\[? -v ": "4.2",
    r"&>>|\|&": "4.0",
    r";;?&": "falling through in case (4.0)",
    r"\bwait -n\b": "4.3",
    r"\bread\b[^|;\n]* -(N|i)\b": "4.0",
    r"read\b[^|;\n]* -t 0?\.": "fractions of a second (4.0)",
    r"%\(.*\)T": "times in printf (4.2)",
    r"\{\d+\.\.\d+\.\.": "steps in braces (4.0)",
    r"\bshopt -s (globstar|lastpipe|inherit_errexit)": "4.0, 4.2, 4.4",
    r"\$(EPOCHSECONDS|EPOCHREALTIME|SRANDOM|BASHPID)\b": "4.0, 5.0, 5.1",
    r"\bexec \{\w+\}": "naming a descriptor (4.1)",
}
# Under `set -u`, bash before 4.4 treats an empty array as unset. ${a[@]+"${a[@]}"} is safe.
BARE_ARRAY = re.compile(r'(?<!\+)"\$\{(\w+)\[[@*]\]\}"')
NEVER_EMPTY = {"parameters", "tags", "keep", "what"}  # filled before they are used


def code(script: Path) -> str:
    """Without comments, and without the text of --help."""
    text = re.sub(r"<<'TEXT'\n.*?\nTEXT\n", "\n", script.read_text(), flags=re.DOTALL)
    return re.sub(r"(^|\s)#.*", "", text)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_use_nothing_newer_than_bash_3_2(script: Path) -> None:
    found = {pattern: why for pattern, why in NEWER.items() if re.search(pattern, code(script), re.MULTILINE)}
    assert not found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_array_that_may_be_empty_is_expanded_bare(script: Path) -> None:
    assert set(BARE_ARRAY.findall(code(script))) <= NEVER_EMPTY


@pytest.mark.parametrize(
    "line",
    [
        "declare -A found", "local -n name=$1", "mapfile -t lines", "echo ${name,,}", "echo ${name^^}", "echo ${x@Q}",
        "echo ${list[-1]}", "[ -v name ]", "run &>>log", "run |& tee", "wait -n", "printf '%(%F)T'", "echo {1..9..2}",
        "read -t 0.1 x", "shopt -s globstar", "exec {log}>file", "echo $EPOCHSECONDS", "a) x ;;&", "read -N 1 x",
    ],
)  # fmt: skip
def test_the_patterns_find_their_examples(line: str) -> None:
    assert any(re.search(pattern, line) for pattern in NEWER)
