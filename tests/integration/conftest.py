"""A deployed stack: on the local cloud by default, a real one with `--stack NAME`. No test knows which."""

import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import localcloud
from demo.intake import Intake

PROJECT = Path(__file__).parents[2]
STACK = "video-intake-test"


@pytest.fixture(scope="session")
def cloud(request, tmp_path_factory) -> Iterator[localcloud.LocalCloud | None]:
    if request.config.getoption("--stack"):
        yield None
        return
    with localcloud.running(tmp_path_factory.mktemp("cloud"), retry_delay=0.1) as cloud:
        before = dict(os.environ)
        os.environ.update(cloud.environ)
        os.environ.pop("AWS_PROFILE", None)
        yield cloud
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def intake(request, cloud) -> Intake:
    """The stack under test."""
    if cloud is None:
        return Intake(request.config.getoption("--stack"))
    architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    command = ["scripts/deploy.sh", "--env", "test", "--email", "you@example.com", "--architecture", architecture]
    if platform.system() != "Linux":
        command += ["--wheels", "host"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Intake(STACK)


@pytest.fixture(scope="session")
def mailbox(cloud) -> Path:
    if cloud is None:
        pytest.skip("e-mail of a real account arrives at a person")
    return cloud.mailbox


@pytest.fixture(scope="session")
def inbox(intake) -> Iterator[str]:
    """The URL of a queue subscribed to the outcomes: the JSON voice, as a program hears it."""
    sqs, sns = intake.client("sqs"), intake.client("sns")
    url = sqs.create_queue(QueueName="video-intake-test-inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = intake.outputs["OutcomeTopicArn"]
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},'
        f'"Action":"sqs:SendMessage","Resource":"{arn}","Condition":{{"ArnEquals":{{"aws:SourceArn":"{topic}"}}}}}}]}}'
    )
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    yield url
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=url)
