"""`missing`: submits every version without a result, to process a backlog or after an outage."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from scripts.replaying import versions
from scripts.replaying.progress import Progress
from scripts.stack import Source, Stack
from video_intake import idempotency
from video_intake.uploads import Upload

type End = tuple[Upload, str | Exception]


def run(
    stack: Stack,
    sources: list[Source],
    selection: versions.Selection,
    bookmark: versions.Bookmark,
    *,
    apply: bool,
    limit: int,
    workers: int,
) -> int:
    """Returns the exit status. The workers process one page of the listing at a time."""
    progress = Progress()
    permits = threading.Semaphore(limit)
    unbroken = True  # nothing so far must be checked again
    walk = versions.pages(stack.client("s3"), sources, selection, bookmark.read() if apply else {})
    with ThreadPoolExecutor(workers) as pool:
        for uploads, marker in walk:
            for upload, end in pool.map(partial(_examine, stack, apply, permits), uploads):
                if isinstance(end, Exception):
                    progress.failed(f"{upload.key} {upload.version_id}", end)
                else:
                    progress.count(end)
                if end in ("submitted", "missing"):
                    progress.found(upload.key, upload.version_id, upload.bucket)
                unbroken = unbroken and end in ("submitted", "with a result")
            if apply and unbroken:
                bookmark.write(marker)
            if progress.counts["left"]:
                break
    if apply and unbroken:
        bookmark.remove()
    progress.summary(*["Nothing was submitted. Pass --yes to submit."][: not apply and progress.counts["missing"]])
    return int(any(progress.counts[what] for what in ("missing", "left", "failed")))


def _examine(stack: Stack, apply: bool, permits: threading.Semaphore, upload: Upload) -> End:
    s3 = stack.client("s3")
    try:
        if versions.has_result(s3, stack.bucket, upload):
            return upload, "with a result"
        if not apply:
            return upload, "missing"
        if not permits.acquire(blocking=False):
            return upload, "left"
        # Without a rerun name, so that a late S3 event or a failed event of the same version is a duplicate. Only if
        # the record is complete but the result was deleted (checked again, because the result is written first) is
        # there a rerun. It is named for the day, so that repeating the command is a duplicate.
        if idempotency.is_done(stack.output("IdempotencyTableName"), stack.client("dynamodb"), upload):
            if versions.has_result(s3, stack.bucket, upload):
                return upload, "with a result"
            upload = replace(upload, rerun=f"missing-{datetime.now(UTC):%Y-%m-%d}")
        stack.submit(versions.event(upload))
    except (ClientError, BotoCoreError, RuntimeError) as fault:
        return upload, fault
    return upload, "submitted"
