"""Fakes for tests of scripts/replay.py: listings of S3, and a stack that accepts events."""

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import strategies as st

from scripts.stack import Source

OWN = [Source("b")]
BOTH = [*OWN, Source("theirs", "in/")]
T0 = datetime(2026, 7, 1, 10, tzinfo=UTC)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
FORGING = ['"a"', '"a".mp4', '"', "a\tv9\tb.mp4", "a\nb.mp4", "a\u2028b.mp4", "\x1b[31m.mp4"]


def version(key: str, version_id: str = "v1", **changes) -> dict:
    entry = {"Key": key, "VersionId": version_id, "Size": 5, "ETag": '"e"', "LastModified": T0, "IsLatest": True}
    return entry | changes


class Bucket:
    """A fake S3 for listings: pages of versions generated on demand, and results that exist or not."""

    def __init__(self, *pages: list[dict], done: tuple[str, ...] = ()) -> None:
        self.pages, self.done, self.asked = pages, done, []

    def list_object_versions(self, **asked) -> dict:
        self.asked.append(asked)
        at = int(asked.get("KeyMarker") or 0)
        assert asked.get("VersionIdMarker", "") == (f"after {at}" if at else ""), (
            "a key's versions may fill several pages"
        )
        more, found = at + 1 < len(self.pages), self.pages[at]
        after = {"NextKeyMarker": str(at + 1), "NextVersionIdMarker": f"after {at + 1}"} if more else {}
        return {"IsTruncated": more} | ({"Versions": found} if found else {}) | after

    def head_object(self, Bucket: str, Key: str) -> dict:  # noqa: N803  # boto3's names
        if not any(f"results/{key}/" in Key for key in self.done):
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {}


THROTTLED = ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke")
OFFLINE = EndpointConnectionError(endpoint_url="https://aws")
FAULTS = pytest.mark.parametrize(
    "fault", [THROTTLED, OFFLINE, RuntimeError("status 200")], ids=lambda one: type(one).__name__
)


class Deployed:
    """A stack that accepts events, except those of `refused` keys."""

    bucket, name = "b", "the-stack"
    fault: Exception = THROTTLED

    def __init__(self, s3=None, sqs=None, refused: tuple[str, ...] = ()) -> None:
        self.clients = {"s3": s3, "sqs": sqs, "dynamodb": "the table's client"}
        self.refused, self.submitted = refused, []

    def client(self, service: str):
        return self.clients[service]

    def output(self, name: str) -> str:
        return name

    def submit(self, event: dict) -> str:
        if event["Records"][0]["s3"]["object"]["key"] in self.refused:
            raise self.fault
        self.submitted.append(event)
        return f"r{len(self.submitted)}"


class Buckets:
    """A fake S3 with a page of keys in each of two buckets, and results in the first."""

    def __init__(self, **keys: list[list[str]]) -> None:
        self.buckets = {name: Bucket(*([version(key, "null") for key in page] for page in pages))
                        for name, pages in keys.items()}  # fmt: skip
        self.done: set[str] = set()

    def list_object_versions(self, Bucket: str, **asked) -> dict:  # noqa: N803
        return self.buckets[Bucket].list_object_versions(**asked)

    def head_object(self, Bucket: str, Key: str) -> dict:  # noqa: N803
        assert Bucket == "b", "where the results are"
        if Key not in self.done:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {}
