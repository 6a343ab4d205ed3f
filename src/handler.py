"""The Lambda function: takes an S3 event or an S3 Batch Operations task, and returns one outcome for each video.

This module only connects the parts; the decisions are in other modules.
"""

import gc
import os
from typing import Any

gc.disable()  # until everything is imported, none of which is garbage: looking for some took a fifth of a cold start

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from video_intake import batch, s3_object, uploads
from video_intake.decoder import Decoder
from video_intake.document import Result
from video_intake.idempotency import once
from video_intake.inspection import judge
from video_intake.media.limits import Limits
from video_intake.media.verdicts import Gone
from video_intake.publisher import Publisher
from video_intake.uploads import Shape, Upload

type Outcome = dict[str, str]

MAX_INSPECTION_SECONDS = 30  # a real video takes under one
PUBLISHING_SECONDS = 15  # of Lambda's time reserved to publish the verdict and flush the metrics

# S3, SNS and DynamoDB respond in milliseconds or not at all, so an early retry is better than a long wait. Four
# attempts with waits between them outlast a brief failure; for longer ones, Lambda retries a minute later.
CLIENT = Config(
    connect_timeout=2,
    read_timeout=8,
    retries={"mode": "standard", "total_max_attempts": 4},
    request_checksum_calculation="when_required",  # TLS protects what is written
    response_checksum_validation="when_required",  # a checksum of the whole object cannot check a range
)

logger = Logger()
metrics = Metrics()
metrics.set_default_dimensions(environment=os.environ["ENVIRONMENT_SUFFIX"])
limits = Limits(
    max_pixels=int(os.environ["MAX_FRAME_PIXELS"]),
    max_bytes=int(os.environ["MAX_BYTES_READ"]),
    poster_edge=int(os.environ["POSTER_MAX_EDGE"]),
    storyboard=os.environ["STORYBOARD"] == "enabled",
)
s3 = boto3.client("s3", config=CLIENT)
sns = boto3.client("sns", config=CLIENT)
home = os.environ["RESULT_BUCKET"]
publisher = Publisher(s3, sns, os.environ["OUTCOME_TOPIC_ARN"], os.environ["ENVIRONMENT_SUFFIX"])


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> list[Outcome] | dict[str, Any]:
    """Processes every record of an S3 event (from S3 or EventBridge), even if others fail.

    Returns the location of each result. Raises the infrastructure failure of a record, or an ExceptionGroup of several,
    so that Lambda retries the whole event. S3 Batch Operations gets a response in its own schema, and retries tasks
    that failed temporarily.
    """
    if uploads.shape(event) is Shape.BATCH:
        return batch.answer(event, lambda task: attempt(task, context))
    ends = [attempt(one, context) if isinstance(one, Upload) else _malformed(one) for one in uploads.parse(event)]
    faults = [end for end in ends if isinstance(end, Exception)]
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise ExceptionGroup("several uploads could not be processed", faults)
    return [end for end in ends if not isinstance(end, Exception)]


def attempt(asked: Upload | batch.Task, context: LambdaContext) -> Outcome | Exception:
    """The outcome of a task, or the infrastructure failure that prevented it."""
    with logger.append_context_keys(bucket=asked.bucket, key=asked.key, versionId=asked.version_id):
        try:
            upload = s3_object.described(s3, asked, asked.rerun) if isinstance(asked, batch.Task) else asked
            return process_once(upload=upload, context=context)
        except Gone as gone:
            return _gone(asked.key, gone)
        except Exception as fault:  # anything that is not a verdict is retried
            logger.exception("Not processed; it will be retried")
            return fault


def process(upload: Upload, context: LambdaContext) -> Outcome:
    """Inspects an upload and publishes its outcome, unless it was deleted before."""
    seconds = min(MAX_INSPECTION_SECONDS, context.get_remaining_time_in_millis() / 1000 - PUBLISHING_SECONDS)
    try:
        if not upload.size:
            s3_object.confirm(s3, upload)  # inspecting an empty file reads nothing, so a deletion would not be noticed
        result, pictures = judge(decoder, upload, s3_object.fetcher(s3, upload), limits, seconds, home)
    except Gone as gone:
        return _gone(upload.key, gone)
    publisher.publish(result, pictures)
    _measure(result, context)
    outcome = {"key": upload.key, "status": result["status"], "resultKey": result["resultKey"]}
    return outcome | ({"reason": result["failure"]["reason"]} if "failure" in result else {})


def _malformed(record: ValueError) -> ValueError:
    logger.error("Not processed; it will be retried", reason=str(record))
    return record


def _gone(key: str, gone: Gone) -> Outcome:
    logger.info("Deleted before it was processed", reason=str(gone))
    return {"key": key, "status": "gone"}


def _duplicate() -> None:
    logger.info("Duplicate event: this version already has an outcome")
    metrics.add_metric("DuplicateEvents", MetricUnit.Count, 1)
    metrics.flush_metrics()


process_once = once(process, os.environ["IDEMPOTENCY_TABLE"], CLIENT, _duplicate)


def _measure(result: Result, context: LambdaContext) -> None:
    """Emits the metrics, which CloudWatch charges for, and a log line with everything else, for queries."""
    metrics.add_metric("VideosProcessed", MetricUnit.Count, 1)
    metrics.add_metric("SuccessfulProcessing", MetricUnit.Count, int(result["status"] == "success"))
    metrics.add_metric("ProcessingDuration", MetricUnit.Milliseconds, result["inspection"]["durationMs"])
    source = result["source"]
    for name, value in (("bucket", source["bucket"]), ("key", source["key"]), ("versionId", source["versionId"])):
        metrics.add_metadata(name, value)
    metrics.add_metadata("function_request_id", context.aws_request_id)
    metrics.flush_metrics()  # now, because a timeout would lose metrics that are flushed at the end
    reason = result["failure"]["reason"] if "failure" in result else None
    details: dict[str, Any] = {"status": result["status"], "reason": reason, "size": source["size"]}
    # if there is a leak, threads and memory grow from line to line
    logger.info("Processed", **details, **result["inspection"], **decoder.footprint())


decoder = Decoder(on_fault=lambda text: logger.error("The decoder failed", detail=text))
decoder.start()  # after the imports, so that it starts while the function waits for AWS
gc.freeze()
gc.enable()
