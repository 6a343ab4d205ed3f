"""The function's environment, and responses to its calls that do not read an object.

Every write succeeds, there are no earlier records, and no object has tags.
"""

from typing import Final

ENVIRONMENT: Final = {
    "ENVIRONMENT_SUFFIX": "bench",
    "OUTCOME_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:bench",
    "RESULT_BUCKET": "results",
    "IDEMPOTENCY_TABLE": "bench",
    "STORYBOARD": "disabled",
    "MAX_FRAME_PIXELS": "35651584",
    "MAX_BYTES_READ": "268435456",
    "POSTER_MAX_EDGE": "1280",
    "POWERTOOLS_SERVICE_NAME": "video-intake",
    "POWERTOOLS_METRICS_NAMESPACE": "VideoIntake",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_DEFAULT_REGION": "us-east-1",
}
TAGS: Final = b"<Tagging><TagSet/></Tagging>"
PUBLISHED: Final = (
    b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    b"<MessageId>bench</MessageId></PublishResult></PublishResponse>"
)


class Context:
    """A Lambda context with one minute left."""

    function_name = "bench"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    aws_request_id = "bench"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds."""
        return 60_000


def answer(method: str, target: str, headers: dict[str, str]) -> bytes | None:
    """The response body for a call that does not read an object; None if it does."""
    if "x-amz-target" in headers:  # DynamoDB
        return b"{}"
    if method == "POST":  # SNS
        return PUBLISHED
    if method == "PUT":
        return b""
    return TAGS if method == "GET" and "tagging" in target.partition("?")[2].split("&") else None
