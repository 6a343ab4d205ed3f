"""Processes each version once, no matter how often or how concurrently its event is delivered.

S3 and Lambda deliver at least once, and failed events are submitted again. Powertools Idempotency keeps a record for
each version in a DynamoDB table: in progress, then completed with the returned value.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import boto3
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyItemNotFoundError
from botocore.config import Config

from video_intake.uploads import NO_VERSION, Upload

# A crash's lock must have expired when Lambda retries, after one minute and two more. If it lasted for the rest of the
# invocation (300 s), as is the default, both retries would find it, and the event would fail permanently.
LOCK_SECONDS: Final = 55
# Longer than a failed event can stay in the queue before it is submitted again (14 days).
REMEMBERED_SECONDS: Final = 15 * 24 * 3600
# The identity of a piece of work. Without versioning, the content distinguishes uploads of a key, and the event's
# sequencer distinguishes content that is uploaded again after other content.
IDENTITY: Final = (
    f"version_id != '{NO_VERSION}' && [bucket, key, version_id, rerun] "
    "|| [bucket, key, version_id, etag, sequencer, rerun]"
)
KEY_PREFIX: Final = "video"

type Process = Callable[..., dict[str, Any]]


class _Lock:
    """Replaces the Lambda context, from which Powertools derives the duration of a lock."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return LOCK_SECONDS * 1000


def once(process: Process, table: str, client: Config, on_duplicate: Callable[[], None]) -> Process:
    """Wraps `process`, which takes an Upload as the keyword `upload`, to run once for each version and rerun.

    A duplicate costs one request, calls `on_duplicate` and returns the first call's value. During the first call, it
    raises IdempotencyAlreadyInProgressError, so that Lambda retries it. An exception in `process` releases the lock.
    """

    def duplicate(response: Any, idempotent_data: Any) -> Any:
        on_duplicate()
        return response

    config = IdempotencyConfig(
        event_key_jmespath=IDENTITY,
        expires_after_seconds=REMEMBERED_SECONDS,
        response_hook=duplicate,
        lambda_context=_Lock(),  # type: ignore[arg-type]  # it uses nothing else
    )
    return idempotent_function(  # type: ignore[no-any-return]  # has the type of `process`
        process,
        data_keyword_argument="upload",
        persistence_store=DynamoDBPersistenceLayer(table, boto3_client=boto3.client("dynamodb", config=client)),
        config=config,
        key_prefix=KEY_PREFIX,
    )


def is_done(table: str, dynamodb: Any, upload: Upload) -> bool:
    """Whether the table has an outcome for `upload`, so that the function would treat it as a duplicate."""
    records = DynamoDBPersistenceLayer(table, boto3_client=dynamodb)
    records.configure(IdempotencyConfig(event_key_jmespath=IDENTITY), key_prefix=KEY_PREFIX)
    try:
        record = records.get_record(asdict(upload))
    except IdempotencyItemNotFoundError:
        return False
    return record is not None and record.status == "COMPLETED"
