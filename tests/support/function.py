"""The function's environment and context, and moto's services for it, in this process."""

import contextlib
import importlib
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Final

import boto3
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

REGION, BUCKET, TABLE, TOPIC = "eu-central-1", "videos", "once", "outcomes"
TOPIC_ARN = f"arn:aws:sns:{REGION}:{DEFAULT_ACCOUNT_ID}:{TOPIC}"
ENVIRON: Final = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_LAMBDA_FUNCTION_NAME": "processor",
    "ENVIRONMENT_SUFFIX": "test",
    "IDEMPOTENCY_TABLE": TABLE,
    "MAX_BYTES_READ": str(256 << 20),
    "MAX_FRAME_PIXELS": str(8192 * 4352),
    "OUTCOME_TOPIC_ARN": TOPIC_ARN,
    "POSTER_MAX_EDGE": "1280",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    "POWERTOOLS_METRICS_NAMESPACE": "VideoIntake",
    "POWERTOOLS_SERVICE_NAME": "video-intake",
    "RESULT_BUCKET": BUCKET,
    "STORYBOARD": "disabled",
}
CONTEXT = SimpleNamespace(
    function_name="processor",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn",
    aws_request_id="request",
    get_remaining_time_in_millis=lambda: 300_000,
)


@contextlib.contextmanager
def account() -> Iterator[None]:
    """A versioned bucket, the table and the topic. Requires the environment."""
    with mock_aws(config={"core": {"reset_boto3_session": False}}):  # a new session takes longer than most tests
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        boto3.client("sns").create_topic(Name=TOPIC)
        boto3.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        yield


def cold_start() -> ModuleType:
    """The handler's module, executed again."""
    return importlib.reload(importlib.import_module("handler"))
