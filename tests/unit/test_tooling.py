"""Settings that several tools need in separate files are the same."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from cfn_flip import load

from tests.support.template import TEMPLATE

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
WORKFLOWS = {path.name: load(path.read_text())[0] for path in (ROOT / ".github/workflows").glob("*.yml")}
HOOKS = load((ROOT / ".pre-commit-config.yaml").read_text())[0]["repos"][0]["hooks"]


def runs(workflow) -> list[str]:
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


def makes(text: str) -> set[str]:
    return set(re.findall(r"\bmake ([a-z-]+)", text))


def pins(path: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+(?:\[\w+\])?)==([\w.]+)", (ROOT / path).read_text(), re.MULTILINE))


def test_pre_commit_uses_the_versions_in_requirements():
    installed = pins("requirements.txt")
    hooked = dict(pin.split("==") for hook in HOOKS for pin in hook.get("additional_dependencies", []))
    assert {"cfn-lint", "ruff", "shfmt-py"} <= set(installed) & set(hooked)
    assert {name: hooked[name] for name in set(installed) & set(hooked)}.items() <= installed.items()


def test_the_hashes_are_those_of_the_pinned_wheels():
    assert pins("src/wheels.txt") == pins("src/requirements.txt")
    assert (
        len(re.findall("--hash=sha256:[0-9a-f]{64}", (ROOT / "src/wheels.txt").read_text())) == 5
    )  # av for each processor


def test_every_hook_is_pinned_and_comes_from_pypi_cfn_lint_first():
    assert HOOKS[0]["id"] == "cfn-lint"
    for hook in HOOKS:
        assert hook["language"] == "python", hook["id"]
        assert all(re.fullmatch(r"[\w-]+==[\w.]+", pin) for pin in hook.get("additional_dependencies", [])), hook["id"]


def test_the_workflow_runs_every_target_of_ci_run():
    ours = makes((ROOT / ".ci/run").read_text())
    assert ours
    assert ours <= makes("\n".join(runs(WORKFLOWS["ci.yml"])))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_use_existing_targets(name):
    for line in runs(WORKFLOWS[name]):
        by_hand = line.startswith("scripts/deploy.sh ")  # where nothing may be installed: the job can ask for a token
        assert by_hand or makes(line), f"{line}: a make target fails the same way at home"
        assert makes(line) <= TARGETS


def test_an_action_is_the_same_commit_everywhere():
    used = defaultdict(set)
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        for action, commit, version in re.findall(
            r"uses: (\S+)@([0-9a-f]{40}) # (v[\d.]+)$", path.read_text(), re.MULTILINE
        ):
            used[action].add((commit, version))
    assert used
    assert all(len(pinned) == 1 for pinned in used.values()), used


def test_the_workflow_tests_the_python_of_the_function_and_the_next():
    runtime = TEMPLATE["Resources"]["ProcessorFunction"]["Properties"]["Runtime"].removeprefix("python")
    tested = WORKFLOWS["ci.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    major, minor = runtime.split(".")
    assert tested == [runtime, f"{major}.{int(minor) + 1}"]


def test_the_workflow_packages_for_every_architecture():
    matrix = WORKFLOWS["ci.yml"]["jobs"]["package"]["strategy"]["matrix"]["architecture"]
    assert matrix == TEMPLATE["Parameters"]["Architecture"]["AllowedValues"]


def test_dependabot_looks_wherever_versions_are_pinned():
    updates = load((ROOT / ".github/dependabot.yml").read_text())[0]["updates"]
    watched = defaultdict(set)
    for update in updates:
        watched[update["package-ecosystem"]] |= set(update.get("directories", [update.get("directory")]))
    kinds = {"pip": "requirements*.txt", "npm": "package.json"}
    there = {
        kind: {
            "/" + path.parent.relative_to(ROOT).as_posix().removeprefix(".")
            for path in ROOT.rglob(name)
            if not {".venv", "build", "mutants", "node_modules"} & set(path.relative_to(ROOT).parts)
        }
        for kind, name in kinds.items()
    }
    assert watched == {kind: folders for kind, folders in there.items() if folders} | {"github-actions": {"/"}}


def test_every_mistake_in_the_table_can_still_be_made():
    """A row whose text no longer exists would prove nothing; update it with the code."""
    for row in tomllib.loads((ROOT / "tools/mutations/scripts.toml").read_text())["scripts"]:
        assert (ROOT / row["file"]).read_text().count(row["before"]) == 1, row
        assert row["before"] != row["after"]
