"""What is written down twice, because each tool reads a file of its own, stays the same."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_pre_commit_runs_the_versions_that_are_installed_for_make_lint() -> None:
    installed = set(re.findall(r"^\S+==[\w.]+", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    hooks = re.findall(r"additional_dependencies: \[(.+)\]", (ROOT / ".pre-commit-config.yaml").read_text())
    assert len(hooks) == 6
    assert set(hooks) <= installed
