"""Runs cases and reports their outcomes; the exit status is 1 if the inspector failed."""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

import jsonschema

from tests.fuzz.cases import case, run
from tests.support.watched import PROJECT, Answer


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, help="these cases alone")
    parser.add_argument("--cases", type=int, default=5000, help="number of cases (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the one case there, instead of running it")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.write_bytes(case(*arguments.numbers).content)
        return 0
    schema = json.loads((PROJECT / "docs/result.schema.json").read_text())
    return soak(
        arguments.numbers or range(arguments.first, arguments.first + arguments.cases),
        jsonschema.Draft202012Validator(schema).validate,
        verbose=bool(arguments.numbers),
    )


def soak(numbers: "list[int] | range", valid, verbose: bool) -> int:
    verdicts: Counter[str] = Counter()
    fallen, longest, largest, started = 0, (0.0, 0), (0.0, 0), time.monotonic()
    for done, (broken, answer) in enumerate(run(numbers, valid), 1):
        if isinstance(answer, Answer):
            verdicts[answer.verdict] += 1
            longest = max(longest, (answer.seconds, broken.number))
            largest = max(largest, (answer.peak, broken.number))
        else:
            fallen += 1
            print(f"\nCase {broken.number} (from {broken.seed}, {broken.key}): {answer}", flush=True)
        if verbose and isinstance(answer, Answer):
            print(f"Case {broken.number} (from {broken.seed}): {json.dumps(answer.result, indent=2)}")
        if done % 500 == 0 or done == len(numbers):
            rate = done / (time.monotonic() - started)
            print(f"{done} of {len(numbers)} cases, {rate:.0f} a second, {fallen} fell", flush=True)
    for verdict, count in verdicts.most_common():
        print(f"  {verdict:20} {count:6}")
    print(f"Longest: {longest[0]:.2f} s (case {longest[1]}). Most memory: {largest[0]:.0f} MB (case {largest[1]}).")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
