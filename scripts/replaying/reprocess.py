"""`reprocess`: new results for chosen videos, whatever there is already."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import batched

from botocore.exceptions import BotoCoreError, ClientError

from scripts.replaying import versions
from scripts.replaying.progress import Progress
from scripts.stack import Stack, WrongUse
from video_intake.uploads import SUFFIXES, Upload

type Chosen = tuple[str, str]  # key, and version id or "" for the newest
type Work = Upload | Chosen
CHUNK = 1000  # keys in memory at once


def run(stack: Stack, work: Iterable[Work], rerun: str, *, apply: bool, workers: int) -> int:
    """Returns the exit status. All carry the same `rerun`, so that Lambda's retries of each stay duplicates."""
    progress = Progress()
    with ThreadPoolExecutor(workers) as pool:
        for chunk in batched(work, CHUNK, strict=False):
            for each, end in zip(chunk, pool.map(partial(_submit, stack, rerun, apply), chunk), strict=True):
                if isinstance(end, Exception):
                    progress.failed(each.key if isinstance(each, Upload) else " ".join(each).strip(), end)
                else:
                    progress.count("submitted" if apply else "to be processed again")
                    progress.found(end.key, end.version_id)
    progress.summary(f"Rerun {rerun}." if apply else "Nothing was submitted. Pass --yes to submit.")
    return int(not apply or bool(progress.counts["failed"]) or not progress.counts["submitted"])


def newest(stack: Stack, prefix: str) -> Iterator[Upload]:
    """The newest version of every video under `prefix`."""
    selection = versions.Selection(prefix, newest_only=True)
    for uploads, _ in versions.pages(stack.client("s3"), stack.bucket, selection, {}):
        yield from uploads


def listed(lines: Iterable[str]) -> Iterator[Chosen]:
    """Lines that begin with a key, or with key, tab and version id, as the other commands print them."""
    for line in lines:
        key, version_id, *_ = [*line.rstrip("\n").split("\t"), ""]
        if key:
            yield key, version_id


def _submit(stack: Stack, rerun: str, apply: bool, work: Work) -> Upload | Exception:
    try:
        upload = work if isinstance(work, Upload) else versions.find(stack.client("s3"), stack.bucket, *work)
        if not upload.key.endswith(SUFFIXES):
            raise WrongUse(f"its name does not end in any of {' '.join(SUFFIXES)}, so the function cannot read it")
        if apply:
            stack.submit(versions.event(replace(upload, rerun=rerun)))
    except (ClientError, BotoCoreError, RuntimeError, WrongUse) as fault:
        return fault
    return upload
