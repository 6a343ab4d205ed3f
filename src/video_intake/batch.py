"""S3 Batch Operations, for large backlogs: from its invocations to tasks, and back.

It calls the function synchronously, one task a call as of today, and knows three ends of a task: Succeeded,
TemporaryFailure (tried again before the job ends) and PermanentFailure. Two schemas: 1.0 names the bucket by its
ARN; 2.0 by its name, and carries arguments of the job.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from video_intake.uploads import NO_VERSION, RERUN, SUFFIXES, Version

UNVERSIONED: Final = "videoIntakeUnversioned"  # argument of a job whose manifest is of a bucket that has no versions
MAX_RESULT_STRING: Final = 1024  # characters that the job's report keeps of a task's result

type Outcome = dict[str, str]


@dataclass(frozen=True)
class Task(Version):
    """One version of one object that a job asks to have processed."""

    rerun: str  # of the whole job; "" if the job is not a deliberate rerun


class Unusable(Exception):
    """A task that cannot succeed on a retry. Its message is a sentence for the job's report."""


def answer(event: dict[str, Any], process: Callable[[Task], Outcome | Exception]) -> dict[str, Any]:
    """What S3 Batch Operations is told of each task in `event`, which is an invocation of either schema.

    `process` returns a task's outcome, of which any is a success: a rejected video has its verdict, and one that was
    deleted needs none. Or it returns the infrastructure failure that kept the task from it; that is tried again.
    """
    return {
        "invocationSchemaVersion": event["invocationSchemaVersion"],
        "treatMissingKeysAs": "TemporaryFailure",  # every task is answered below; if one were not, it must not be lost
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
        return Unusable(f"The invocation schema {event['invocationSchemaVersion']} is not known here.")
    bucket = task.get("s3Bucket") or str(task.get("s3BucketArn") or "").rpartition(":")[2]
    try:
        key = unquote_plus(task.get("s3Key") or "", errors="strict")  # as the manifest has it: encoded once
    except UnicodeDecodeError:
        return Unusable("The key in the manifest is not UTF-8.")
    if not bucket or not key:
        return Unusable("The task names no bucket or no key.")
    if not key.endswith(SUFFIXES):
        return Unusable(f"The name ends in none of {' '.join(SUFFIXES)}, so the function may not read it.")
    arguments = (event.get("job") or {}).get("userArguments") or {}
    version_id = task.get("s3VersionId") or (NO_VERSION if arguments.get(UNVERSIONED) else "")
    if not version_id:
        # The newest one would be a guess: by the time of a task it may be another than the manifest meant.
        return Unusable(
            "The manifest names no version. Make it of bucket, key and version id (scripts/replay.py batch)."
        )
    return Task(bucket, key, version_id, str(arguments.get(RERUN, "")))
