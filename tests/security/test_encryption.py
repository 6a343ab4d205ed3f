"""With the user's key: what is encrypted with it, and the policy that alarms and logs require."""

import json
import re

import pytest

from scripts import notifications
from scripts.stack import wait_for
from tests.support.secured import DOCUMENTED, Secured
from tools.localcloud.deployment import ROOT
from tools.localcloud.letters import letters as mails
from tools.videos import video

ADDRESS = {"NotificationEmail": "you@example.com"}


def letters(world: Secured, word: str) -> list[str]:
    """The subjects of the mails so far that contain `word`."""
    return [str(one["Subject"]) for one in mails(world.cloud.mailbox) if word in str(one["Subject"])]


def ring(world: Secured) -> str:
    """Triggers an alarm and returns its name."""
    alarm = world.intake.alarms()[0]["AlarmName"]
    world.intake.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
    return str(alarm)


def without(policy: dict, sid: str) -> dict:
    return policy | {"Statement": [each for each in policy["Statement"] if each["Sid"] != sid]}


@pytest.fixture
def addressed(stack: Secured):
    """The stack with an address; afterwards with its defaults again."""
    before = stack.parameters()
    assert stack.change(**ADDRESS) == "UPDATE_COMPLETE"
    yield stack
    assert stack.change(**before) == "UPDATE_COMPLETE"


def test_everything_is_encrypted_with_the_key_and_delivered(addressed: Secured) -> None:
    assert addressed.change(KmsKeyArn=addressed.key) == "UPDATE_COMPLETE"
    good = addressed.upload("encrypted.mp4", video(seconds=0.2))
    result = addressed.intake.outcome(good)
    addressed.intake.outcome(addressed.upload("encrypted and rejected.mp4", b"no video"))
    s3 = addressed.intake.client("s3")
    for key in (good.key, result["resultKey"], result["poster"]["key"]):
        head = s3.head_object(Bucket=addressed.intake.bucket, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", addressed.key)
    wait_for("the e-mail", lambda: letters(addressed, "encrypted and rejected") or None)


def test_an_alarm_reaches_an_encrypted_topic_whose_key_is_as_documented(addressed: Secured) -> None:
    assert addressed.change(KmsKeyArn=addressed.key) == "UPDATE_COMPLETE"
    alarm = ring(addressed)
    assert letters(addressed, alarm)


def test_without_that_statement_no_alarm_is_delivered_and_no_error_reported(addressed: Secured) -> None:
    deaf = addressed.make_key(without(addressed.key_policy, "AllowCloudWatchAlarms"))
    assert addressed.change(KmsKeyArn=deaf) == "UPDATE_COMPLETE", "which is why it is in the documentation"
    before = letters(addressed, "ALARM")
    ring(addressed)
    assert letters(addressed, "ALARM") == before


def undelivered(world: Secured, key: str) -> list[str]:
    """The keys in the failed-events queue after an upload that EventBridge may not deliver; empties the queue."""
    existing = {"ExistingBucketName": world.theirs.bucket, "ExistingBucketPrefix": world.theirs.prefix}
    assert world.change(KmsKeyArn=key, **existing) == "UPDATE_COMPLETE"
    functions, name = world.intake.client("lambda"), {"FunctionName": world.intake.outputs["FunctionName"]}
    allowed = permission(world)
    functions.remove_permission(**name, StatementId=allowed["Sid"])
    world.upload(f"{world.theirs.prefix}undelivered.mp4", b"no video", bucket=world.theirs.bucket)
    functions.add_permission(
        **name, StatementId=allowed["Sid"], Action=allowed["Action"], Principal="events.amazonaws.com",
        SourceArn=world.intake.outputs["ExistingBucketRuleArn"],
    )  # fmt: skip
    sqs, queue = world.intake.client("sqs"), {"QueueUrl": world.intake.outputs["FailedEventsQueueUrl"]}
    found = sqs.receive_message(**queue).get("Messages", [])
    for message in found:
        sqs.delete_message(**queue, ReceiptHandle=message["ReceiptHandle"])
    events = [json.loads(message["Body"]) for message in found]
    return [event["detail"]["object"]["key"] for event in events]


def permission(world: Secured) -> dict:
    """EventBridge's permission on the function."""
    name = {"FunctionName": world.intake.outputs["FunctionName"]}
    statements = json.loads(world.intake.client("lambda").get_policy(**name)["Policy"])["Statement"]
    return next(one for one in statements if one["Principal"]["Service"] == "events.amazonaws.com")


def test_undeliverable_events_are_kept_with_a_key_as_documented(addressed: Secured) -> None:
    assert undelivered(addressed, addressed.key) == [f"{addressed.theirs.prefix}undelivered.mp4"]


def test_without_that_statement_undeliverable_events_are_lost(addressed: Secured) -> None:
    closed = addressed.make_key(without(addressed.key_policy, "AllowEventBridge"))
    assert undelivered(addressed, closed) == []


def test_the_documented_statement_for_an_existing_buckets_key_is_the_printed_one() -> None:
    line = json.loads(DOCUMENTED[2])
    role = line["Principal"]["AWS"]
    assert notifications.admits({"Statement": [line]}, role)
    [said] = re.findall(r'\{\\"Sid.*?\}\}\}', (ROOT / "scripts/shell/existing_bucket.sh").read_text(), re.DOTALL)
    asked = said.replace("\\", "").replace("$2", role).replace("$region", "eu-central-1")
    assert json.loads(asked) == line


def test_a_key_that_does_not_admit_logs_is_refused_and_rolled_back(addressed: Secured) -> None:
    bucket = {"Bucket": addressed.intake.bucket}
    before = addressed.intake.client("s3").get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]
    closed = addressed.make_key(without(addressed.key_policy, "AllowCloudWatchLogs"))
    assert addressed.change(KmsKeyArn=closed) == "UPDATE_ROLLBACK_COMPLETE"
    after = addressed.intake.client("s3").get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]
    assert after == before
    assert addressed.change(KmsKeyArn=addressed.key) == "UPDATE_COMPLETE"
