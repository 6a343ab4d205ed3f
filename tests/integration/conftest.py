"""A deployed stack: on the local cloud by default, a real one with `--stack NAME`. Tests do not depend on which.

The local one also processes an existing bucket without versioning.
"""

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.stack import Source, Stack
from tests.support import existing, warm
from tools import localcloud
from tools.localcloud.deployment import deploy, environ_of

EXISTING = Source("videos-from-before", "incoming/")


@pytest.fixture(scope="package")
def cloud(request, tmp_path_factory) -> Iterator[localcloud.LocalCloud | None]:
    if request.config.getoption("--stack"):
        yield None
        return
    local_cloud = request.getfixturevalue("local_cloud")
    with local_cloud(tmp_path_factory.mktemp("cloud"), retry_delay=0.1) as cloud:
        yield cloud


@pytest.fixture(scope="package")
def intake(request, cloud) -> Stack:
    """The stack under test."""
    if cloud is None:
        return Stack(request.config.getoption("--stack"))
    existing.create(cloud, EXISTING)
    options = ["--email", "you@example.com", "--parameter", "BatchOperations=enabled", *existing.options(EXISTING)]
    return deploy(cloud, "test", *options, tools=request.getfixturevalue("warm_cli"))


@pytest.fixture(scope="package")
def theirs(intake) -> Source:
    """The bucket that existed before the stack."""
    if len(intake.sources) == 1:
        pytest.skip("this stack processes no existing bucket")
    return intake.sources[1]


@pytest.fixture(scope="package")
def environ(request, cloud) -> dict[str, str]:
    """The environment of commands that use that stack."""
    return dict(os.environ) if cloud is None else environ_of(cloud, request.getfixturevalue("warm_cli"))


@pytest.fixture(scope="package")
def replay(intake: Stack, environ: dict[str, str]) -> Callable[..., tuple[int, list[str], str]]:
    """Runs scripts/replay.py; returns exit status, lines of stdout, and stderr."""

    def run(*arguments: str, stdin: str = "", **more: str) -> tuple[int, list[str], str]:
        command = [str(warm.command("replay")), arguments[0], "--stack", intake.name, *arguments[1:]]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environ | more)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


@pytest.fixture(scope="package")
def mailbox(cloud) -> Path:
    if cloud is None:
        pytest.skip("e-mail from a real account goes to a person")
    return cloud.mailbox


@pytest.fixture(scope="package")
def environment(intake) -> str:
    """The stack's EnvironmentSuffix: a dimension of its metrics."""
    [stack] = intake.client("cloudformation").describe_stacks(StackName=intake.name)["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}["EnvironmentSuffix"]


@pytest.fixture(scope="package")
def inbox(intake) -> Iterator[str]:
    """The URL of a queue that is subscribed to the outcomes, as JSON.

    It is created with its policy, because a later one may take a minute to apply, and SNS drops messages that a queue
    refuses. Its name is new each time, because SQS does not allow reusing one within a minute.
    """
    sqs, sns = intake.client("sqs"), intake.client("sns")
    topic, name = intake.outputs["OutcomeTopicArn"], f"video-intake-inbox-{uuid.uuid4()}"
    _, partition, _, region, account, _ = topic.split(":")
    arn = f"arn:{partition}:sqs:{region}:{account}:{name}"
    admits_the_topic = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [admits_the_topic]})
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": policy, "MessageRetentionPeriod": "3600"})["QueueUrl"]
    try:
        subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
        yield url
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    finally:
        sqs.delete_queue(QueueUrl=url)
