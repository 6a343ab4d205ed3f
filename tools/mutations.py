"""Makes careless mistakes in the template and the scripts, one at a time, and reports those that no test notices.

    python -m tools.mutations template            # every switch, number and entry in the resources; or --sample 60
    python -m tools.mutations scripts             # those in tools/mutations.toml
    python -m tools.mutations media --sample 40   # operators, switches and numbers in src/video_intake/media

The mistakes are made in a copy of the project below build/; mutmut makes those in the pipeline (make mutate). The
relevant tests run until the first failure. Exit status: 0 if every mistake was noticed or has a reason why no test
needs to notice it, 1 otherwise.
"""

import argparse
import ast
import contextlib
import multiprocessing
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
COPY: Final = ROOT / f"build/mutations/{os.getpid()}"  # two areas may run in parallel
TABLE: Final = Path(__file__).with_suffix(".toml")
SECONDS: Final = 600
ME: Final = sys.modules[__name__]
FAILED: Final = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)  # INTERRUPTED: a file cannot be imported
TEMPLATE_TESTS: Final = (
    "tests/unit/test_template.py tests/unit/test_relations.py tests/unit/test_parameters.py "
    "tests/unit/test_outputs.py tests/unit/test_replacement.py tests/unit/test_watch.py tests/unit/test_partitions.py "
    "tests/unit/test_deploy_role.py"
)
UNIT: Final = "tests/unit"
# Tests that need no worker, the fastest first
MEDIA_TESTS: Final = " ".join(
    f"{UNIT}/test_{name}.py"
    for name in (
        "range_reader", "virtual_file", "display", "poster", "hdr", "facts", "inspector", "storyboard", "large_index",
        "odd_indexes", "formats", "cost",
    )
) + " tests/truth tests/unit/test_hostile.py"  # fmt: skip
OPERATORS: Final[dict[type[ast.AST], tuple[str, str]]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.FloorDiv: ("//", "*"),
}
# Not changed: texts for people, scanner suppressions, and tags, which are all the same
WORDS: Final = {
    "Description",
    "AlarmDescription",
    "Metadata",
    "Tags",
    "Label",
    "DisplayName",
    "Sid",
    "PolicyName",
    "Id",
}
OPPOSITES: Final = {
    "true": "false",
    "false": "true",
    "enabled": "disabled",
    "Enabled": "Disabled",
    "Allow": "Deny",
    "Deny": "Allow",
    "Retain": "Delete",
    "Delete": "Retain",
    "RetainExceptOnCreate": "Delete",
}


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


def main() -> int:
    """Makes the mistakes in one area and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("area", choices=["template", "media", *tomllib.loads(TABLE.read_text())])
    parser.add_argument("--sample", type=int, help="number of mistakes, selected by --seed; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="PATH", help="only files whose path contains this")
    given = parser.parse_args()
    made = {"template": of_template, "media": of_media}
    found = made[given.area]() if given.area in made else of_table(given.area)
    mutations = [mutation for mutation in found if given.only in mutation.file]
    if given.sample and given.sample < len(mutations):
        mutations = random.Random(given.seed).sample(mutations, given.sample)
    copy()
    load_libraries({path.partition("::")[0] for each in mutations for path in each.tests.split() if ".py" in path})
    survivors = []
    for number, mutation in enumerate(mutations, 1):
        print(f"{number} of {len(mutations)}: {mutation}", file=sys.stderr, flush=True)
        if not noticed(mutation):
            survivors.append(mutation)
            print(f"not noticed: {mutation}" + (f"  ({mutation.reason})" if mutation.reason else ""), flush=True)
    unexplained = [mutation for mutation in survivors if not mutation.reason]
    shutil.rmtree(COPY)
    share = 100 * (len(mutations) - len(survivors)) / len(mutations)
    print(f"{given.area}: {len(mutations) - len(survivors)} of {len(mutations)} mistakes were noticed ({share:.0f} %)")
    return int(bool(unexplained))


def copy() -> None:
    """Copies the working tree, with its build products."""
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name)
    (COPY / "build").mkdir(exist_ok=True)
    for built in [*ROOT.glob("build/*.zip"), ROOT / "build/old-sdk", ROOT / "build/videos"]:
        if built.exists():
            (COPY / "build" / built.name).symlink_to(built)
    (COPY / ".venv").symlink_to(ROOT / ".venv")


def noticed(mutation: Mutation) -> bool:
    """Whether a test fails or hangs."""
    before = mutation.apply(COPY)
    try:
        status = run([*shlex.split(mutation.tests), "-x"])
    finally:
        (COPY / mutation.file).write_text(before)
    if status not in (None, *FAILED, pytest.ExitCode.OK):
        raise RuntimeError(f"{mutation}: pytest ended with status {status}, see {COPY}/output: {mutation.tests}")
    return status != pytest.ExitCode.OK


def run(arguments: list[str]) -> int | None:
    """pytest's exit status in the copy; None if it took too long. It runs in a fork that has imported the libraries."""
    child = multiprocessing.get_context("fork").Process(target=in_copy, args=[arguments])
    child.start()
    child.join(SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid or 0, signal.SIGKILL)  # including processes that a test left running
    child.join()
    return None if child.exitcode == -signal.SIGKILL else child.exitcode


def in_copy(arguments: list[str]) -> None:
    """Runs pytest and exits."""
    os.setsid()
    os.chdir(COPY)
    output = os.open(COPY / "output", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.dont_write_bytecode = True  # so that no outdated bytecode is used
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os._exit(pytest.main(["-q", "-p", "no:cacheprovider", *arguments]))


def load_libraries(tests: set[str]) -> None:
    """Imports what the tests import, then removes the project's modules, so that each fork imports its mistake."""
    here = Path.cwd()
    os.chdir(COPY)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main(["-q", "-p", "no:cacheprovider", "--collect-only", *sorted(tests)])
    os.chdir(here)
    for name, module in list(sys.modules.items()):
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
        if any(place and ROOT in Path(place).parents and ".venv" not in place for place in places) and module is not ME:
            del sys.modules[name]


def of_table(area: str) -> Iterator[Mutation]:
    """The mistakes in the table."""
    for row in tomllib.loads(TABLE.read_text())[area]:
        yield Mutation(row["file"], row["before"], row["after"], row["tests"], reason=row.get("reason", ""))


def of_template() -> Iterator[Mutation]:
    """In every resource: each switch flipped, each number increased by one, each entry left out."""
    text = (ROOT / "template.yaml").read_text()
    top = dict(pairs(yaml.compose(text, Loader=yaml.SafeLoader)))
    for _, resource in pairs(top["Resources"]):
        yield from within(resource, text)


def of_media() -> Iterator[Mutation]:
    """In every module: each operator replaced, each switch flipped, each number increased by one."""
    for path in sorted((ROOT / "src/video_intake/media").glob("*.py")):
        text = path.read_text()
        begins = [0]
        for line in text.splitlines(keepends=True):
            begins.append(begins[-1] + len(line))
        for node in ast.walk(ast.parse(text)):
            for (row, column), before, after in changed(node, text):
                start = begins[row - 1] + column
                if (start := text.find(before, start, start + 80)) >= 0:
                    yield Mutation(str(path.relative_to(ROOT)), before, after, MEDIA_TESTS, start)


def changed(node: ast.AST, text: str) -> Iterator[tuple[tuple[int, int], str, str]]:
    """Yields a position (line and column) to search from, the text there, and a plausible mistake."""
    match node:
        case ast.Constant(value=bool(value)):
            yield (node.lineno, node.col_offset), str(value), str(not value)
        case ast.Constant(value=int(value)) if str(value) == ast.get_source_segment(text, node):
            yield (node.lineno, node.col_offset), str(value), str(value + 1)
        case ast.Compare(left=left, ops=[operator, *_]) | ast.BinOp(left=left, op=operator):
            if type(operator) in OPERATORS:
                before, after = OPERATORS[type(operator)]
                yield (left.end_lineno or 0, left.end_col_offset or 0), f" {before} ", f" {after} "
        case ast.BoolOp(op=operator, values=[left, *_]):
            before, after = OPERATORS[type(operator)]
            yield (left.end_lineno or 0, left.end_col_offset or 0), f"{before} ", f"{after} "


def within(node: yaml.Node, text: str) -> Iterator[Mutation]:
    """The mistakes below a node."""
    if isinstance(node, yaml.ScalarNode):
        if (changed := other(node)) is not None:
            yield at(node, text, changed)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from within(each, text)
    else:
        for key, value in node.value:
            if key.value in WORDS:
                continue
            if not node.flow_style and key.value not in ("Type", "Properties", "Version") and len(node.value) > 1:
                start, end = key.start_mark.index, value.end_mark.index
                yield Mutation("template.yaml", text[start:end], "", TEMPLATE_TESTS, start)
            yield from within(value, text)


def other(node: yaml.ScalarNode) -> str | None:
    """A plausible wrong value; None if there is none."""
    if node.value in OPPOSITES:
        return OPPOSITES[node.value]
    if node.value.isdecimal() and not node.value.startswith("2012"):
        return str(int(node.value) + 1)
    return None


def at(node: yaml.ScalarNode, text: str, value: str) -> Mutation:
    """Replaces the node's value, in the same quotes."""
    before = text[node.start_mark.index : node.end_mark.index]
    after = before.replace(node.value, value)
    return Mutation("template.yaml", before, after, TEMPLATE_TESTS, node.start_mark.index)


def pairs(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """Names and values of a mapping."""
    for key, value in node.value:
        yield key.value, value


if __name__ == "__main__":
    sys.exit(main())
