"""Runs contestants in separate processes against a shaped S3, and takes medians."""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

from tools.benchmarks import shaped_s3
from tools.benchmarks.files import MB, WARM_UP, Kind
from tools.benchmarks.own import Target

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ROOT / "build/bench/packages"
# A static build of ffmpeg and ffprobe if there is one, otherwise the installed one
PATH: Final = os.pathsep.join([str(PACKAGES / "ffmpeg/binaries"), os.environ["PATH"]])
QUOTA_PERIOD: Final = 20_000  # microseconds, as in Lambda's control groups
TIMEOUT: Final = 90.0  # seconds for one run: three times the limit in the function
PATIENCE: Final = 17.0  # seconds; slower contestants are measured only once


@dataclass(frozen=True)
class Run:
    """The measurements of one inspection; `failure` is the reason if there are none."""

    requests: float
    megabytes: float
    wall: float  # seconds
    cpu: float  # seconds, user and system
    peak: float  # MB
    waits: float  # number of sequential requests or groups of parallel ones
    once: bool = False  # measured only once, because it was slow
    failure: str | None = None


@contextlib.contextmanager
def serving(folder: Path, shared: float | None = None) -> Iterator[str]:
    """Serves `folder` as a shaped S3; yields its endpoint."""
    command = [
        sys.executable,
        "-m",
        "tools.benchmarks.shaped_s3",
        str(folder),
        *(["--shared", str(shared)] if shared else []),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.stdin.close()  # which ends it


@contextlib.contextmanager
def share_of_a_core(share: float) -> Iterator[Path | None]:
    """A control group whose processes share that part of a core, as in Lambda; None if it cannot be created."""
    first = Path("/sys/fs/cgroup/cpu")
    group = (first if first.is_dir() else first.parent) / f"bench-{os.getpid()}"
    quota = round(share * QUOTA_PERIOD)
    settings = {"cpu.max": f"{quota} {QUOTA_PERIOD}"}
    if first.is_dir():
        settings = {"cpu.cfs_period_us": str(QUOTA_PERIOD), "cpu.cfs_quota_us": str(quota)}
    made: Path | None = group
    try:
        group.mkdir()
        for name, value in settings.items():
            (group / name).write_text(value)
    except OSError:
        made = None
    try:
        yield made
    finally:
        for _ in range(50):
            if group.is_dir():
                with contextlib.suppress(OSError):  # its last process may still be ending
                    group.rmdir()
                time.sleep(0.1)


def race(
    endpoint: str, folder: Path, kinds: Sequence[Kind], names: Sequence[str], runs: int, group: Path | None = None
) -> dict[str, dict[str, Run]]:
    """Medians by kind and contestant. Runs are interleaved, so that a noisy minute affects all contestants."""
    results: dict[tuple[str, str], list[Run]] = {(kind.name, name): [] for kind in kinds for name in names}
    for number in range(runs):
        for kind in kinds:
            for name in [*names[number % len(names) :], *names[: number % len(names)]]:
                earlier = results[kind.name, name]
                if earlier and (earlier[0].failure or earlier[0].wall > PATIENCE):
                    continue
                earlier.append(run := run_once(endpoint, folder, kind, name, group))
                read = f"{run.requests:5.0f} requests  {run.waits:5.0f} waits  {run.megabytes:8.2f} MB"
                said = run.failure or f"{run.wall * 1000:8,.0f} ms  {read}"
                print(f"  {number + 1}/{runs}  {kind.name:20}{name:11}{said}", flush=True)
    return {kind.name: {name: median(results[kind.name, name]) for name in names} for kind in kinds}


def run_once(endpoint: str, folder: Path, kind: Kind, name: str, group: Path | None) -> Run:
    """One inspection in a separate process."""
    paths = [str(PACKAGES if name in ("P3", "P4") else ROOT / "src"), str(ROOT)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PATH": PATH,
        "MALLOC_ARENA_MAX": "1",
    }  # the template's
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        files = [folder / WARM_UP.key, folder / kind.key]
        targets = [
            Target(file.name, file.stat().st_size, shaped_s3.etag(file), shaped_s3.VERSION, scratch) for file in files
        ]
        taken(endpoint)
        command = [sys.executable, "-m", "tools.benchmarks.contestants", name, endpoint]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            if group:
                (group / "cgroup.procs").write_text(str(process.pid))
            try:
                said, complaint = process.communicate(
                    json.dumps([asdict(target) for target in targets]), timeout=TIMEOUT
                )
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # including the programs it started
                said, complaint = "", f"took more than {TIMEOUT:.0f} s"
        requests, length, waits = taken(endpoint)
    if process.returncode or not said:
        last = complaint.strip().splitlines()[-1:] or [f"ended with status {process.returncode}"]
        return Run(requests, length / MB, 0, 0, 0, waits, failure=last[0])
    facts: dict[str, Any] = json.loads(said.splitlines()[-1])
    return Run(requests, length / MB, facts["wall"], facts["cpu"], facts["peak"], waits)


def taken(endpoint: str) -> tuple[int, int, int]:
    """Requests, bytes, and round trips since the last call."""
    with urlopen(f"{endpoint}/__stats") as answer:
        requests, length, waits = json.load(answer)
        return requests, length, waits


def median(runs: Sequence[Run]) -> Run:
    """The median of each column, or the failure if a run failed."""
    failure = next((run.failure for run in runs if run.failure), None)
    columns = ("requests", "megabytes", "wall", "cpu", "peak", "waits")
    middle = {column: statistics.median(getattr(run, column) for run in runs) for column in columns}
    return Run(**middle, once=len(runs) == 1 and runs[0].wall > PATIENCE, failure=failure)


def check(endpoint: str, kind: Kind) -> str:
    """The speed of the shaped S3 with one connection and with ten, to show that it is not the bottleneck."""

    def fetch(_: int) -> tuple[float, float]:
        request = Request(f"{endpoint}/check/{kind.key}", headers={"Range": f"bytes=0-{20 * MB - 1}"})
        started = time.perf_counter()
        with urlopen(request) as answer:
            answer.read(1)
            first, length, room = time.perf_counter() - started, 1, bytearray(1 << 18)
            while got := answer.readinto(room):
                length += got
        return first, length / (time.perf_counter() - started - first) / MB

    first, one = map(statistics.median, zip(*(fetch(0) for _ in range(5)), strict=True))
    with ThreadPoolExecutor(10) as pool:
        ten = sum(rate for _, rate in pool.map(fetch, range(10)))
    return f"{first * 1000:.1f} ms, {one:.0f} MB/s to one connection, {ten:.0f} MB/s to ten"
