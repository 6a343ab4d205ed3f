import copy
from dataclasses import asdict, replace
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.replaying.versions import event
from video_intake import uploads
from video_intake.uploads import Shape, Upload


def bridged(key: str, **changes) -> dict:
    """S3's event through EventBridge, without values that are None."""
    entity = {"key": key, "size": 5, "etag": "e1", "version-id": "v1", "sequencer": "0A"} | changes
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-07-01T10:00:00Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:s3:::b"],
        "detail": {
            "version": "0",
            "bucket": {"name": "b"},
            "object": {name: value for name, value in entity.items() if value is not None},
            "reason": "PutObject",
        },
    }


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


@pytest.mark.parametrize("told", [{}, {"versionId": None}, {"versionId": ""}, {"versionId": "null"}])
def test_without_versioning_the_version_is_null(told):
    entry = record("a.mp4")
    del entry["s3"]["object"]["versionId"]
    entry["s3"]["object"] |= told
    assert uploads.parse({"Records": [entry]})[0].version_id == "null"


def test_the_test_event_of_s3_is_not_an_upload():
    assert uploads.parse({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}) == []


TASKS = {"invocationSchemaVersion": "1.0", "invocationId": "i", "job": {"id": "j"}, "tasks": []}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"Records": [record("a.mp4")]}, Shape.NOTIFICATION),
        ({"Records": [None]}, Shape.NOTIFICATION),
        (bridged("a.mp4"), Shape.EVENTBRIDGE),
        (bridged("a.mp4") | {"detail": None}, Shape.EVENTBRIDGE),
        (TASKS, Shape.BATCH),
        (TASKS | {"invocationSchemaVersion": "2.0"}, Shape.BATCH),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, Shape.TEST),
    ],
)
def test_the_sender_is_recognized_by_the_format_of_the_event(event, expected):
    assert uploads.shape(event) is expected


@pytest.mark.parametrize(
    "event",
    [
        {}, {"Records": None}, {"Records": []}, {"Records": {}}, [], None, "text", {"tasks": []},
        {"invocationSchemaVersion": "1.0"}, {"source": "aws.s3"},
        {"source": "aws.ec2", "detail-type": "Object Created"},
    ],
)  # fmt: skip
def test_an_unknown_event_is_an_error(event):
    with pytest.raises(ValueError, match="not an S3 event"):
        uploads.parse(event)


def test_a_batch_operations_invocation_is_not_an_upload():
    with pytest.raises(ValueError, match="it is an invocation by S3 Batch Operations"):
        uploads.parse(TASKS)


@pytest.mark.parametrize(
    ("malformed", "sentence"),
    [
        (None, "or eTag is wrong"),
        ({}, "or eTag is wrong"),
        (record("a.mp4") | {"eventName": "ObjectRemoved:Delete"}, "its eventName is ObjectRemoved:Delete"),
        (record("a.mp4", size="5"), "or eTag is wrong"),
        (record("a.mp4", size=-1), "or eTag is wrong"),
        (record("a.mp4", eTag=None), "or eTag is wrong"),
        (record("a.mp4") | {"s3": None}, "or eTag is wrong"),
        (record("%FF%FE.mp4"), "its key is not UTF-8"),
    ],
)
def test_a_malformed_record_is_explained_and_does_not_affect_the_others(malformed, sentence):
    first, second, third = uploads.parse({"Records": [record("a.mp4"), malformed, record("b.mp4")]})
    assert (first.key, third.key) == ("a.mp4", "b.mp4")
    assert isinstance(second, ValueError)
    assert str(second).startswith("Record 2 of 3 is not an upload: ")
    assert sentence in str(second)


@pytest.mark.parametrize("key", ["plain.mp4", "Été 2026 (1).mp4", "a+b.mov", "100%25.avi", "%2B%2B.MP4", "%FF.mp4"])
def test_the_key_of_an_eventbridge_event_is_not_encoded(key):
    [upload] = uploads.parse(bridged(key))
    assert upload == Upload("b", key, "v1", 5, "e1", "0A", "2026-07-01T10:00:00Z")


@pytest.mark.parametrize("told", [None, "null", ""])
def test_an_eventbridge_event_without_a_version_has_version_null(told):
    assert uploads.parse(bridged("a.mp4", **{"version-id": told}))[0].version_id == "null"


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (bridged("a.mp4") | {"detail-type": "Object Deleted"}, "its detail-type is Object Deleted"),
        (bridged("a.mp4") | {"detail-type": "Object Tags Added"}, "its detail-type is Object Tags Added"),
        (bridged("a.mp4", size=-1), "or etag is wrong"),
        (bridged("a.mp4", size="5"), "or etag is wrong"),
        (bridged("a.mp4", etag=None), "or etag is wrong"),
        (bridged("a.mp4") | {"detail": {}}, "or etag is wrong"),
        (bridged("a.mp4") | {"time": None}, "or etag is wrong"),
    ],
)
def test_an_eventbridge_event_that_is_not_an_upload_is_explained(event, sentence):
    [read] = uploads.parse(event)
    assert isinstance(read, ValueError)
    assert sentence in str(read)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PLACES = [("eventName",), ("eventTime",), ("s3",), ("s3", "bucket"), ("s3", "bucket", "name"), ("s3", "object"),
          *(("s3", "object", name) for name in ("key", "size", "eTag", "versionId", "sequencer"))]  # fmt: skip


@given(st.sampled_from(PLACES), JSON)
def test_any_record_is_an_upload_or_an_error(place, value):
    broken = copy.deepcopy(record("a.mp4"))
    holder = broken
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    [read] = uploads.parse({"Records": [broken]})
    if not isinstance(read, ValueError):
        texts = {name: text for name, text in asdict(read).items() if name != "size"}
        assert all(isinstance(text, str) for text in texts.values())
        assert read.size >= 0


BRIDGED_PLACES = [("time",), ("detail-type",), ("detail",), ("detail", "bucket"), ("detail", "bucket", "name"),
                  ("detail", "object"),
                  *(("detail", "object", name) for name in ("key", "size", "etag", "version-id", "sequencer")),
]  # fmt: skip


@given(st.sampled_from(BRIDGED_PLACES), JSON)
def test_any_eventbridge_event_is_an_upload_or_an_error(place, value):
    broken = bridged("a.mp4")
    holder = broken
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    [read] = uploads.parse(broken)
    if not isinstance(read, ValueError):
        texts = {name: text for name, text in asdict(read).items() if name != "size"}
        assert all(isinstance(text, str) for text in texts.values())
        assert read.size >= 0


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).map(lambda text: text + ".mp4")


@given(KEYS, st.sampled_from(["v1", "null", None]))
def test_every_event_format_gives_the_same_upload(key, version_id):
    """S3's notification, S3's event through EventBridge, and the event from scripts/replay.py."""
    [upload] = uploads.parse(bridged(key, **{"version-id": version_id}))
    [notified] = uploads.parse({"Records": [record(quote_plus(key), versionId=version_id)]})
    assert replace(upload, event_time="") == replace(notified, event_time="")
    [again] = uploads.parse(event(upload))
    assert again == replace(upload, sequencer="")


# ---------------------------------------------------------------- Where results are kept

ONE = Upload("videos", "a/b.mp4", "v1", 5, "e1", "0A", "2026-07-01T10:00:00.000Z")
NULL = replace(ONE, version_id="null")


@pytest.mark.parametrize(
    ("upload", "home", "folder"),
    [
        (ONE, "", "results/a/b.mp4/v1/"),
        (ONE, "videos", "results/a/b.mp4/v1/"),
        (replace(ONE, etag="e2", sequencer="0B"), "", "results/a/b.mp4/v1/"),  # the version says it all
        (NULL, "", "results/a/b.mp4/null-e1/"),
        (replace(NULL, sequencer="0B"), "", "results/a/b.mp4/null-e1/"),  # a listing does not know it
        (
            replace(NULL, etag="d41d8cd98f00b204e9800998ecf8427e-3"),
            "",
            "results/a/b.mp4/null-d41d8cd98f00b204e9800998ecf8427e-3/",
        ),
        (replace(NULL, etag=""), "", "results/a/b.mp4/null/"),  # a file on disk
        (ONE, "elsewhere", "results-of/videos/a/b.mp4/v1/"),
        (NULL, "elsewhere", "results-of/videos/a/b.mp4/null-e1/"),
    ],
)
def test_the_folder_of_an_upload(upload, home, folder):
    assert uploads.folder(upload, home) == folder


PARTS = st.text(st.sampled_from("ab/"), min_size=1, max_size=6) | st.text(
    st.sampled_from("xé/"), min_size=480, max_size=1024
)
SOURCES = st.builds(
    Upload,
    bucket=st.sampled_from(["home", "ab", "aba"]),
    key=PARTS.filter(lambda key: len(key.encode()) <= 1024),
    version_id=st.sampled_from(["null", "v" * 32, "w" * 32]),
    size=st.just(5),
    etag=st.sampled_from(["0" * 32, "1" * 32, "1" * 32 + "-2"]),
    sequencer=st.just(""),
    event_time=st.just(""),
)


@given(SOURCES, SOURCES)
def test_different_uploads_have_different_folders(one, other):
    def content(upload):
        etag = upload.etag if upload.version_id == "null" else ""
        return upload.bucket, upload.key, upload.version_id, etag

    folders = [uploads.folder(upload, "home") for upload in (one, other)]
    assert (folders[0] == folders[1]) == (content(one) == content(other))
    assert all(len((folder + name).encode()) <= 1024 for folder in folders for name in uploads.RESULT_NAMES)
