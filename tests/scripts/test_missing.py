"""`replay.py missing`, and the versions that it and `batch` walk through."""

import json
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from scripts.replaying import batch_job, missing, versions
from scripts.stack import WrongUse
from tests.support.replayed import BOTH, FAULTS, KEYS, OWN, T0, Bucket, Buckets, Deployed, version
from video_intake import batch, uploads
from video_intake.batch import Task
from video_intake.uploads import Upload

# ---------------------------------------------------------------- Events and tasks


@given(KEYS, st.sampled_from(["", "again"]))
def test_a_submitted_event_is_parsed_like_an_s3_event(key, attempt):
    upload = Upload("b", key, "v1", 7, "e1", "", "2026-07-01T10:00:00.000Z", attempt)
    assert uploads.parse(json.loads(json.dumps(versions.event(upload)))) == [upload]


@given(KEYS)
def test_a_manifest_line_is_parsed_as_its_version(key):
    """Passes a line on like S3 Batch Operations: split at commas, with the key unchanged."""
    upload = Upload("b", key + ".mp4", "v1", 7, "e1", "", "")
    [line] = batch_job.line(upload).splitlines()
    bucket, encoded, version_id = line.split(",")
    task = {"taskId": "t", "s3Bucket": bucket, "s3Key": encoded, "s3VersionId": version_id}
    seen: list[Task] = []
    event = {"invocationSchemaVersion": "2.0", "invocationId": "i", "tasks": [task]}
    batch.answer(event, lambda task: seen.append(task) or {"status": "success"})
    assert seen == [Task("b", key + ".mp4", "v1", "")]


# ---------------------------------------------------------------- The walk


@pytest.mark.parametrize(
    ("entry", "selection", "meant"),
    [
        (version("a.mp4"), versions.Selection(), True),
        (version("a.Mp4"), versions.Selection(), False),
        (version("results/own.MOV"), versions.Selection(), True),
        (version("results/a.mp4/v1/result.json"), versions.Selection(), False),
        (version("results/a.mp4/v1/poster.jpg"), versions.Selection(), False),
        (version("batch/x/manifest.csv"), versions.Selection(), False),
        (version("a.mp4", IsLatest=False), versions.Selection(), True),
        (version("a.mp4", IsLatest=False), versions.Selection(newest_only=True), False),
        (version("a.mp4"), versions.Selection(since=T0), True),
        (version("a.mp4"), versions.Selection(since=T0 + timedelta(seconds=1)), False),
        (version("a.mp4"), versions.Selection(until=T0), False),
        (version("a.mp4"), versions.Selection(until=T0 + timedelta(seconds=1)), True),
    ],
)
def test_which_versions_are_selected(entry, selection, meant):
    [(uploads, _)] = versions.pages(Bucket([entry]), OWN, selection, {})
    assert [upload.key for upload in uploads] == [entry["Key"]] * meant


def test_a_million_objects_take_the_memory_of_a_page():
    """100,000 entries, one in ten a video: they need about a megabyte; keeping the videos would need four."""

    class Endless(Bucket):
        def list_object_versions(self, **asked) -> dict:
            at = int(asked.get("KeyMarker") or 0)
            names = (f"folder/{at:04d}/{n:04d}.{'jpg' if n % 10 else 'mp4'}" for n in range(1000))
            found = [version(name, f"{at:032d}") for name in names]
            return {
                "IsTruncated": at < 99,
                "Versions": found,
                "NextKeyMarker": str(at + 1),
                "NextVersionIdMarker": "x",
            }

        def head_object(self, Bucket: str, Key: str) -> dict:  # noqa: N803  # boto3's names
            return {}

    stack, bookmark = Deployed(Endless()), versions.Bookmark(None, "")
    tracemalloc.start()
    try:
        assert missing.run(stack, OWN, versions.Selection(), bookmark, apply=True, limit=1 << 40, workers=2) == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20, f"{peak / 1e6:.1f} MB"


# ---------------------------------------------------------------- missing


@pytest.fixture
def walked(tmp_path, monkeypatch):
    """Runs `missing` on pages of keys, none of which are in the table; returns status and submitted keys."""
    monkeypatch.setattr(missing.idempotency, "is_done", lambda table, client, upload: False)
    state = tmp_path / "state"

    def walk(*pages: list[str], apply: bool = True, limit: int = 1 << 40, refused=(), done=(), keep: bool = True):
        bucket = Bucket(*([version(key) for key in page] for page in pages), done=done)
        stack = Deployed(bucket, refused=refused)
        bookmark = versions.Bookmark(state if keep else None, "walk")
        status = missing.run(stack, OWN, versions.Selection(), bookmark, apply=apply, limit=limit, workers=1)
        submitted = [event["Records"][0]["s3"]["object"]["key"] for event in stack.submitted]
        return status, submitted, [asked.get("KeyMarker") for asked in bucket.asked]

    walk.state = state
    return walk


def test_versions_with_a_result_are_not_submitted(walked):
    pages = [["a.mp4", "b.mp4"], [], ["c.mp4"]]  # S3 also lists delete markers, which may fill a page
    assert walked(*pages, done=("b.mp4",)) == (0, ["a.mp4", "c.mp4"], [None, "1", "2"])
    assert not walked.state.exists(), "a completed run starts from the beginning"


def test_without_yes_nothing_is_submitted_and_something_remains(walked, capsys):
    assert walked(["a.mp4"], apply=False) == (1, [], [None])
    assert capsys.readouterr() == ("a.mp4\tv1\tb\n", "1 missing. Nothing was submitted. Pass --yes to submit.\n")
    assert walked(["a.mp4"], apply=False, done=("a.mp4",)) == (0, [], [None])
    assert capsys.readouterr() == ("", "1 with a result.\n")


def test_an_interrupted_run_continues_where_it_stopped(walked):
    assert walked(["a.mp4"], ["b.mp4", "c.mp4"], ["d.mp4"], limit=2) == (1, ["a.mp4", "b.mp4"], [None, "1"])
    assert [path.name for path in walked.state.parent.iterdir()] == ["state"]
    kept = walked.state.read_text()
    report = walked(["a.mp4"], ["b.mp4", "c.mp4"], ["d.mp4"], apply=False)
    assert report[2] == [None, "1", "2"], "it has everything"
    assert walked(["a.mp4"], apply=False, done=("a.mp4",))[0] == 0
    assert walked.state.read_text() == kept, "and changes nothing"
    assert walked(["a.mp4"], ["b.mp4", "c.mp4"], ["d.mp4"])[1:] == (["b.mp4", "c.mp4", "d.mp4"], ["1", "2"])


@FAULTS
def test_a_page_with_a_failure_is_processed_again(walked, monkeypatch, capsys, fault):
    monkeypatch.setattr(Deployed, "fault", fault)
    status, submitted, _ = walked(["a.mp4"], ["b.mp4"], ["c.mp4"], refused=("b.mp4",))
    assert (status, submitted) == (1, ["a.mp4", "c.mp4"]), "a failure does not stop the others"
    assert f"b.mp4 v1: {type(fault).__name__}: {fault}\n" in capsys.readouterr().err
    assert walked(["a.mp4"], ["b.mp4"], ["c.mp4"])[2] == ["1", "2"]


def test_a_bookmark_of_another_run_is_refused(walked):
    walked(["a.mp4"], ["b.mp4"], refused=("b.mp4",))
    with pytest.raises(WrongUse, match="belongs to a run with other options"):
        versions.Bookmark(walked.state, "another").read()


def test_only_a_completed_version_without_a_result_gets_a_rerun_name(monkeypatch):
    def is_deleted(table, client, upload):
        assert (table, client) == ("IdempotencyTableName", "the table's client")
        return upload.key == "deleted.mp4"

    monkeypatch.setattr(missing.idempotency, "is_done", is_deleted)
    stack = Deployed(Bucket([version("deleted.mp4"), version("lost.mp4")]))
    missing.run(stack, OWN, versions.Selection(), versions.Bookmark(None, ""), apply=True, limit=9, workers=1)
    attempts = {parsed.key: parsed.rerun for event in stack.submitted for parsed in uploads.parse(event)}
    assert attempts == {"deleted.mp4": f"missing-{datetime.now(UTC):%Y-%m-%d}", "lost.mp4": ""}


# ---------------------------------------------------------------- Two buckets


@pytest.mark.parametrize(
    ("prefix", "asked"),
    [
        ("", {"b": "", "theirs": "in/"}),
        ("in/deep", {"b": "in/deep", "theirs": "in/deep"}),
        ("i", {"b": "i", "theirs": "in/"}),
        ("out/", {"b": "out/"}),
        ("n/", {"b": "n/"}),
    ],
)
def test_every_bucket_is_listed_below_its_prefix(prefix, asked):
    s3 = Buckets(b=[["a.mp4"], ["b.mp4"]], theirs=[["in/c.mp4"]])
    found = [one.key for some, _ in versions.pages(s3, BOTH, versions.Selection(prefix), {}) for one in some]
    assert found == ["a.mp4", "b.mp4", "in/c.mp4"][: 3 if len(asked) == 2 else 2]
    assert {name: each.asked[0]["Prefix"] for name, each in s3.buckets.items() if each.asked} == asked


def test_a_run_continues_in_the_bucket_where_it_stopped(walked, monkeypatch):
    def walk(limit):
        s3 = Buckets(b=[["a.mp4"]], theirs=[["in/b.mp4"], ["in/c.mp4"], ["in/d.mp4"]])
        stack, bookmark = Deployed(s3), versions.Bookmark(walked.state, "walk")
        missing.run(stack, BOTH, versions.Selection(), bookmark, apply=True, limit=limit, workers=1)
        return [event["Records"][0]["s3"]["object"]["key"] for event in stack.submitted]

    assert walk(limit=2) == ["a.mp4", "in/b.mp4"]
    assert walk(limit=9) == ["in/c.mp4", "in/d.mp4"]


def test_later_buckets_are_listed_from_the_beginning():
    s3 = Buckets(b=[["a.mp4"], ["b.mp4"]], theirs=[["in/c.mp4"], ["in/d.mp4"]])
    middle = {"Bucket": "b", "KeyMarker": "1", "VersionIdMarker": "after 1"}
    found = [one.key for some, _ in versions.pages(s3, BOTH, versions.Selection(), middle) for one in some]
    assert found == ["b.mp4", "in/c.mp4", "in/d.mp4"]


def test_results_for_another_bucket_are_in_a_separate_folder():
    s3 = Buckets(b=[["in/a.mp4"]], theirs=[["in/a.mp4"]])
    s3.done = {"results-of/theirs/in/a.mp4/null-e/result.json"}
    found = {one.bucket: versions.has_result(s3, "b", one)
             for some, _ in versions.pages(s3, BOTH, versions.Selection(), {}) for one in some}  # fmt: skip
    assert found == {"b": False, "theirs": True}


def test_a_result_that_may_not_be_read_is_not_treated_as_missing(monkeypatch, capsys):
    """If it were, a missing permission would cause every video in the bucket to be submitted."""

    def refused(**asked):
        raise ClientError({"Error": {"Code": "403"}}, "HeadObject")

    bucket = Bucket([version("a.mp4")])
    monkeypatch.setattr(bucket, "head_object", refused)
    monkeypatch.setattr(missing.idempotency, "is_done", lambda *_: False)
    stack = Deployed(bucket)
    status = missing.run(stack, OWN, versions.Selection(), versions.Bookmark(None, ""), apply=True, limit=9, workers=1)
    assert (status, stack.submitted) == (1, [])
    assert "1 failed" in capsys.readouterr().err


def test_a_result_that_is_written_meanwhile_is_not_missing(monkeypatch):
    bucket = Bucket([version("a.mp4")])
    monkeypatch.setattr(missing.idempotency, "is_done", lambda *_: setattr(bucket, "done", ("a.mp4",)) or True)
    stack = Deployed(bucket)
    assert (
        missing.run(stack, OWN, versions.Selection(), versions.Bookmark(None, ""), apply=True, limit=9, workers=1) == 0
    )
    assert stack.submitted == []
