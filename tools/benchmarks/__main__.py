"""`make bench`: this inspector compared with the alternatives, in one run."""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.benchmarks import files, picture, race, report
from tools.benchmarks.contestants import CONTESTANTS

FOLDER: Final = race.ROOT / "build/bench/objects"
DOCS: Final = race.ROOT / "docs"
SHARE: Final = 0.58  # of a core: 1,024 MB of the 1,769 MB that have a whole one
SHARED: Final = 75.0  # MB/s: what a Lambda of 1 GB has been seen to get from S3


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    names = [kind.name for kind in files.KINDS]
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"kinds of file: {', '.join(names)} (default: all)")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(report.NAMES), help="contestants")
    arguments = parser.parse_args()
    if unknown := set(arguments.files) - set(names):
        parser.error(f"no such kind of file: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if not (shutil.which("ffmpeg", path=race.PATH) and shutil.which("ffprobe", path=race.PATH)):
        sys.exit("ffmpeg and ffprobe are missing: apt-get install ffmpeg, or brew install ffmpeg.")
    kinds = [kind for kind in files.KINDS if kind.name in (arguments.files or names)]
    print("Files:", flush=True)
    for kind in (*kinds, files.WARM_UP):
        files.make(kind, FOLDER)
    print("Each connection gets 80 MB/s:", flush=True)
    with race.serving(FOLDER) as endpoint:
        check = race.check(endpoint, kinds[-1])
        print(f"  the server itself gives {check}", flush=True)
        results = race.race(endpoint, FOLDER, kinds, arguments.only, arguments.runs)
    print("\n" + report.race_table(kinds, results), flush=True)
    parts = split(kinds)
    print("\n" + report.split_table(kinds, parts) + "\n", flush=True)
    if set(arguments.only) != set(report.NAMES):
        return
    print("\n" + report.cost_table(kinds, results))
    print(f"\nAll connections share {SHARED:.0f} MB/s:", flush=True)
    with race.serving(FOLDER, SHARED) as endpoint:
        shared = race.race(endpoint, FOLDER, kinds, ["ours", "P1"], arguments.runs)
    print("\n" + report.shared_table(kinds, shared))
    print(f"\nThe whole invocation, then with {SHARE} of a core:", flush=True)
    calls = ["ours", "invocation"]
    with race.serving(FOLDER) as endpoint, race.share_of_a_core(SHARE) as group:
        whole = race.race(endpoint, FOLDER, kinds, calls, arguments.runs)
        part = race.race(endpoint, FOLDER, kinds, calls, arguments.runs, group) if group else {}
    print("\n" + report.lambda_table(kinds, whole, part))
    if len(kinds) == len(files.KINDS):
        setting = report.Setting(
            f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
            machine(),
            versions(),
            arguments.runs,
            SHARED,
            check,
            SHARE,
        )
        document = report.document(kinds, results, shared, (whole, part), parts, setting)
        DOCS.joinpath("benchmarks.md").write_text(document)
        DOCS.joinpath("benchmarks.svg").write_text(picture.draw(kinds, results))
        print("\nWritten: docs/benchmarks.md, docs/benchmarks.svg")


def split(kinds: list[files.Kind]) -> dict[str, dict[str, float]]:
    """CPU milliseconds of the inspector's parts, by key."""
    command = [sys.executable, "-m", "tools.benchmarks.split", *(str(FOLDER / kind.key) for kind in kinds)]
    said = subprocess.run(command, cwd=race.ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {Path(name).name: parts for name, parts in json.loads(said).items()}


def machine() -> str:
    """The kind of machine, and its load average over 15 minutes."""
    load = os.getloadavg()[2]
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, load average {load:.0f}"


def versions() -> str:
    """The versions of everything that is compared."""
    program = shutil.which("ffmpeg", path=race.PATH) or "ffmpeg"
    said = subprocess.run([program, "-version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    build = "a static build" if str(race.PACKAGES) in program else "as installed"
    number = re.split(r"[ -]", said.split("version ")[1])[0]
    found = [f"Python {platform.python_version()}", f"ffmpeg {number} ({build})"]
    names = {"av": "PyAV", "boto3": "boto3", "pymediainfo": "pymediainfo", "s3fs": "s3fs"}
    places = [str(race.PACKAGES), *sys.path]
    installed = {found.name: found.version for found in importlib.metadata.distributions(path=places)}
    return ", ".join([*found, *(f"{label} {installed[name]}" for name, label in names.items())])


if __name__ == "__main__":
    main()
