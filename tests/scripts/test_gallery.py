"""scripts/gallery.py on a fake stack; tests/integration runs it on a deployed one."""

import json
import re
import sys
from contextlib import closing
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import NoRegionError

from scripts import gallery, page, readable
from scripts.stack import Source, Stack, WrongUse
from tools.videos import video
from video_intake.decoder import Decoder
from video_intake.inspection import judge
from video_intake.media.limits import Limits
from video_intake.uploads import Upload

NOW = datetime.now(UTC)


def judged(key: str, content: bytes, bucket: str = "videos"):
    upload = Upload(bucket, key, "v1", len(content), "e", "", "2026-07-01T10:00:00.000Z")
    with closing(Decoder()) as decoder:
        return judge(decoder, upload, lambda start, end: content[start:end], Limits(storyboard=True), 30, "videos")


@pytest.fixture(scope="module")
def made():
    return {
        key: judged(key, content)
        for key, content in {"a #1?.mp4": video(seconds=0.4), "b.mp4": b"", "c.mp4": b""}.items()
    }


class Shown:
    """A stack with results, one on each page of the listing, the oldest first, an hour apart."""

    name, bucket, environment = "the-stack", "videos", "prod"
    sources = (Source("videos"), Source("theirs", "in/"))

    def __init__(self, *results) -> None:
        self.objects: dict[str, bytes] = {}
        self.listed: list[str] = []
        for result, pictures in results:
            self.put(result, pictures)

    def put(self, result, pictures) -> None:
        self.objects |= pictures | {result["resultKey"]: json.dumps(result).encode()}
        self.listed += [result["resultKey"], *pictures]

    def client(self, service: str):
        return SimpleNamespace(get_paginator={"list_objects_v2": SimpleNamespace(paginate=self.paginate)}.get)

    def paginate(self, Bucket: str, Prefix: str):  # noqa: N803  # boto3's names
        assert Bucket == self.bucket
        yield {}
        for age, key in enumerate(reversed(self.listed)):
            yield {"Contents": [{"Key": key, "LastModified": NOW - timedelta(hours=age)}][: key.startswith(Prefix)]}

    def read(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def metrics(self, environment: str, hours: float):
        assert environment == self.environment
        yield "VideosProcessed", "sum", float(round(hours))
        yield "ProcessingDuration", "average", None

    def alarms(self) -> list[dict]:
        return [{"AlarmName": "the-stack-Errors", "StateValue": "INSUFFICIENT_DATA"}]


def keys(index) -> list[str]:
    return re.findall(r'class="key">([^<]+)<', index.read_text())


def test_the_newest_results_are_on_the_page_and_outdated_files_are_replaced(made, tmp_path):
    (good, pictures), bad, other = made.values()
    stack = Shown(other, (good, pictures), bad)
    stack.objects["results/theirs-result.json"] = b"a user's own"
    stack.listed.append("results/theirs-result.json")
    index = gallery.write(stack, NOW - timedelta(days=9), "", 9, tmp_path)
    assert keys(index) == ["b.mp4", "a #1?.mp4", "c.mp4"]
    text = index.read_text()
    assert ("VideosProcessed" in text, ">216<" in text, ">none<" in text) == (True, True, True), "of nine days"
    assert ("the-stack-Errors" in text, "INSUFFICIENT_DATA" in text, "see --limit" in text) == (True, True, False)
    assert 'src="a%20%231%3F.mp4/v1/poster.jpg"' in text
    assert sorted(path.name for path in tmp_path.rglob("*.*g")) == ["poster.jpg", "storyboard.jpg"]
    assert len(list(tmp_path.rglob("storyboard.vtt"))) == 1

    poster = good["poster"]["key"]
    again = deepcopy(good) | {"inspection": good["inspection"] | {"durationMs": 4711}}
    stack.objects |= {good["resultKey"]: json.dumps(again).encode(), poster: b"another poster"}
    del stack.objects[bad[0]["resultKey"]]
    index = gallery.write(stack, NOW - timedelta(days=9), "", 2, tmp_path)
    assert keys(index) == ["a #1?.mp4"], "one of the newest two was deleted while it was listed"
    assert "4711 ms" in index.read_text()
    assert "see --limit" in index.read_text()
    assert [path.read_bytes() for path in tmp_path.rglob("poster.jpg")] == [b"another poster"]

    index = gallery.write(stack, NOW - timedelta(hours=len(stack.listed) - 1.5), "", 9, tmp_path)
    assert "c.mp4" not in keys(index), "it is older"


def test_a_picture_that_was_deleted_is_empty(made, tmp_path):
    result, _ = made["a #1?.mp4"]
    gallery.write(Shown((result, {})), NOW - timedelta(days=9), "", 9, tmp_path)
    assert [path.read_bytes() for path in tmp_path.rglob("*.jpg")] == [b"", b""]


def test_uploads_to_every_bucket_of_the_stack_are_on_the_page(made, tmp_path):
    stack = Shown(made["b.mp4"], judged("in/b.mp4", b"", "theirs"), judged("in/c.mp4", b"", "another"))
    index = gallery.write(stack, NOW - timedelta(days=9), "", 9, tmp_path)
    assert keys(index) == ["s3://theirs/in/b.mp4", "b.mp4"]
    assert keys(gallery.write(stack, NOW - timedelta(days=9), "in/", 9, tmp_path)) == ["s3://theirs/in/b.mp4"]


def test_a_card_has_the_pictures_and_only_visible_text(made):
    (good, _), (bad, _), _ = deepcopy([*made.values()])
    card = page.card(good, Path("a b"))
    assert (card["poster"]["url"], card["film"]["url"]) == ("a%20b/poster.jpg", "a%20b/storyboard.jpg")
    assert card["length"] == "0.41 s"
    good["container"]["duration"] = None
    assert page.card(good, Path())["length"] == ""
    bad["failure"] |= {"message": "a\x1b", "advice": "b\n"}
    card = page.card(bad, Path())
    assert (card["message"], card["advice"]) == ("a\N{REPLACEMENT CHARACTER}", "b\N{REPLACEMENT CHARACTER}")


def test_the_totals_and_the_filter_count_every_result(made):
    results = [result | {"inspection": result["inspection"] | {"durationMs": spent, "bytesRead": 1000}}
               for (result, _), spent in zip(made.values(), (10, 30, 20), strict=True)]  # fmt: skip
    for result, size in zip(results, (1000, 2000, 3000), strict=True):
        result["source"] = result["source"] | {"size": size}
    totals = {each["name"]: each["value"] for each in page.totals(results)}
    assert list(totals.items())[:3] == [("uploads", "3"), ("playable", "1"), ("rejected", "2")]
    assert totals["read of 6 kB"] == "3 kB"
    assert totals["median inspection"] == "20 ms"
    assert totals["per 1,000 inspections"] == f"${readable.dollars_per_thousand(results):.3f}"
    counts = [(each["value"], each["count"]) for each in page.verdicts(results)]
    assert counts == [("all", 3), ("success", 1), ("failure", 2)], "with one reason, there is nothing to choose"
    results[1]["failure"] = results[1]["failure"] | {"reason": "truncated"}
    assert [each["value"] for each in page.verdicts(results)][3:] == ["empty", "truncated"]


# ---------------------------------------------------------------- The command line


@pytest.mark.parametrize(
    ("fault", "status", "out", "said"),
    [
        (None, 0, "Open file://", ""),
        (WrongUse("there is no such stack."), 2, "", "gallery: there is no such stack."),
        (NoRegionError(), 2, "", "gallery: You must specify a region."),
        (
            PermissionError(13, "not yours"),
            1,
            "",
            "gallery: [Errno 13] not yours. Run the same command again to continue.",
        ),
    ],
    ids=["written", "wrong", "no region", "refused"],
)
def test_its_exit_status_and_streams(monkeypatch, capsys, tmp_path, fault, status, out, said):
    given = []

    def write(stack, since, prefix, limit, folder):
        if fault:
            raise fault
        given.extend(
            [
                stack.name,
                stack.session.region_name,
                round((datetime.now(UTC) - since).total_seconds() / 3600),
                prefix,
                limit,
            ]
        )
        return folder / "index.html"

    monkeypatch.setattr(gallery, "write", write)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setattr(sys, "argv", ["gallery.py", "--stack", "the-stack", "--out", str(tmp_path)])
    assert gallery.main() == status
    told = capsys.readouterr()
    assert told.out.startswith(out)
    assert told.err.strip() == said
    assert given == ([] if fault else ["the-stack", "eu-west-1", 7 * 24, "", 1000])


# ---------------------------------------------------------------- What it asks CloudWatch


class CloudWatch:
    def __init__(self, *points: dict) -> None:
        self.points, self.asked = points, []

    def get_metric_statistics(self, **asked) -> dict:
        self.asked.append(asked)
        return {"Datapoints": [{name: point[name] for name in asked["Statistics"]} for point in self.points]}

    def describe_alarms(self, AlarmNamePrefix: str) -> dict:  # noqa: N803  # boto3's names
        names = ("the-stack-B", "the-stack-A", "the-stack2-A")
        return {"MetricAlarms": [{"AlarmName": name} for name in names if name.startswith(AlarmNamePrefix)]}


@pytest.mark.parametrize(
    ("points", "processed", "average", "days"),
    [
        ((), None, None, 10_000),
        (({"Sum": 3.0, "SampleCount": 4, "Average": 0.75},), 3, 0.75, 1),
        (({"Sum": 3.0, "SampleCount": 4, "Average": 0.75}, {"Sum": 1.0, "SampleCount": 1, "Average": 1.0}), 4, 0.8, 10),
    ],
    ids=["none", "a day", "more days"],
)
def test_a_metric_is_computed_over_the_whole_time(monkeypatch, points, processed, average, days):
    cloudwatch = CloudWatch(*points)
    monkeypatch.setattr(Stack, "client", lambda stack, service: cloudwatch)
    assert [*Stack("the-stack").metrics("prod", hours=24 * days)] == [
        ("VideosProcessed", "sum", processed),
        ("SuccessfulProcessing", "average", average),
        ("ProcessingDuration", "average", average),
    ]
    for asked in cloudwatch.asked:
        assert asked["Namespace"] == "VideoIntake"
        assert {each["Name"]: each["Value"] for each in asked["Dimensions"]} == {
            "environment": "prod", "service": "video-intake",
        }  # fmt: skip
        assert asked["EndTime"] > datetime.now(UTC)
        asked_for = asked["EndTime"] - asked["StartTime"]
        assert asked_for == timedelta(days=min(days, 455), minutes=5)  # CloudWatch keeps no more
        assert asked_for <= 1440 * timedelta(seconds=asked["Period"])  # its limit of points


def test_the_alarms_are_those_of_the_stack(monkeypatch):
    monkeypatch.setattr(Stack, "client", lambda stack, service: CloudWatch())
    assert [alarm["AlarmName"] for alarm in Stack("the-stack").alarms()] == ["the-stack-A", "the-stack-B"]
