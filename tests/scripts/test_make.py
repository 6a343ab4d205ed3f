"""The Makefile's own decisions."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHONS = {  # what .venv/bin/python is, and whether everything is installed again
    "as it should be": ("exit 0", False),
    "too old": ("exit 1", True),
    "broken": ("exec /nowhere/python", True),
}


@pytest.mark.parametrize("state", PYTHONS)
def test_an_environment_whose_python_is_gone_or_too_old_is_made_again(tmp_path: Path, state: str) -> None:
    answer, again = PYTHONS[state]
    for name in ("Makefile", "requirements.txt", "src/requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
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
