"""Makes careless mistakes in the template and the scripts, one at a time, and reports those that no test notices.

    python -m tools.mutations template            # every switch, number and entry of the resources; or --sample 60
    python -m tools.mutations scripts             # those of tools/mutations.toml, made by hand
    python -m tools.mutations pipeline            # of src/, where mutmut (make mutate) takes too long or does not look

The mistakes are made in a copy of the project below build/. Each of the tests that could notice runs until the first
failure. Exit status: 0 when every mistake was noticed or has a reason why it need not be, 1 otherwise.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
COPY: Final = ROOT / "build/mutations"
TABLE: Final = Path(__file__).with_suffix(".toml")
SECONDS: Final = 600
TEMPLATE_TESTS: Final = (
    "tests/unit/test_template.py tests/unit/test_relations.py tests/unit/test_parameters.py "
    "tests/unit/test_outputs.py tests/unit/test_replacement.py tests/unit/test_watch.py tests/unit/test_partitions.py "
    "tests/unit/test_deploy_role.py"
)
# What no test has to notice: words for people, suppressions of scanners, and tags, which are all alike
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
    at: int = -1  # -1: the only place where it is
    reason: str = ""  # why no test needs to notice it

    def apply(self, project: Path) -> str:
        """Changes the file in `project` and returns what it was. Raises ValueError where the text is not there once."""
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
    """Makes the mistakes of one area and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("area", choices=["template", *tomllib.loads(TABLE.read_text())])
    parser.add_argument("--sample", type=int, help="the number of changes to try, chosen by --seed; default: all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    mutations = list(of_template() if given.area == "template" else of_table(given.area))
    if given.sample and given.sample < len(mutations):
        mutations = random.Random(given.seed).sample(mutations, given.sample)
    copy()
    survivors = [mutation for mutation in mutations if not noticed(mutation)]
    unexplained = [mutation for mutation in survivors if not mutation.reason]
    for mutation in survivors:
        print(f"not noticed: {mutation}" + (f"  ({mutation.reason})" if mutation.reason else ""))
    share = 100 * (len(mutations) - len(survivors)) / len(mutations)
    print(f"{given.area}: {len(mutations) - len(survivors)} of {len(mutations)} mistakes were noticed ({share:.0f} %)")
    return int(bool(unexplained))


def copy() -> None:
    """The project as it is in the working tree, with what was built of it."""
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
    """Whether a test fails. One that hangs has noticed it too."""
    before = mutation.apply(COPY)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutation.tests.split()]
    try:
        environ = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # or what was compiled before may be taken for the same
        done = subprocess.run(command, cwd=COPY, env=environ, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return True
    finally:
        (COPY / mutation.file).write_text(before)
    if done.returncode not in (0, 1, 2):  # 5: there are no such tests
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout.decode()[-2000:]}{done.stderr.decode()[-2000:]}")
    return done.returncode != 0


def of_table(area: str) -> Iterator[Mutation]:
    """What was written down by hand."""
    for row in tomllib.loads(TABLE.read_text())[area]:
        yield Mutation(row["file"], row["before"], row["after"], row["tests"], reason=row.get("reason", ""))


def of_template() -> Iterator[Mutation]:
    """Of every resource: each switch turned, each number one more, each entry left out."""
    text = (ROOT / "template.yaml").read_text()
    top = dict(pairs(yaml.compose(text, Loader=yaml.SafeLoader)))
    for _, resource in pairs(top["Resources"]):
        yield from within(resource, text)


def within(node: yaml.Node, text: str) -> Iterator[Mutation]:
    """The mistakes that can be made below a node."""
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
    """Another value of the same kind, None where there is none that somebody might write by mistake."""
    if node.value in OPPOSITES:
        return OPPOSITES[node.value]
    if node.value.isdecimal() and not node.value.startswith("2012"):
        return str(int(node.value) + 1)
    return None


def at(node: yaml.ScalarNode, text: str, value: str) -> Mutation:
    """The node's value becomes another, in the same quotes."""
    before = text[node.start_mark.index : node.end_mark.index]
    after = before.replace(node.value, value)
    return Mutation("template.yaml", before, after, TEMPLATE_TESTS, node.start_mark.index)


def pairs(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """Names and values of a mapping."""
    for key, value in node.value:
        yield key.value, value


if __name__ == "__main__":
    sys.exit(main())
