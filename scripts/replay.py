#!/usr/bin/env python3
"""Find videos without a result after a failure, and process them or process videos again.

  dead-letters  lists the events that Lambda gave up and why; with --yes sends them once more
  missing       finds versions in the buckets that have no result; with --yes submits them
  reprocess     with --yes makes new results for chosen videos, whatever there is already
  batch         hands a backlog of millions to S3 Batch Operations

After an outage, run dead-letters, then missing. Without --yes they only report. Every command can be interrupted and
repeated: a video that has a result, or is being processed, is recognized as a duplicate and gets no second message.

stdout has a line for each video, columns separated by tabs: key, version id, bucket; stderr has progress,
faults and the summary. Exit status: 0 when nothing is left to do, 1 when something failed or remains (so a listing
that finds something ends with 1), 2 on wrong use. COMMAND --help tells the options.
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
    """Does what the command line asks for and returns the exit status."""
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
        raise WrongUse("--version says which version of a --key: give exactly one.")
    if not given.key and given.prefix is None and not given.keys_from:
        raise WrongUse("Say which videos: --key, --prefix or --keys-from.")
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
    """The buckets that are meant. Raises WrongUse for one whose uploads the stack does not process."""
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
