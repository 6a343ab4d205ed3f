import pytest

from video_intake import uploads


def record(key: str, **changes) -> dict:
    entity = {"key": key, "size": 5, "eTag": "e1", "versionId": "v1", "sequencer": "0A"} | changes
    return {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-07-01T10:00:00.000Z",
        "s3": {"bucket": {"name": "b"}, "object": entity},
    }


@pytest.mark.parametrize(
    ("announced", "key"),
    [
        ("plain.mp4", "plain.mp4"),
        ("%C3%89t%C3%A9+2026+%281%29.mp4", "Été 2026 (1).mp4"),
        ("a%2Bb.mov", "a+b.mov"),
        ("100%2525.avi", "100%25.avi"),  # decoded once: the key itself holds "%25"
        ("folder/%F0%9F%8E%AC.MP4", "folder/🎬.MP4"),
    ],
)
def test_keys_are_decoded_once(announced, key):
    assert [upload.key for upload in uploads.parse({"Records": [record(announced)]})] == [key]


def test_every_record_becomes_an_upload_in_order():
    found = uploads.parse({"Records": [record("a.mp4"), record("b.mp4", size=7)]})
    assert [(upload.key, upload.size, upload.version_id) for upload in found] == [
        ("a.mp4", 5, "v1"),
        ("b.mp4", 7, "v1"),
    ]


def test_without_versioning_the_version_is_null():
    entry = record("a.mp4")
    del entry["s3"]["object"]["versionId"]
    assert uploads.parse({"Records": [entry]})[0].version_id == "null"


def test_the_test_event_of_s3_is_no_upload():
    assert uploads.parse({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}) == []


@pytest.mark.parametrize(
    "event",
    [{}, {"Records": None}, {"Records": [{}]}, {"Records": [record("a.mp4") | {"eventName": "ObjectRemoved:Delete"}]}],
)
def test_a_wrong_wiring_is_an_error(event):
    with pytest.raises(ValueError, match="not an"):
        uploads.parse(event)
