"""`make test`: its environment, the groups of tests, and their limits."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.groups import group

ROOT = Path(__file__).parents[2]
PYTHONS = {  # what .venv/bin/python is, and whether everything is installed again
    "as it should be": ("exit 0", False),
    "too old": ("exit 1", True),
    "broken": ("exec /nowhere/python", True),
}


@pytest.mark.parametrize("state", PYTHONS)
def test_an_environment_whose_python_is_missing_or_too_old_is_recreated(tmp_path: Path, state: str) -> None:
    answer, again = PYTHONS[state]
    for name in ("Makefile", "requirements.txt", "src/requirements.txt", "tests/support/old_sdk.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)  # older than the mark that they are installed
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{answer}\n")
    python.chmod(0o755)
    (tmp_path / ".venv/.ready").touch()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    told = subprocess.run(
        ["make", "--dry-run", "setup"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert ("-m venv .venv" in told.stdout) == again


def test_a_test_that_hangs_is_ended_and_named(tmp_path: Path) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert 0 < settings["timeout"] <= 300
    (tmp_path / "test_hanging.py").write_text(
        "import subprocess\n\ndef test_waiting_for_a_command(): subprocess.run(['sleep', '4711'])\n"
    )
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-o", "timeout=1", "-o", "addopts="]
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider", "test_hanging.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 1
    assert "_ test_waiting_for_a_command _" in ended.stdout
    assert "Failed: Timeout" in ended.stdout


def test_tests_that_share_a_stack_run_in_one_process() -> None:
    shared = ["tests/reliability/test_versions.py::test_a[1]", "tests/reliability/test_faults.py::test_b"]
    assert len({group(name) for name in shared}) == 1
    assert group("tests/integration/test_watch.py::test_a") != group("tests/integration/test_replay.py::test_a")
    assert group("tests/unit/test_a.py::test_a") != group("tests/unit/test_b.py::test_a")
