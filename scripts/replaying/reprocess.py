"""`reprocess`: creates new results for selected videos, even if they have one."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import batched

from botocore.exceptions import BotoCoreError, ClientError

from scripts.replaying import versions
from scripts.replaying.progress import Progress, text_of
from scripts.stack import Source, Stack, WrongUse
from video_intake.uploads import SUFFIXES, Upload

type Chosen = tuple[str, str, str]  # key; version ID or "" for the newest; bucket or "" for any that has the key
type Work = Upload | Chosen
type End = Upload | Exception
CHUNK = 1000  # keys in memory at once


def run(stack: Stack, sources: list[Source], work: Iterable[Work], rerun: str, *, apply: bool, workers: int) -> int:
    """Returns the exit status. All events have the same `rerun`, so that Lambda's retries of each are duplicates."""
    progress = Progress()
    with ThreadPoolExecutor(workers) as pool:
        for chunk in batched(work, CHUNK, strict=False):
            ends = pool.map(partial(_submit, stack, sources, rerun, apply), chunk)
            for each, end in ((each, end) for each, some in zip(chunk, ends, strict=True) for end in some):
                if isinstance(end, Exception):
                    progress.failed(each.key if isinstance(each, Upload) else " ".join(filter(None, each)), end)
                else:
                    progress.count("submitted" if apply else "to be processed again")
                    progress.found(end.key, end.version_id, end.bucket)
    progress.summary(f"Rerun {rerun}." if apply else "Nothing was submitted. Pass --yes to submit them.")
    return int(not apply or bool(progress.counts["failed"]) or not progress.counts["submitted"])


def newest(stack: Stack, sources: list[Source], prefix: str) -> Iterator[Upload]:
    """The newest version of every video under `prefix`."""
    selection = versions.Selection(prefix, newest_only=True)
    for uploads, _ in versions.pages(stack.client("s3"), sources, selection, {}):
        yield from uploads


def listed(lines: Iterable[str]) -> Iterator[Chosen]:
    """Parses lines with a key and optionally version ID and bucket, separated by tabs, as other commands print them."""
    for line in lines:
        key, version_id, bucket, *_ = [*line.rstrip("\n").split("\t"), "", ""]
        if key:
            yield text_of(key), version_id, bucket


def _submit(stack: Stack, sources: list[Source], rerun: str, apply: bool, work: Work) -> list[End]:
    """One outcome for each bucket that has the key."""
    ends = [work] if isinstance(work, Upload) else _found(stack, sources, *work)
    return [end if isinstance(end, Exception) or not apply else _submitted(stack, end, rerun) for end in ends]


def _submitted(stack: Stack, upload: Upload, rerun: str) -> End:
    try:
        stack.submit(versions.event(replace(upload, rerun=rerun)))
    except (ClientError, BotoCoreError, RuntimeError) as fault:
        return fault
    return upload


def _found(stack: Stack, sources: list[Source], key: str, version_id: str, bucket: str) -> list[End]:
    """The version in each bucket that has it; otherwise one reason why there is none."""
    if not key.endswith(SUFFIXES):
        return [WrongUse(f"the key does not end in {' '.join(SUFFIXES)}, so the function may not read it")]
    places = [each for each in sources if bucket in ("", each.bucket)]
    if not places:
        return [WrongUse(f"the bucket {bucket} is not among {' '.join(each.bucket for each in sources)}")]
    places = [each for each in places if key.startswith(each.prefix)]
    if not places:
        return [WrongUse(f"the key does not begin with {sources[-1].prefix}, so the function may not read it")]
    ends = [_looked_up(stack, each.bucket, key, version_id) for each in places]
    return [end for end in ends if not _is_missing(end)] or ends[:1]


def _looked_up(stack: Stack, bucket: str, key: str, version_id: str) -> End:
    try:
        end: End = versions.find(stack.client("s3"), bucket, key, version_id)
    except (ClientError, BotoCoreError) as fault:
        end = fault
    return end


def _is_missing(end: End) -> bool:
    """Whether S3 found no such key (404) or the version ID is from another bucket (400)."""
    code = str(end.response["Error"]["Code"]) if isinstance(end, ClientError) else ""
    return code in ("404", "400")
