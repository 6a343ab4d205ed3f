"""A bucket with suspended versioning: every upload of a key is version "null"."""

from collections.abc import Iterator

import pytest

from tests.support.world import World


@pytest.fixture
def suspended(world: World) -> Iterator[World]:
    s3, bucket = world.intake.client("s3"), world.intake.bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    yield world
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def test_two_contents_of_a_key_have_two_outcomes_also_for_missing(suspended: World) -> None:
    first = suspended.intake.upload("null.mp4", b"no video, whatever its name says")
    suspended.settle()
    second = suspended.intake.upload("null.mp4", b"")
    suspended.settle()
    assert first.version_id == second.version_id == "null"
    reasons = [suspended.intake.outcome(one)["failure"]["reason"] for one in (first, second)]
    assert reasons == ["not-a-video", "empty"]
    assert suspended.intake.tags(second) == {"video-intake:status": "failure", "video-intake:reason": "empty"}
    assert [suspended.heard_of()[one.folder + "result.json"] for one in (first, second)] == [1, 1]

    assert suspended.replay("missing", "--prefix", "null.mp4") == (0, [])
    result = {"Bucket": suspended.intake.bucket, "Key": second.folder + "result.json"}
    suspended.intake.client("s3").delete_object(**result)
    assert suspended.replay("missing", "--prefix", "null.mp4") == (1, [["null.mp4", "null", suspended.intake.bucket]])
    assert suspended.replay("missing", "--prefix", "null.mp4", "--yes")[0] == 0
    suspended.settle()
    assert suspended.intake.outcome(second)["failure"]["reason"] == "empty"
