#!/usr/bin/env python3
"""Inspect videos, local files or objects in S3, exactly as the pipeline does.

Prints a summary of each video as it finishes. Folders and s3://bucket/folder/ are searched recursively. Like the
pipeline, it only inspects names that end in .mp4 .MP4 .mov .MOV .avi or .AVI (S3 is case-sensitive). It continues after
files that cannot be read.

  scripts/inspect_video.py clip.mov                            print a summary
  scripts/inspect_video.py ~/Videos --out /tmp/inspected       save posters, results, and a page to open in a browser
  scripts/inspect_video.py s3://bucket/folder/ --json | jq .   print result documents (docs/result.schema.json)

Exit status: 0 if all are playable; 1 if any is not, could not be read, or is ignored by the pipeline; 2 on usage
errors.
"""

import argparse
import errno
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from scripts import page, saved, terminal
from video_intake import s3_object, uploads
from video_intake.decoder import Decoder, Unavailable
from video_intake.decoding_job import Fetch
from video_intake.document import Result
from video_intake.inspection import judge
from video_intake.media.limits import Limits
from video_intake.media.verdicts import Gone
from video_intake.messages import visible
from video_intake.uploads import NO_VERSION, SUFFIXES, Upload, Version

SECONDS: Final = 30  # as in the function
FAULTS: Final = (OSError, ClientError, BotoCoreError, Gone, Unavailable)
CREDENTIALS: Final = "no AWS credentials were found. Run `aws configure` or `aws sso login`, or set AWS_PROFILE."


def main() -> int:
    """Inspects the videos and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", metavar="FILE|FOLDER|s3://BUCKET/KEY")
    parser.add_argument("--out", type=Path, metavar="DIR", help="save results, posters and an HTML page in DIR")
    parser.add_argument("--json", action="store_true", help="print result documents, one per line")
    parser.add_argument("--storyboard", action="store_true", help="create storyboards too")
    arguments = parser.parse_args()
    limits = Limits(storyboard=arguments.storyboard)
    decoder = Decoder()
    decoder.start()
    complaints = Complaints()
    names = list(taken(arguments.videos, complaints))
    bar, out = terminal.Bar(len(names)), terminal.console()
    cards: list[tuple[Result, Path]] = []
    all_playable = True
    for number, name in enumerate(names):
        bar.show(number, name)
        try:
            upload, fetch = in_s3(name) if name.startswith("s3://") else on_disk(name)
            result, pictures = judge(decoder, upload, fetch, limits, SECONDS)
        except FAULTS as fault:
            bar.clear()
            complaints.add(name, sentence(fault, name))
            continue
        bar.clear()
        if arguments.json:
            print(json.dumps(result, ensure_ascii=False), flush=True)
        else:
            out.print(terminal.summary(result))
        all_playable = all_playable and result["status"] == "success"
        if arguments.out:
            try:
                cards.append((result, saved.write(result, pictures, arguments.out)))
            except OSError as fault:
                complaints.add(name, f"the results could not be written to {arguments.out}: {fault.strerror}.")
    bar.clear()
    decoder.close()
    if cards:
        shown = page.Page(title="Inspected videos", subtitle=f"Saved in {arguments.out.resolve()}")
        index = page.write(arguments.out, shown, cards)
        print(f"Open {index.resolve().as_uri()}", file=sys.stderr)
    return int(not all_playable or complaints.made)


class Complaints:
    """Prints problems on stderr."""

    def __init__(self) -> None:
        self.made = False

    def add(self, name: str, why: str) -> None:
        self.made = True
        print(f"{visible(name)}: {why}", file=sys.stderr, flush=True)


def taken(arguments: list[str], complaints: Complaints) -> Iterator[str]:
    """The videos named by the arguments or found in folders, without those that the pipeline ignores."""
    for argument in arguments:
        try:
            found = list(named(argument))
        except FAULTS as fault:
            complaints.add(argument, sentence(fault, argument))
            continue
        if not found:
            complaints.add(argument, f"contains no file whose name ends in {' '.join(SUFFIXES)}.")
        for name in found:
            if name.endswith(SUFFIXES):
                yield name
            else:
                complaints.add(name, f"ignored, as in the pipeline: the name must end exactly in {' '.join(SUFFIXES)}.")


def named(argument: str) -> Iterator[str]:
    """The files that an argument names; in a folder, those with a video suffix, in upper or lower case."""
    bucket, _, prefix = argument.removeprefix("s3://").partition("/")
    if argument.startswith("s3://") and (not prefix or prefix.endswith("/")):
        for page in s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            keys = (entry["Key"] for entry in page.get("Contents", []))
            yield from (f"s3://{bucket}/{key}" for key in keys if key.lower().endswith(SUFFIXES))
    elif not argument.startswith("s3://") and Path(argument).is_dir():
        files = sorted(path for path in Path(argument).rglob("*") if path.is_file())
        yield from (str(path) for path in files if path.name.lower().endswith(SUFFIXES))
    else:
        yield argument


def sentence(fault: Exception, name: str) -> str:
    """Explains an error in one sentence."""
    bucket = name.removeprefix("s3://").partition("/")[0]
    match fault:
        case NoCredentialsError() | PartialCredentialsError():
            return CREDENTIALS
        case ClientError():
            code = str(fault.response["Error"]["Code"])
            known = {
                "NoSuchBucket": f"the bucket {bucket} does not exist.",
                "NoSuchKey": f"there is no such object in the bucket {bucket}.",
                "AccessDenied": f"these credentials cannot read it or list the bucket {bucket}.",
                "InvalidAccessKeyId": "AWS did not accept your credentials.",
                "ExpiredToken": "your credentials have expired. Run `aws sso login`, or get new ones.",
            }
            return known.get(code, f"S3 returned {code}: {fault.response['Error'].get('Message', '')}")
        case Gone():
            return "it was deleted or replaced while it was being read."
        case Unavailable():
            return f"the decoder is not available: {fault}."
        case FileNotFoundError():
            return "there is no such file."
        case OSError():
            return f"it could not be read: {fault.strerror or fault}."
    return f"it could not be read: {fault}"


def on_disk(name: str) -> tuple[Upload, Fetch]:
    """A local file, as if it had been uploaded with its name as the key."""
    facts = Path(name).stat()
    modified = uploads.timestamp(datetime.fromtimestamp(facts.st_mtime, UTC))
    key = os.fsencode(name).decode(errors="replace")  # names on disk may be in any encoding
    upload = Upload("", key, NO_VERSION, facts.st_size, "", "", modified)

    def fetch(start: int, end: int) -> bytes:
        with open(name, "rb") as file:
            content = os.pread(file.fileno(), end - start, start)
        if len(content) < end - start:
            raise OSError(errno.EIO, "the file became shorter")
        return content

    return upload, fetch


def in_s3(name: str) -> tuple[Upload, Fetch]:
    """The newest version of an object."""
    bucket, _, key = name.removeprefix("s3://").partition("/")
    asked = {"Bucket": bucket, "Key": key}
    try:
        head = s3().head_object(**asked)
    except ClientError as error:
        raise s3_object.with_a_code(s3(), asked, error) from error
    upload = uploads.stored(Version(bucket, key, ""), head)
    return upload, s3_object.fetcher(s3(), upload)


@cache
def s3() -> Any:
    return boto3.client("s3")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
