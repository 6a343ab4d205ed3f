"""Makes careless mistakes, one at a time, and reports those that no test notices.

    python -m tools.mutations pipeline            # in src/, without media; or --only publisher
    python -m tools.mutations media --sample 40   # in src/video_intake/media; all of them take days
    python -m tools.mutations template            # in template.yaml
    python -m tools.mutations scripts             # those listed in scripts.toml

The mistakes are made in a copy of the project below build/, and the tests that could notice run until the first
failure. Exit status: 0 if every mistake was noticed or has a reason why no test needs to notice it, 1 otherwise.
"""

import argparse
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tools.mutations import of_python, of_template
from tools.mutations.mutation import ROOT, Mutation

COPY: Final = ROOT / f"build/mutations/{os.getpid()}"  # two areas may run in parallel
SECONDS: Final = 600  # of the tests for one mistake
# INTERRUPTED: a test file cannot be imported; USAGE_ERROR: tests/conftest.py cannot be, because the tests are there
FAILED: Final = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)


def of_scripts() -> Iterator[Mutation]:
    """The mistakes that were written down by hand."""
    for row in tomllib.loads(Path(__file__).with_name("scripts.toml").read_text())["scripts"]:
        yield Mutation(**row)


AREAS: Final[dict[str, Callable[[], Iterator[Mutation]]]] = {
    "pipeline": of_python.pipeline,
    "media": of_python.media,
    "template": of_template.template,
    "scripts": of_scripts,
}


def main() -> int:
    """Makes the mistakes in one area and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("area", choices=AREAS)
    parser.add_argument("--sample", type=int, help="number of mistakes, selected by --seed; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="PATH", help="only files whose path contains this")
    given = parser.parse_args()
    mutations = [mutation for mutation in AREAS[given.area]() if given.only in mutation.file]
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
    # Where a mistake was not noticed, the tests passed; elsewhere they might fail without a mistake, too
    for tests in {mutation.tests for mutation in mutations} - {mutation.tests for mutation in survivors}:
        if run([*shlex.split(tests), "-x"]) != pytest.ExitCode.OK:
            raise RuntimeError(f"these tests fail without a mistake, see {COPY}/output: {tests}")
    shutil.rmtree(COPY)
    share = 100 * (len(mutations) - len(survivors)) / len(mutations)
    print(f"{given.area}: {len(mutations) - len(survivors)} of {len(mutations)} mistakes were noticed ({share:.0f} %)")
    return int(any(not mutation.reason for mutation in survivors))


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
    forget({"__main__"})
    os.chdir(COPY)
    output = os.open(COPY / "output", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.dont_write_bytecode = True  # so that no outdated bytecode is used
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os._exit(pytest.main(["-q", "-p", "no:cacheprovider", *arguments]))


def load_libraries(tests: set[str]) -> None:
    """Imports what the tests import, and forgets what is the project's. Raises RuntimeError if that fails."""
    here = Path.cwd()
    os.chdir(COPY)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        status = pytest.main(["-q", "-p", "no:cacheprovider", "--collect-only", *sorted(tests)])
    if status != pytest.ExitCode.OK:
        raise RuntimeError(f"without a mistake, pytest ended with status {status}: {sorted(tests)}")
    os.chdir(here)
    forget({"__main__", "tools", "tools.mutations"})


def forget(kept: set[str]) -> None:
    """The project's modules are imported anew, except for those of `tools.mutations` in the process that runs them."""
    places = {
        name: [Path(place) for place in [getattr(module, "__file__", None), *getattr(module, "__path__", [])] if place]
        for name, module in list(sys.modules.items())
        if name not in kept and name.rpartition(".")[0] not in kept
    }
    for name, found in places.items():
        if any(ROOT in place.parents and ".venv" not in place.parts for place in found):
            del sys.modules[name]


if __name__ == "__main__":
    sys.exit(main())
