import json
from dataclasses import replace

import pytest

from tests.support.outcomes import COST, REJECTIONS, UPLOAD
from tests.support.template import Rendered
from video_intake import publisher, results
from video_intake.media import verdicts
from video_intake.media.facts import Storyboard
from video_intake.media.verdicts import Reason
from video_intake.uploads import RESULT_NAMES, folder


def test_a_success_is_valid(inspection, valid):
    result = results.result(UPLOAD, inspection, COST)
    valid(json.loads(json.dumps(result)))
    assert result["status"] == "success"
    assert result["poster"]["key"].startswith("results/Été 2026 (1) 🎬.mp4/3HL4kqtJlcpXrof3/")


def test_a_success_without_a_poster_is_valid(inspection, valid):
    result = results.result(UPLOAD, replace(inspection, poster=None, warnings=("No poster could be made",)), COST)
    valid(result)
    assert result["poster"] is None


@pytest.mark.parametrize("rejected", REJECTIONS, ids=lambda rejected: rejected.reason)
def test_every_failure_is_valid(rejected, valid):
    result = results.result(UPLOAD, rejected, COST)
    valid(json.loads(json.dumps(result)))


def test_the_schema_has_exactly_the_reasons(project):
    schema = json.loads((project / "docs/result.schema.json").read_text())
    assert set(schema["properties"]["failure"]["properties"]["reason"]["enum"]) == set(Reason)
    assert schema["properties"]["schemaVersion"]["const"] == results.SCHEMA_VERSION


@pytest.mark.parametrize(
    ("key", "warned"), [("a.mp4", False), ("a.MP4", False), ("a.mov", True), ("folder.mov/a.mp4", False)]
)
def test_a_wrong_extension_is_a_warning(inspection, key, warned):
    result = results.result(replace(UPLOAD, key=key), inspection, COST)
    assert bool(result["warnings"]) == warned


@pytest.mark.parametrize("key", ["a.mp4", "x" * 1020 + ".mp4", "🎬" * 250 + ".mp4", "é" * 510 + ".mov"])
def test_every_result_key_is_valid_in_s3(key):
    upload = replace(UPLOAD, key=key)
    for name in ("result.json", "poster.jpg"):
        assert len((folder(upload) + name).encode()) <= 1024


def test_keys_that_are_too_long_stay_distinct():
    long = "x" * 1020
    assert folder(replace(UPLOAD, key=long + ".mp4")) != folder(replace(UPLOAD, key=long + ".avi"))


def written(inspection, **changes) -> list[str]:
    """The keys of all files for a video with every optional part."""
    upload = replace(UPLOAD, **changes)
    sheet = Storyboard(b"jpeg", "WEBVTT", 5, 5, 160, 90, 25)
    outcome = replace(inspection, storyboard=sheet)
    result = results.result(upload, outcome, COST)
    return [result["resultKey"], *results.pictures(result, outcome)]


@pytest.mark.parametrize("key", ["a.mp4", "results/a.MOV", "a.mp4/b.avi", "x" * 1020 + ".mp4"])
@pytest.mark.parametrize("version", ["v1", "null"])
def test_no_result_triggers_the_pipeline(inspection, key, version):
    """No file has a suffix that a notification in the template matches."""
    rules = Rendered({})["VideoBucket"]["NotificationConfiguration"]["LambdaConfigurations"]
    suffixes = tuple(test["Value"] for rule in rules for test in rule["Filter"]["S3Key"]["Rules"])
    keys = written(inspection, key=key, version_id=version)
    assert {key.rpartition("/")[2] for key in keys} == set(RESULT_NAMES)
    assert len(keys) == len(set(keys)) == 4
    assert not [key for key in keys if key.endswith(suffixes)]


OURS = {"video-intake:status": "failure", "video-intake:reason": "empty"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, OURS),
        ({"project": "x"}, {"project": "x"} | OURS),
        ({"video-intake:status": "success", "a": "b"}, {"a": "b"} | OURS),  # of an earlier try
        ({str(number): "" for number in range(8)}, {str(number): "" for number in range(8)} | OURS),
        (
            {str(number): "" for number in range(9)},
            {str(number): "" for number in range(9)} | {"video-intake:status": "failure"},
        ),
        ({str(number): "" for number in range(10)}, {str(number): "" for number in range(10)}),
    ],
)
def test_the_users_tags_are_not_lost(before, after):
    assert publisher.merged(before, results.result(UPLOAD, verdicts.empty(), COST)) == after
