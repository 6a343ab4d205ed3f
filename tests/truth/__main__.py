"""Runs cases and prints what is wrong; the exit status is 1 if anything is."""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.truth.cases import Case, every, faults


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description=__doc__)
    parser.add_argument("part", nargs="*", help="only cases whose name contains one of these")
    parser.add_argument("--seeds", type=int, default=2, help="number of seeds for each lie (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write files with wrong answers to this folder")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    cases = [case for case in every(range(arguments.seeds)) if _wanted(case, arguments.part)]
    started, wrong, done = time.monotonic(), 0, 0
    kinds: Counter[str] = Counter()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for case, found in pool.map(answer, cases, chunksize=40):
            done += found is not None
            if done % 2000 == 0 and found is not None:
                print(f"{done} files, {wrong} answered wrong", flush=True)
            if found:
                wrong += 1
                kinds[f"{case.family}/{case.lie}"] += 1
                print(f"{case}: {'; '.join(found)}", flush=True)
                if arguments.keep:
                    _keep(arguments.keep, case)
    for kind, count in kinds.most_common():
        print(f"  {kind:40} {count:6}")
    print(f"{wrong} of {done} files answered wrong, {time.monotonic() - started:.0f} s")
    return 1 if wrong else 0


def answer(case: Case) -> tuple[Case, list[str] | None]:
    """What is wrong with the answer to a case; None if the case does not apply."""
    told = case.told()
    return case, faults(case, told) if told else None


def _wanted(case: Case, parts: list[str]) -> bool:
    return not parts or any(part in str(case) for part in parts)


def _keep(folder: Path, case: Case) -> None:
    told = case.told()
    assert told
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{str(case).replace('/', ', ')}.mp4").write_bytes(told.content)


if __name__ == "__main__":
    sys.exit(main())
