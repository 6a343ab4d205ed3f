import json
from dataclasses import replace

import pytest

from tests.support.outcomes import COST, REJECTIONS, UPLOAD
from video_intake import messages, results
from video_intake.media import verdicts

TRUNCATED = verdicts.truncated(50, lastSampleEnd=99)


@pytest.fixture
def success(inspection):
    return results.result(UPLOAD, inspection, COST)


@pytest.fixture
def failure():
    return results.result(UPLOAD, TRUNCATED, COST)


def test_one_message_has_two_voices(success):
    voices = json.loads(messages.message(success))
    assert json.loads(voices["default"]) == success
    assert "is a playable video" in voices["email"]


def test_success_and_failure_differ(success, failure):
    assert messages.subject(success) == "Video ready: Ete 2026 (1) ?.mp4"
    assert messages.subject(failure) == "Video rejected (truncated): Ete 2026 (1) ?.mp4"
    assert "is not a playable video" in messages.email(failure)


def test_a_success_tells_what_the_video_is(success):
    text = messages.email(success)
    for fact in ("Été 2026 (1) 🎬.mp4", "640 x 360", "H.264", "30 frames/s", "AAC", "48000 Hz", "MP4", "1.23 kB"):
        assert fact in text, fact
    for place in (success["poster"]["key"], success["resultKey"], UPLOAD.version_id):
        assert place in text, place


def test_of_an_upload_to_another_bucket_each_place_is_in_its_own(inspection):
    text = messages.email(results.result(replace(UPLOAD, bucket="theirs"), inspection, COST, "ours"))
    for place in (
        "Video    s3://theirs/Été",
        "Poster   s3://ours/results-of/theirs/",
        "Result   s3://ours/results-of/",
    ):
        assert place in text, place


def test_a_failure_tells_why_and_what_to_do(failure):
    text = messages.email(failure)
    for fact in (TRUNCATED.message, TRUNCATED.advice, "lastSampleEnd: 99", UPLOAD.version_id):
        assert fact in text, fact


@pytest.mark.parametrize("rejected", REJECTIONS, ids=lambda rejected: rejected.reason)
@pytest.mark.parametrize("key", ["a.mp4", "é" * 500 + ".mp4", "line\nbreak\t\x7f.mov", "видео.avi", "🎬.mp4"])
def test_every_subject_is_one_that_sns_takes(rejected, key):
    """ASCII, no line breaks or control characters, fewer than 100 characters (SNS API reference, Publish)."""
    subject = messages.subject(results.result(replace(UPLOAD, key=key), rejected, COST))
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) < 100
    assert rejected.reason in subject
    assert subject.endswith(key[-4:])


def test_subscribers_can_filter(success, failure):
    assert {name: value["StringValue"] for name, value in messages.attributes(success, "dev").items()} == {
        "status": "success",
        "environment": "dev",
    }
    assert messages.attributes(failure, "dev")["reason"]["StringValue"] == "truncated"


@pytest.mark.parametrize(("seconds", "text"), [(0.5, "0.5 s"), (59.94, "59.9 s"), (61, "0:01:01"), (7325.4, "2:02:05")])
def test_lengths_read_well(success, seconds, text):
    success["container"]["duration"] = seconds
    assert f"Length   {text}\n" in messages.email(success)
