"""Files that kill the function: they are identified without reading logs, and one command processes them again."""

from typing import Final

import pytest

from scripts.stack import wait_for
from tests.support.world import key_of
from tools.localcloud.letters import letters as mails
from tools.videos import video

KILLERS: Final = {  # what each does to the process once it has its lock, and what its dead letter says
    "endless.mp4": ("freeze", "Sandbox.Timedout"),  # as a decoder that never returns
    "deadly.mp4": ("kill-after", "Runtime.ExitError"),  # as one that writes where it should not, or takes all memory
}
FIVE_MINUTES: Final = 300  # as in the template


@pytest.fixture
def impatient(world):
    """Reduces the function's timeout from five minutes to a second."""
    world.allow(1)
    yield
    world.allow(FIVE_MINUTES)


def test_events_that_kill_the_function_trigger_an_alarm_and_can_be_replayed(world, impatient):
    for key, (kind, _) in KILLERS.items():
        world.fault(kind, event=key, operation="dynamodb:PutItem")
    versions = {key: world.upload(key, video(seconds=0.2)) for key in KILLERS}
    world.settle()

    letters = {key_of(letter): letter for letter in world.letters()}
    assert letters.keys() == KILLERS.keys()
    for key, letter in letters.items():
        [record] = letter["requestPayload"]["Records"]
        named = record["s3"]["bucket"]["name"], record["s3"]["object"]["versionId"]
        assert named == (world.intake.bucket, versions[key].version_id)
        assert letter["requestContext"]["condition"] == "RetriesExhausted"
        assert letter["responsePayload"]["errorType"] == KILLERS[key][1]
        calls = [call for call in world.calls() if call["event"] == letter["requestContext"]["requestId"]]
        assert len({call["worker"] for call in calls}) == 3, "each attempt had a separate process"

    [alarm] = [one for one in world.intake.alarms() if one.get("MetricName") == "ApproximateNumberOfMessagesVisible"]
    assert alarm["StateValue"] == "ALARM"
    wait_for("the e-mail", lambda: any(alarm["AlarmName"] in mail["Subject"] for mail in mails(world.cloud.mailbox)))

    status, listed = world.replay("dead-letters")
    assert status == 1
    assert {tuple(line[:2]) for line in listed} == {(key, version.version_id) for key, version in versions.items()}
    for line in listed:
        assert KILLERS[line[0]][1] in " ".join(line)

    world.well()
    world.allow(FIVE_MINUTES)
    assert world.replay("dead-letters", "--yes")[0] == 0
    world.settle()
    heard = world.heard_of()
    for version in versions.values():
        assert world.intake.result(version)["status"] == "success"
        assert heard[version.folder + "result.json"] == 1
    assert world.letters() == []
