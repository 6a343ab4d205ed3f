"""The command line of scripts/replay.py."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

COMMANDS: Final = {
    "dead-letters": (
        "List the events that Lambda gave up on after its retries, with their errors, including timeouts and "
        "out-of-memory kills. Meanwhile, messages are hidden from other readers for up to two minutes. Events that "
        "fail again return to the queue.",
        "submit the events again, and delete those that Lambda accepted",
    ),
    "missing": (
        "List every version of every video in the buckets that has no result, including older versions. Recent "
        "uploads may still be in progress; if submitted, they are recognized as duplicates.",
        "submit them",
    ),
    "reprocess": (
        "Create new results, with new messages, for selected videos, for example after an upgrade or a changed "
        "parameter. Without --version, the current version of each video is processed.",
        "submit them",
    ),
    "batch": (
        "Write a manifest of the versions without a result to the bucket, under batch/, and create an S3 Batch "
        "Operations job for it; the job's report goes to the same prefix. The stack needs BatchOperations=enabled. The "
        "job uses as much Lambda concurrency as is available; ReservedConcurrency limits it.",
        "start the job immediately; otherwise the job waits for confirmation",
    ),
}


def parser(description: str) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command")
    added = {}
    for name, (about, yes) in COMMANDS.items():
        one = added[name] = commands.add_parser(name, help=about.partition(".")[0], description=about)
        one.add_argument("--stack", default="video-intake-dev", help="default: %(default)s")
        one.add_argument("--region", help="default: the AWS CLI's configured region")
        one.add_argument("--profile", help="AWS CLI profile")
        one.add_argument(
            "--workers", type=_number, default=16, metavar="N", help="parallel requests; default: %(default)s"
        )
        one.add_argument("--yes", action="store_true", help=yes)
    _dead_letters(added["dead-letters"])
    _missing(added["missing"])
    _reprocess(added["reprocess"])
    _batch(added["batch"])
    return top


def _dead_letters(command: argparse.ArgumentParser) -> None:
    repeated: dict[str, Any] = {"action": "append", "default": []}
    command.add_argument("--key", **repeated, help="only events for this key; repeatable")
    command.add_argument(
        "--reason",
        **repeated,
        metavar="TEXT",
        help="only events whose condition or error contains this text (case-insensitive); repeatable",
    )
    command.add_argument("--discard", action="store_true", help="with --yes: delete the events, do not submit them")


def _missing(command: argparse.ArgumentParser) -> None:
    _walk(command)
    command.add_argument(
        "--limit",
        type=_number,
        default=sys.maxsize,
        metavar="N",
        help="submit at most N versions, because Lambda gives up on events after six hours",
    )
    command.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="with --yes: save progress in FILE and continue from there. Without it, each run checks every version "
        "again and submits only those without a result",
    )


def _reprocess(command: argparse.ArgumentParser) -> None:
    command.add_argument("--key", action="append", default=[], help="key of a video; repeatable")
    command.add_argument("--version", default="", metavar="ID", help="version of the --key")
    _bucket(command)
    command.add_argument("--prefix", help="all videos whose keys begin with this; '' for all")
    command.add_argument(
        "--keys-from",
        metavar="FILE",
        help="one video per line: its key, or key, version ID and bucket separated by tabs, as other commands print "
        "them (keys with control characters as JSON); - for stdin",
    )
    command.add_argument("--rerun", metavar="NAME", help="continue the run with this name without repeating its work")


def _batch(command: argparse.ArgumentParser) -> None:
    _walk(command)
    command.add_argument("--all", action="store_true", help="include versions that have a result; they get new ones")
    command.add_argument(
        "--rerun", metavar="NAME", help="as for reprocess; required if results were deleted within the last 15 days"
    )


def _bucket(command: argparse.ArgumentParser) -> None:
    command.add_argument("--bucket", metavar="NAME", help="only videos in this bucket")


def _walk(command: argparse.ArgumentParser) -> None:
    _bucket(command)
    command.add_argument("--prefix", default="", help="only keys that begin with this")
    command.add_argument(
        "--since", metavar="TIME", help="only versions uploaded since then: 2026-07-01T10:00Z, 36h, 7d"
    )
    command.add_argument("--until", metavar="TIME", help="only versions uploaded before then")


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)
