"""What scripts/replay.py can be told."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

COMMANDS: Final = {
    "dead-letters": (
        "What Lambda gave up after its retries, and why: time-outs and out-of-memory too. Messages are hidden from "
        "others for at most two minutes while they are looked at. What fails once more comes back to the queue.",
        "send them once more, and delete what Lambda accepted",
    ),
    "missing": (
        "Every version of every video in the buckets that has no result, older versions too. Those uploaded a moment "
        "ago may still be on their way: submitted as well, they are duplicates.",
        "submit them",
    ),
    "reprocess": (
        "New results for chosen videos, with new messages: after a change of the function or of its parameters. "
        "Without a version the newest one is meant.",
        "submit them",
    ),
    "batch": (
        "A manifest of the versions without a result goes to the bucket, under batch/, and a job of S3 Batch "
        "Operations is made of it; its report comes to the same place. The stack needs BatchOperations=enabled. The "
        "job takes as much of Lambda's concurrency as it gets: ReservedConcurrency bounds it.",
        "start the job at once; without it the job waits until it is confirmed",
    ),
}


def parser(description: str) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command")
    added = {}
    for name, (about, yes) in COMMANDS.items():
        one = added[name] = commands.add_parser(name, help=about.partition(".")[0], description=about)
        one.add_argument("--stack", default="video-intake-dev", help="default: %(default)s")
        one.add_argument("--region", help="default: as the AWS CLI is configured")
        one.add_argument("--profile", help="a profile of the AWS CLI")
        one.add_argument(
            "--workers", type=_number, default=16, metavar="N", help="requests at once; %(default)s if not given"
        )
        one.add_argument("--yes", action="store_true", help=yes)
    _dead_letters(added["dead-letters"])
    _missing(added["missing"])
    _reprocess(added["reprocess"])
    _batch(added["batch"])
    return top


def _dead_letters(command: argparse.ArgumentParser) -> None:
    repeated: dict[str, Any] = {"action": "append", "default": []}
    command.add_argument("--key", **repeated, help="only events of this key; may be repeated")
    command.add_argument(
        "--reason",
        **repeated,
        metavar="TEXT",
        help="only where condition or error contain this, in any case; may be repeated",
    )
    command.add_argument("--discard", action="store_true", help="with --yes: throw them away instead of sending them")


def _missing(command: argparse.ArgumentParser) -> None:
    _walk(command)
    command.add_argument(
        "--limit",
        type=_number,
        default=sys.maxsize,
        metavar="N",
        help="submit at most so many: Lambda keeps an event for six hours, in which it must come to process it",
    )
    command.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="with --yes: remember there how far the walk came, and go on from there. Without it a run begins anew, "
        "asks for every result once more, and submits only what has none",
    )


def _reprocess(command: argparse.ArgumentParser) -> None:
    command.add_argument("--key", action="append", default=[], help="this video; may be repeated")
    command.add_argument("--version", default="", metavar="ID", help="this version of the --key")
    _bucket(command)
    command.add_argument("--prefix", help="every video whose key begins so; '' for all")
    command.add_argument(
        "--keys-from",
        metavar="FILE",
        help="lines of a key, or of key, version id and bucket with tabs between, as the other commands print them; "
        "- for stdin",
    )
    command.add_argument(
        "--rerun", metavar="NAME", help="go on with an earlier run: what it has done is not done again"
    )


def _batch(command: argparse.ArgumentParser) -> None:
    _walk(command)
    command.add_argument("--all", action="store_true", help="also those that have a result: they get new ones")
    command.add_argument(
        "--rerun", metavar="NAME", help="as for reprocess; needed where results were deleted within 15 days"
    )


def _bucket(command: argparse.ArgumentParser) -> None:
    command.add_argument("--bucket", metavar="NAME", help="only this one of the buckets that the stack processes")


def _walk(command: argparse.ArgumentParser) -> None:
    _bucket(command)
    command.add_argument("--prefix", default="", help="only keys that begin so")
    command.add_argument("--since", metavar="TIME", help="only versions as new as this: 2026-07-01T10:00Z, 36h, 7d")
    command.add_argument("--until", metavar="TIME", help="only versions older than this")


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return int(text)
