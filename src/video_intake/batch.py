"""S3 Batch Operations, for large backlogs: parses its invocations and creates its responses.

It invokes the function synchronously, currently with one task at a time. A task can end as Succeeded,
TemporaryFailure (retried before the job ends) or PermanentFailure. There are two schemas: 1.0 has the bucket's ARN; 2.0
has its name, and the job's arguments.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from video_intake.uploads import NO_VERSION, RERUN, SUFFIXES, Version

UNVERSIONED: Final = "videoIntakeUnversioned"  # argument of jobs for buckets without versioning
MAX_RESULT_STRING: Final = 1024  # characters that the job's report keeps of a task's result

type Outcome = dict[str, str]


@dataclass(frozen=True)
class Task(Version):
    """A version of an object to process for a job."""

    rerun: str  # of the whole job; "" if the job is not a deliberate rerun


class Unusable(Exception):
    """A task that cannot succeed when retried. The message is for the job's report."""


def answer(event: dict[str, Any], process: Callable[[Task], Outcome | Exception]) -> dict[str, Any]:
    """The response to `event`, an invocation in either schema, with a result for each task.

    `process` returns a task's outcome, which is always a success (a rejected video has a verdict; a deleted one needs
    none), or an infrastructure failure, which is retried.
    """
    return {
        "invocationSchemaVersion": event["invocationSchemaVersion"],
        "treatMissingKeysAs": "TemporaryFailure",  # "results" has every task; if one were missing, it must not be lost
        "invocationId": event["invocationId"],
        "results": [_result(event, task, process) for task in event["tasks"]],
    }


def _result(
    event: dict[str, Any], task: dict[str, Any], process: Callable[[Task], Outcome | Exception]
) -> dict[str, str]:
    asked = _parsed(event, task)
    outcome = process(asked) if isinstance(asked, Task) else asked
    match outcome:
        case Unusable():
            code, text = "PermanentFailure", str(outcome)
        case Exception():
            code, text = "TemporaryFailure", f"{type(outcome).__name__}: {outcome}"
        case _:
            code, text = "Succeeded", " ".join(filter(None, (outcome["status"], outcome.get("reason"))))
    return {"taskId": task["taskId"], "resultCode": code, "resultString": text[:MAX_RESULT_STRING]}


def _parsed(event: dict[str, Any], task: dict[str, Any]) -> Task | Unusable:
    if event["invocationSchemaVersion"] not in ("1.0", "2.0"):
        return Unusable(f"The invocation schema {event['invocationSchemaVersion']} is not supported.")
    bucket = task.get("s3Bucket") or str(task.get("s3BucketArn") or "").rpartition(":")[2]
    try:
        key = unquote_plus(task.get("s3Key") or "", errors="strict")  # encoded once, in the manifest
    except UnicodeDecodeError:
        return Unusable("The key in the manifest is not UTF-8.")
    if not bucket or not key:
        return Unusable("The task has no bucket or no key.")
    if not key.endswith(SUFFIXES):
        return Unusable(f"The key does not end in {' '.join(SUFFIXES)}, so the function may not read it.")
    arguments = (event.get("job") or {}).get("userArguments") or {}
    version_id = task.get("s3VersionId") or (NO_VERSION if arguments.get(UNVERSIONED) else "")
    if not version_id:
        # The newest version may be newer than the one meant by the manifest.
        return Unusable(
            "The manifest has no version IDs. Create one with bucket, key and version ID (scripts/replay.py batch)."
        )
    return Task(bucket, key, version_id, str(arguments.get(RERUN, "")))
