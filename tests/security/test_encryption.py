"""With a key of the user's: what is encrypted with it, and what its policy must say for alarms and logs to work."""

import pytest

from scripts.stack import wait_for
from tests.support.secured import Secured
from tools.localcloud.letters import letters as mails
from tools.videos import video

ADDRESS = {"NotificationEmail": "you@example.com"}


def letters(world: Secured, word: str) -> list[str]:
    """The subjects of the mails so far in which `word` occurs."""
    return [str(one["Subject"]) for one in mails(world.cloud.mailbox) if word in str(one["Subject"])]


def ring(world: Secured) -> str:
    """Turns an alarm on, and returns its name."""
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


def test_whatever_is_written_is_encrypted_with_the_key_and_heard_of(addressed: Secured) -> None:
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


def test_without_that_statement_nobody_complains_and_nobody_hears_the_alarm(addressed: Secured) -> None:
    deaf = addressed.make_key(without(addressed.key_policy, "LetAlarmsRing"))
    assert addressed.change(KmsKeyArn=deaf) == "UPDATE_COMPLETE", "which is why the documentation speaks of it"
    before = letters(addressed, "ALARM")
    ring(addressed)
    assert letters(addressed, "ALARM") == before


def test_a_key_that_logs_may_not_use_is_refused_and_all_is_as_it_was(addressed: Secured) -> None:
    bucket = {"Bucket": addressed.intake.bucket}
    before = addressed.intake.client("s3").get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]
    closed = addressed.make_key(without(addressed.key_policy, "LetLogsBeKept"))
    assert addressed.change(KmsKeyArn=closed) == "UPDATE_ROLLBACK_COMPLETE"
    after = addressed.intake.client("s3").get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]
    assert after == before
    assert addressed.change(KmsKeyArn=addressed.key) == "UPDATE_COMPLETE"
