#!/usr/bin/env python3
"""Process failed or missing videos again, or create new results for selected videos.

  dead-letters  list the events that Lambda gave up on, and why; with --yes, submit them again
  missing       find versions in the buckets that have no result; with --yes, submit them
  reprocess     with --yes, create new results for selected videos, even if they have one
  batch         let S3 Batch Operations process a backlog of millions

After an outage, run dead-letters, then missing. Without --yes they only report. Every command can be interrupted and
repeated: a video that has a result, or is being processed, is recognized as a duplicate and gets no second message.

stdout has a line for each video, with key, version ID and bucket separated by tabs; stderr has progress, errors and
the summary. Exit status: 0 if nothing is left to do, 1 if something failed or remains (so a report that finds
something exits with 1), 2 on usage errors. COMMAND --help lists the options.
"""

import argparse
import itertools
import os
import secrets
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError, ProfileNotFound

from scripts.replaying import batch_job, command_line, dead_letters, missing, reprocess
from scripts.replaying.versions import Bookmark, Selection
from scripts.stack import Source, Stack, WrongUse
from scripts.times import moment


def main() -> int:
    """Runs the command and returns the exit status."""
    runs = {"dead-letters": run_dead_letters, "missing": run_missing, "reprocess": run_reprocess, "batch": run_batch}
    arguments = command_line.parser(__doc__ or "").parse_args()
    try:
        region = arguments.region or os.environ.get("AWS_REGION")  # boto3 does not read AWS_REGION
        session = boto3.Session(region_name=region, profile_name=arguments.profile)
        stack = Stack(arguments.stack, session, arguments.workers)
        status: int = runs[arguments.command](stack, arguments)
    except (WrongUse, NoRegionError, ProfileNotFound) as wrong:
        print(f"replay: {wrong}", file=sys.stderr)
        return 2
    except (ClientError, BotoCoreError, OSError) as fault:
        print(f"replay: {type(fault).__name__}: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nreplay: interrupted. Run the same command again to continue.", file=sys.stderr)
        return 1
    return status


def run_dead_letters(stack: Stack, given: argparse.Namespace) -> int:
    if given.discard and not (given.key or given.reason):
        raise WrongUse("--discard requires --key or --reason: select what to discard.")
    return dead_letters.run(
        stack, given.key, given.reason, apply=given.yes, discard=given.discard, workers=given.workers
    )


def run_missing(stack: Stack, given: argparse.Namespace) -> int:
    chosen, sources = selection(given), sources_of(stack, given)
    others = [each.bucket for each in sources if each.bucket != stack.bucket]
    bookmark = Bookmark(given.state, " ".join(map(str, [given.stack, given.prefix, given.since, given.until, *others])))
    return missing.run(stack, sources, chosen, bookmark, apply=given.yes, limit=given.limit, workers=given.workers)


def run_reprocess(stack: Stack, given: argparse.Namespace) -> int:
    if given.version and len(given.key) != 1:
        raise WrongUse("--version requires exactly one --key.")
    if not given.key and given.prefix is None and not given.keys_from:
        raise WrongUse("Select videos with --key, --prefix or --keys-from.")
    sources = sources_of(stack, given)
    work: list[Iterable[reprocess.Work]] = [[(key, given.version, "") for key in given.key]]
    if given.prefix is not None:
        work.append(reprocess.newest(stack, sources, given.prefix))
    if given.keys_from:
        lines = sys.stdin if given.keys_from == "-" else Path(given.keys_from).read_text(encoding="utf-8").split("\n")
        work.append(reprocess.listed(lines))
    rerun = given.rerun or named("reprocess")
    every = itertools.chain.from_iterable(work)
    return reprocess.run(stack, sources, every, rerun, apply=given.yes, workers=given.workers)


def run_batch(stack: Stack, given: argparse.Namespace) -> int:
    name = named("batch")
    rerun = given.rerun or (name if given.all else "")
    chosen, sources = selection(given), sources_of(stack, given)
    return batch_job.run(
        stack,
        sources,
        chosen,
        name,
        rerun,
        apply=given.yes,
        everything=given.all,
        workers=given.workers,
    )


def sources_of(stack: Stack, given: argparse.Namespace) -> list[Source]:
    """The selected buckets. Raises WrongUse for one whose uploads the stack does not process."""
    names = [each.bucket for each in stack.sources]
    if given.bucket not in (None, *names):
        raise WrongUse(
            f"The stack {stack.name} processes uploads to {' and '.join(names)}, not to {given.bucket}. "
            f"Deploy it with that bucket first: scripts/deploy.sh --bucket {given.bucket}"
        )
    return [each for each in stack.sources if given.bucket in (None, each.bucket)]


def selection(given: argparse.Namespace) -> Selection:
    return Selection(given.prefix or "", moment(given.since), moment(given.until))


def named(command: str) -> str:
    """A unique name for this run, so that its events are not duplicates of earlier ones."""
    return f"{command}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


if __name__ == "__main__":
    sys.exit(main())
