"""The function's environment and context."""

from types import SimpleNamespace
from typing import Final

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
