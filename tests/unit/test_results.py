import json
from dataclasses import replace

import pytest

import publisher
import results
from events import Upload
from verdicts import REASONS, Rejected

UPLOAD = Upload("videos", "Été 2026 (1) 🎬.mp4", "3HL4kqtJlcpXrof3", 1234, "e1", "0A", "2026-07-01T10:00:00.000Z")
COST = results.Cost(duration_ms=12, requests=3, round_trips=2, bytes_read=524288)
EVIDENCE = {"found": "text", "codec": "zzz9", "limit": "a frame of at most 1 pixel", "storageClass": "GLACIER"}


def test_a_success_is_valid(inspection, valid):
    result = results.document(UPLOAD, inspection, COST)
    valid(json.loads(json.dumps(result)))
    assert result["status"] == "success"
    assert result["poster"]["key"].startswith("results/Été 2026 (1) 🎬.mp4/3HL4kqtJlcpXrof3/")


def test_a_success_without_a_poster_is_valid(inspection, valid):
    result = results.document(UPLOAD, replace(inspection, poster=None, warnings=("No poster could be made",)), COST)
    valid(result)
    assert result["poster"] is None


@pytest.mark.parametrize("reason", REASONS)
def test_every_failure_is_valid_and_has_its_words(reason, valid):
    result = results.document(UPLOAD, Rejected(reason, **EVIDENCE), COST)
    valid(json.loads(json.dumps(result)))
    assert result["failure"]["message"].endswith(".")
    assert "{" not in result["failure"]["message"]


def test_the_schema_knows_every_reason_and_no_other(project):
    schema = json.loads((project / "docs/result.schema.json").read_text())
    assert set(schema["properties"]["failure"]["properties"]["reason"]["enum"]) == set(REASONS)
    assert schema["properties"]["schemaVersion"]["const"] == results.SCHEMA_VERSION


@pytest.mark.parametrize(
    ("key", "warned"), [("a.mp4", False), ("a.MP4", False), ("a.mov", True), ("folder.mov/a.mp4", False)]
)
def test_a_wrong_extension_is_a_warning(inspection, key, warned):
    result = results.document(replace(UPLOAD, key=key), inspection, COST)
    assert bool(result["warnings"]) == warned


@pytest.mark.parametrize("key", ["a.mp4", "x" * 1020 + ".mp4", "🎬" * 250 + ".mp4", "é" * 510 + ".mov"])
def test_every_result_key_is_a_key_that_s3_takes(key):
    upload = replace(UPLOAD, key=key)
    for name in ("result.json", "poster.jpg"):
        assert len((results.folder(upload) + name).encode()) <= 1024


def test_keys_too_long_for_a_folder_keep_apart():
    long = "x" * 1020
    assert results.folder(replace(UPLOAD, key=long + ".mp4")) != results.folder(replace(UPLOAD, key=long + ".avi"))


def test_no_result_starts_the_pipeline_again():
    """Every file we write ends in a suffix that no notification rule has."""
    for name in ("result.json", "poster.jpg"):
        assert not (results.folder(UPLOAD) + name).lower().endswith((".mp4", ".mov", ".avi"))


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
def test_the_users_tags_survive(before, after):
    assert publisher.merged(before, results.document(UPLOAD, Rejected("empty"), COST)) == after
