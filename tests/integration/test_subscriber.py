"""examples/subscriber.yaml next to a deployed stack, deployed as in its comment."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.stack import wait_for
from tools.videos import video

EXAMPLE = Path(__file__).parents[2] / "examples/subscriber.yaml"
MAX_LINES = 90


@pytest.fixture
def subscriber(cloud, intake, environ) -> Iterator[str]:
    """The name of its stack, deployed by the command in the comment."""
    if cloud is None:
        pytest.skip("no other stacks are deployed to a real account")
    comment = re.search(r"^#   (aws .*\\\n)#(.*)", EXAMPLE.read_text(), re.MULTILINE)
    command = "".join(comment.groups()).replace("\\\n", "").replace("video-intake-prod", intake.name)
    done = subprocess.run(
        shlex.split(command), cwd=EXAMPLE.parents[1], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    yield "video-subscriber"
    intake.client("cloudformation").delete_stack(StackName="video-subscriber")


def test_only_playable_videos_are_passed_on(intake, subscriber):
    good = intake.upload("subscribed/good.mp4", video(seconds=0.2))
    bad = intake.upload("subscribed/bad.mp4", b"no video")
    intake.outcome(bad)
    intake.outcome(good)
    resources = intake.client("cloudformation").list_stack_resources(StackName=subscriber)["StackResourceSummaries"]
    names = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}

    def handed_on() -> list[dict]:
        events = intake.client("logs").filter_log_events(logGroupName=names["HandOnLogs"])["events"]
        return [json.loads(event["message"]) for event in events if event["message"].startswith("{")]

    assert wait_for("what is handed on", lambda: handed_on() or None) == [
        {"playable": good.key, "bucket": intake.bucket}
    ]
    left = intake.client("sqs").get_queue_attributes(
        QueueUrl=names["PlayableQueue"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert left["Attributes"] == {"ApproximateNumberOfMessages": "0"}


def test_the_example_stays_small():
    assert len(EXAMPLE.read_text().splitlines()) <= MAX_LINES
