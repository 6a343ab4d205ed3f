"""The exact values of pure modules, which other tests check in general. `make mutate` needs them."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from types import SimpleNamespace

import pytest

from tests.support.files import File
from tests.support.outcomes import COST, UPLOAD
from tools.videos import video
from video_intake import batch, messages, results, uploads
from video_intake.decoder import Decoder
from video_intake.inspection import judge
from video_intake.media import verdicts
from video_intake.media.limits import Limits
from video_intake.media.storyboard import Storyboard
from video_intake.uploads import Upload, folder

ANNOUNCED = {
    "eventName": "ObjectCreated:CompleteMultipartUpload",
    "eventTime": "2026-07-01T10:00:00.000Z",
    "s3": {
        "bucket": {"name": "the-bucket"},
        "object": {"key": "a.mp4", "versionId": "v1", "size": 5, "eTag": "e1", "sequencer": "0A"},
    },
}

# Text for people


def a_success(**video_facts) -> dict:
    facts = {
        "codec": "hevc",
        "profile": "Main 10",
        "displayWidth": 3840,
        "displayHeight": 2160,
        "frameRate": "30000/1001",
        "hdr": "HLG",
        "bitDepth": 10,
    }
    english = {"codec": "aac", "channelLayout": "stereo", "sampleRate": 48000, "language": "eng"}
    return {
        "source": {"bucket": "b", "key": "a/b.mov", "versionId": "v1", "size": 12_345_678, "uploadedAt": "then"},
        "container": {"format": "mov", "duration": 3661.0, "bitRate": 12_345_678},
        "video": facts | video_facts,
        "audio": [english, {"codec": "opus", "channelLayout": None, "sampleRate": None, "language": None}],
        "poster": {"key": "results/a/b.mov/v1/poster.jpg"},
        "resultBucket": "b",
        "resultKey": "results/a/b.mov/v1/result.json",
        "warnings": ["It is odd."],
    }


def test_the_mail_of_a_success():
    assert messages.email(a_success()) == (
        "a/b.mov is a playable video.\n"
        "\n"
        "Picture  3840 x 2160, HEVC Main 10, 29.97 frames/s, HDR (HLG, 10 bit)\n"
        "Length   1:01:01\n"
        "Audio    AAC stereo 48000 Hz eng; OPUS\n"
        "File     MOV, 12.3 MB, 12.3 Mbit/s\n"
        "Note     It is odd.\n"
        "\n"
        "Video    s3://b/a/b.mov\n"
        "         version v1\n"
        "Poster   s3://b/results/a/b.mov/v1/poster.jpg\n"
        "Result   s3://b/results/a/b.mov/v1/result.json\n"
        "Uploaded then\n"
    )


def test_the_mail_of_a_success_of_which_little_is_known():
    little = a_success(codec="cinepak", profile=None, frameRate=None, hdr=None) | {"audio": [], "warnings": []}
    little["container"] = {"format": "mov", "duration": None, "bitRate": None}
    del little["poster"]
    assert messages.email(little).splitlines()[2:8] == [
        "Picture  3840 x 2160, cinepak",
        "Length   unknown",
        "Audio    none",
        "File     MOV, 12.3 MB",
        "",
        "Video    s3://b/a/b.mov",
    ]


def test_the_mail_of_a_failure():
    failure = results.result(replace(UPLOAD, key="a.mp4"), verdicts.truncated(50, lastSampleEnd=99), COST)
    assert messages.email(failure) == (
        "a.mp4 is not a playable video.\n"
        "\n"
        "Why      The file ends too early: the upload or the recording was cut off.\n"
        "Advice   Upload it again. If the original does not play to the end either, the recording was cut off.\n"
        "Size     1.23 kB\n"
        "Details  lastSampleEnd: 99, fileEnd: 50\n"
        "\n"
        "Video    s3://videos/a.mp4\n"
        "         version 3HL4kqtJlcpXrof3\n"
        "Result   s3://videos/results/a.mp4/3HL4kqtJlcpXrof3/result.json\n"
        "Uploaded 2026-07-01T10:00:00.000Z\n"
    )


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (999_000, "999 kB"), (999_600, "1 MB"), (1_000_000, "1 MB"),
     (1e9, "1 GB"), (25e9, "25 GB"), (2.5e12, "2.5e+03 GB")],
)  # fmt: skip
def test_sizes_are_readable(size, text):
    empty = results.result(replace(UPLOAD, size=size), verdicts.empty(), COST)
    assert f"\nSize     {text}\n" in messages.email(empty)


@pytest.mark.parametrize(
    ("seconds", "text"), [(60, "0:01:00"), (60.4, "0:01:00"), (3599, "0:59:59"), (3600 * 61 + 60, "61:01:00")]
)
def test_durations_are_readable(seconds, text):
    result = a_success()
    result["container"]["duration"] = seconds
    assert f"\nLength   {text}\n" in messages.email(result)


def test_attributes_are_valid_for_sns():
    for result in (a_success() | {"status": "success"}, {"status": "failure", "failure": {"reason": "empty"}}):
        given = messages.attributes(result, "dev")
        assert {(one["DataType"], len(one)) for one in given.values()} == {("String", 2)}


@pytest.mark.parametrize("over", [0, 1])
def test_a_subject_of_maximum_length_is_not_shortened(over):
    key = "~" * (messages.MAX_SUBJECT - len("Video ready: ") + over - 4) + ".mp4"
    subject = messages.subject({"source": {"key": key}})
    assert len(subject) == messages.MAX_SUBJECT
    assert subject == "Video ready: " + ("..." + key[4:] if over else key)


# S3's events, and a job's tasks


def test_every_field_of_an_upload_is_from_the_event():
    assert uploads.parse({"Records": [ANNOUNCED | {uploads.RERUN: 7}]}) == [
        Upload("the-bucket", "a.mp4", "v1", 5, "e1", "0A", "2026-07-01T10:00:00.000Z", "7")
    ]


def test_optional_fields_of_an_event():
    entity = {name: value for name, value in ANNOUNCED["s3"]["object"].items() if name != "sequencer"}
    record = ANNOUNCED | {"s3": ANNOUNCED["s3"] | {"object": entity}}
    [upload] = uploads.parse({"Records": [record]})
    assert (upload.sequencer, upload.rerun) == ("", "")


def test_an_invalid_event_is_explained():
    [wrong] = uploads.parse({"Records": [ANNOUNCED | {"eventName": "ObjectRemoved:Delete"}]})
    assert str(wrong) == "Record 1 of 1 is not an upload: its eventName is ObjectRemoved:Delete."


@pytest.fixture
def elsewhere(monkeypatch):
    """A machine with another time zone than UTC."""
    monkeypatch.setenv("TZ", "XXX-5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_times_have_s3s_format():
    summer = timezone(timedelta(hours=2))
    assert uploads.timestamp(datetime(2026, 7, 1, 12, 0, 0, 123_999, summer)) == "2026-07-01T10:00:00.123Z"
    assert uploads.timestamp(datetime(2026, 7, 1, tzinfo=UTC)) == "2026-07-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({"s3Key": "a.mp4"}, "The task has no bucket or no key."),
        ({"s3Bucket": "b"}, "The task has no bucket or no key."),
        (
            {"s3Bucket": "b", "s3Key": "a.mp4"},
            "The manifest has no version IDs. Create one with bucket, key and version ID (scripts/replay.py batch).",
        ),
    ],
)
def test_a_job_report_explains_what_is_wrong_with_a_task(task, told):
    event = {"invocationSchemaVersion": "2.0", "invocationId": "i", "tasks": [task | {"taskId": "t"}]}
    [answer] = batch.answer(event, lambda _: pytest.fail("it is not to be tried"))["results"]
    assert answer == {"taskId": "t", "resultCode": "PermanentFailure", "resultString": told}


# Where results are, and what they contain


def test_the_names_of_a_videos_files(inspection):
    sheet = Storyboard(b"jpeg", "vtt", columns=1, rows=2, tile_width=3, tile_height=4, frames=5)
    found = replace(inspection, storyboard=sheet)
    result = results.result(replace(UPLOAD, key="a.mp4"), found, COST)
    folder = "results/a.mp4/3HL4kqtJlcpXrof3/"
    assert result["resultKey"] == folder + "result.json"
    assert result["storyboard"] == {
        "key": folder + "storyboard.jpg",
        "vttKey": folder + "storyboard.vtt",
        "columns": 1,
        "rows": 2,
        "tileWidth": 3,
        "tileHeight": 4,
        "frames": 5,
    }
    assert results.pictures(result, found) == {
        folder + "poster.jpg": inspection.poster.jpeg,
        folder + "storyboard.jpg": b"jpeg",
        folder + "storyboard.vtt": b"vtt",
    }
    assert results.pictures(result, replace(found, poster=None)).keys() == {
        folder + "storyboard.jpg",
        folder + "storyboard.vtt",
    }
    assert results.pictures(result, verdicts.empty()) == {}


def test_a_key_of_maximum_length_is_not_shortened():
    room = 1024 - len("results/") - len(f"/{UPLOAD.version_id}/") - len("storyboard.jpg")
    fits, longer = "x" * room, "x" * (room + 1)
    assert folder(replace(UPLOAD, key=fits)) == f"results/{fits}/{UPLOAD.version_id}/"
    cut = folder(replace(UPLOAD, key=longer))
    assert len(cut) == len(folder(replace(UPLOAD, key=fits)))
    assert cut.split("/")[1][-65] == "~"


def test_a_wrong_extension_is_reported(inspection):
    result = results.result(replace(UPLOAD, key="a.MOV"), inspection, COST)
    assert result["warnings"][0] == "The name ends in .mov, but the file is MP4."


def test_a_rejection_has_its_reason_and_message():
    assert str(verdicts.unsupported_codec(codec="zzz9")) == (
        "unsupported-codec: The video is encoded as zzz9, which cannot be decoded here."
    )


# Inspecting one video


@pytest.fixture(scope="module")
def decoder():
    made = Decoder()
    made.start()
    yield made
    made.close()


@pytest.fixture
def judged(decoder):
    return partial(judged_by, decoder)


def judged_by(decoder, content: bytes, **limits) -> SimpleNamespace:
    file = File(content)
    result, pictures = judge(decoder, replace(UPLOAD, size=len(content)), file.fetch, Limits(**limits), seconds=20)
    return SimpleNamespace(result=result, pictures=pictures, ranges=file.ranges)


def test_a_playable_video_has_a_result_with_its_cost(judged):
    began = time.monotonic()
    good = judged(video(seconds=0.2))
    took = (time.monotonic() - began) * 1000
    assert good.result["status"] == "success"
    assert good.pictures[good.result["poster"]["key"]].startswith(b"\xff\xd8")
    inspection = good.result["inspection"]
    assert inspection["requests"] == len(good.ranges)
    assert inspection["bytesRead"] == sum(end - start for start, end in good.ranges)
    assert 1 <= inspection["roundTrips"] <= inspection["requests"]
    assert 0 < inspection["durationMs"] <= round(took)


def test_a_rejected_video_has_a_result_with_its_cost(judged):
    bad = judged(b"no video, whatever its name says")
    assert (bad.result["status"], bad.result["failure"]["reason"]) == ("failure", "not-a-video")
    assert bad.pictures == {}


def test_the_given_limits_are_used(judged):
    assert judged(video(seconds=0.2), max_bytes=64).result["failure"]["reason"] == "too-large-to-decode"
    assert judged(video(seconds=0.2), max_pixels=64).result["failure"]["reason"] == "too-large-to-decode"


def test_the_given_time_is_not_exceeded(decoder):
    content = video(seconds=0.2)
    result, _ = judge(decoder, replace(UPLOAD, size=len(content)), File(content).fetch, Limits(), seconds=-1)
    assert result["failure"]["reason"] == "too-slow"
