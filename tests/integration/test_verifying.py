"""scripts/verify.sh itself: it passes only for a healthy stack, and leaves nothing behind."""

import subprocess
from pathlib import Path

import pytest

from scripts.stack import wait_for
from tests.support.outage import broken

ROOT = Path(__file__).parents[2]


@pytest.fixture
def verify(cloud, intake, environ):
    if cloud is None:
        pytest.skip("a live stack is not broken on purpose; scripts/verify.sh verifies it")

    def run(*arguments: str) -> tuple[int, str]:
        command = [str(ROOT / "scripts/verify.sh"), *arguments]
        done = subprocess.run(command, cwd="/", env=environ, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def traces(intake) -> list[str]:
    """What it creates and must remove."""
    listed = [intake.client("s3").list_object_versions(Bucket=source.bucket) for source in intake.sources]
    keys = [each["Key"] for one in listed for kind in ("Versions", "DeleteMarkers") for each in one.get(kind, [])]
    subscriptions = intake.client("sns").list_subscriptions_by_topic(TopicArn=intake.outputs["OutcomeTopicArn"])
    queues = intake.client("sqs").list_queues(QueueNamePrefix="video-intake-inbox").get("QueueUrls", [])
    return [
        *(key for key in keys if "verify/" in key),
        *(each["SubscriptionArn"] for each in subscriptions["Subscriptions"] if each["Protocol"] == "sqs"),
        *queues,
    ]


def test_a_healthy_stack_passes_and_nothing_is_left_behind(verify, intake):
    before = traces(intake)
    status, said = verify("--stack-name", intake.name)
    assert status == 0, said
    assert said.count("PASSED") == 6, said
    assert f"{intake.name} works." in said
    assert "you@example.com is confirmed and receives e-mails." in said
    assert traces(intake) == before


def test_a_stack_whose_function_fails_does_not_pass_and_nothing_is_left_behind(verify, intake):
    before, queue = traces(intake), intake.outputs["FailedEventsQueueUrl"]
    try:
        with broken(intake):
            status, said = verify("--stack-name", intake.name)
            expected = len(intake.sources) + 1
            wait_for("every dead letter", lambda: intake.failed_events() == expected)
    finally:
        intake.client("sqs").purge_queue(QueueUrl=queue)
    assert status == 1
    assert "PASSED" not in said
    assert "An event has failed permanently" in said
    assert "dead-letters --stack" in said
    assert traces(intake) == before


def test_a_missing_stack_is_reported_immediately(verify):
    status, said = verify("--env", "nowhere")
    assert status == 1
    assert "there is no stack video-intake-nowhere" in said
