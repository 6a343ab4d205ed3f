"""A deployed stack: on the local cloud by default, a real one with `--stack NAME`. No test knows which."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import localcloud
from demo.deployment import deploy
from demo.intake import Intake


@pytest.fixture(scope="session")
def cloud(request, tmp_path_factory) -> Iterator[localcloud.LocalCloud | None]:
    if request.config.getoption("--stack"):
        yield None
        return
    with localcloud.running(tmp_path_factory.mktemp("cloud"), retry_delay=0.1) as cloud:
        before = dict(os.environ)
        yield cloud
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def intake(request, cloud) -> Intake:
    """The stack under test."""
    if cloud is None:
        return Intake(request.config.getoption("--stack"))
    return deploy(cloud, "test", "--email", "you@example.com", "--parameter", "BatchOperations=enabled")


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
