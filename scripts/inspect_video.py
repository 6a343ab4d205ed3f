#!/usr/bin/env python3
"""What would the pipeline say of this? The same inspection, on files here or objects in S3.

Prints a table, or with --json one result document per line (docs/result.schema.json). A folder is walked, and so
is s3://bucket/folder/, for names that the pipeline would take. No file stops the others.

Exit status: 0 when all are playable, 1 when one is not or could not be read, 2 on wrong use.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from scripts import terminal
from video_intake import s3_object, uploads
from video_intake.decoder import Decoder
from video_intake.decoding_job import Fetch
from video_intake.document import Result
from video_intake.inspection import judge
from video_intake.media.limits import Limits
from video_intake.media.verdicts import Gone
from video_intake.uploads import SUFFIXES, Upload, Version

SECONDS = 30  # as in the function


def main() -> int:
    """Inspects what the command line names and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", metavar="FILE|FOLDER|s3://BUCKET/KEY")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write results, posters and storyboards there")
    parser.add_argument("--json", action="store_true", help="one result document per line instead of a table")
    parser.add_argument("--storyboard", action="store_true", help="make storyboards too")
    arguments = parser.parse_args()
    limits = Limits(storyboard=arguments.storyboard)
    decoder = Decoder()
    decoder.start()
    rows, status, seen = [], 0, 0
    for name in named(arguments.videos):
        seen += 1
        try:
            result = judged(decoder, name, limits, arguments.out)
        except (OSError, ClientError, BotoCoreError, Gone) as fault:
            print(f"{name}: could not be read: {fault}", file=sys.stderr)
            status = 1
            continue
        status = status or int(result["status"] != "success")
        if arguments.json:
            print(json.dumps(result, ensure_ascii=False), flush=True)
        else:
            rows.append(terminal.row(result))
    if rows:
        print(terminal.table(terminal.HEADINGS, rows))
    if not seen:
        print("There is no .mp4, .mov or .avi in there.", file=sys.stderr)
    return status if seen else 1


def named(arguments: list[str]) -> Iterator[str]:
    """The videos that the arguments mean, folders walked."""
    for argument in arguments:
        if argument.startswith("s3://") and argument.endswith("/"):
            bucket, _, prefix = argument.removeprefix("s3://").partition("/")
            pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = (entry["Key"] for page in pages for entry in page.get("Contents", []))
            yield from (f"s3://{bucket}/{key}" for key in keys if key.lower().endswith(SUFFIXES))
        elif Path(argument).is_dir():
            files = sorted(path for path in Path(argument).rglob("*") if path.is_file())
            yield from (str(path) for path in files if path.suffix.lower() in SUFFIXES)
        else:
            yield argument


def judged(decoder: Decoder, name: str, limits: Limits, out: Path | None) -> Result:
    """The result document of one video; its pictures are written below `out`."""
    upload, fetch = in_s3(name) if name.startswith("s3://") else on_disk(name)
    result, files = judge(decoder, upload, fetch, limits, SECONDS)
    if out:
        files[result["resultKey"]] = json.dumps(result, indent=2, ensure_ascii=False).encode()
        for key, content in files.items():
            # Where it would lie in the bucket, but never outside of `out`, whatever the key holds.
            target = out.joinpath(*(part for part in Path(key).parts[1:] if part not in ("/", "..")))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return result


def on_disk(name: str) -> tuple[Upload, Fetch]:
    """A local file as if it had been uploaded under its name."""
    facts = Path(name).stat()
    modified = uploads.timestamp(datetime.fromtimestamp(facts.st_mtime, UTC))
    key = os.fsencode(name).decode(errors="replace")  # names on disk may be in any encoding
    upload = Upload("", key, "null", facts.st_size, "", "", modified)

    def fetch(start: int, end: int) -> bytes:
        with open(name, "rb") as file:
            return os.pread(file.fileno(), end - start, start)

    return upload, fetch


def in_s3(name: str) -> tuple[Upload, Fetch]:
    """The newest version of an object."""
    bucket, _, key = name.removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    upload = uploads.stored(Version(bucket, key, ""), client.head_object(Bucket=bucket, Key=key))
    return upload, s3_object.fetcher(client, upload)


if __name__ == "__main__":
    sys.exit(main())
