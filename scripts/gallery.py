#!/usr/bin/env python3
"""Create an HTML page of a stack's results: posters, facts, reasons, metrics and alarms.

Downloads results and pictures into a folder and writes index.html there. Existing files are not downloaded again, so
run the same command to resume after an interruption or to update the page. Videos are not downloaded.

  scripts/gallery.py --stack video-intake-prod
  scripts/gallery.py --stack video-intake-prod --since 24h --prefix holiday/ --out /tmp/holiday

Exit status: 0 if the page was written, 1 if something could not be read, 2 on usage errors.
"""

import argparse
import heapq
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError, ProfileNotFound

from scripts import page, saved, terminal
from scripts.stack import Stack, WrongUse
from scripts.times import moment
from video_intake.document import Result
from video_intake.uploads import RESULTS, RESULTS_OF

WORKERS: Final = 16
MOST_RESULTS: Final = 1000  # browsers become slow with larger pages


def main() -> int:
    """Writes the page and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", required=True, metavar="NAME")
    parser.add_argument(
        "--since", default="7d", help="a date, or a time ago such as 90m, 36h, 7d; default: %(default)s"
    )
    parser.add_argument("--prefix", default="", help="only uploads whose keys start with PREFIX")
    parser.add_argument(
        "--limit", type=int, default=MOST_RESULTS, help="maximum number of results, newest first; default: %(default)s"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path("gallery"), help="default: ./gallery")
    parser.add_argument("--region")
    parser.add_argument("--profile")
    given = parser.parse_args()
    try:
        session = boto3.Session(region_name=given.region or os.environ.get("AWS_REGION"), profile_name=given.profile)
        stack = Stack(given.stack, session, WORKERS)
        since = cast("datetime", moment(given.since))
        print(f"Open {write(stack, since, given.prefix, given.limit, given.out.resolve()).as_uri()}")
    except (WrongUse, NoRegionError, ProfileNotFound) as wrong:
        print(f"gallery: {wrong}", file=sys.stderr)
        return 2
    except (ClientError, BotoCoreError, OSError) as fault:
        print(f"gallery: {fault}. Run the same command again to continue.", file=sys.stderr)
        return 1
    return 0


def write(stack: Stack, since: datetime, prefix: str, limit: int, out: Path) -> Path:
    """Downloads missing results into `out` and returns the path of the page."""
    newest = heapq.nlargest(limit, listed(stack, since, prefix))
    bar = terminal.Bar(len(newest))
    cards: list[tuple[Result, Path]] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for result in pool.map(lambda found: download(stack, found[1], out), newest):
            if result:
                cards.append((result, saved.local(result["resultKey"], out).parent))
                bar.show(len(cards), result["source"]["key"])
    bar.clear()
    hours = (datetime.now(UTC) - since).total_seconds() / 3600
    more = " Only the newest are shown: see --limit." if len(newest) == limit else ""
    shown = page.Page(
        title=stack.name,
        subtitle=f"Uploads{f' under {prefix}' if prefix else ''} since {since:%Y-%m-%d %H:%M} UTC.{more}",
        footer=f"Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by scripts/gallery.py.",
        metrics=page.metrics(stack.metrics(stack.environment, hours)),
        alarms=page.alarms(stack.alarms()),
    )
    return page.write(out, shown, cards)


def listed(stack: Stack, since: datetime, prefix: str) -> Iterator[tuple[datetime, str]]:
    """Time and key of each result, for uploads to any of the stack's buckets."""
    listing = stack.client("s3").get_paginator("list_objects_v2")
    for source in stack.sources:
        root = RESULTS if source.bucket == stack.bucket else f"{RESULTS_OF}{source.bucket}/"
        for found in listing.paginate(Bucket=stack.bucket, Prefix=root + prefix):
            for entry in found.get("Contents", []):
                if entry["Key"].endswith(f"/{saved.RESULT}") and entry["LastModified"] >= since:
                    yield entry["LastModified"], entry["Key"]


def download(stack: Stack, key: str, out: Path) -> Result | None:
    """A result, with its pictures saved below `out`; None if it was deleted in the meantime."""
    content = stack.read(key)
    if content is None:
        return None
    result: Result = json.loads(content)
    there: Any = saved.local(key, out)
    if there.exists() and json.loads(there.read_bytes()) == result:
        return result
    pictures = {each: stack.read(each) or b"" for each in saved.pictures(result)}
    saved.write(result, pictures, out)
    return result


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ngallery: interrupted. Run the same command again to continue.", file=sys.stderr)
        sys.exit(130)
