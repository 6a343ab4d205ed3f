"""The inspector of src/ as a contestant, the fastest that it could be, and the whole function around it."""

import importlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from tools.benchmarks import bookkeeping

BUCKET: Final = "videos"
SECONDS: Final = 80.0  # less than a run may take

type Job = Callable[["Target"], int | None]
type Fetch = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Target:
    """An object, and a folder for files of the contestant's own."""

    key: str
    size: int
    etag: str
    version: str
    folder: str


def ours(endpoint: str) -> Job:
    """The inspector of src/, as the function calls it: in a separate process that is already running."""
    fetcher, inspect = _inspector(endpoint)
    return lambda target: inspect(fetcher(target), target)


def floor(endpoint: str) -> Job:
    """An oracle: the ranges that ours reads, which its first run of an object notes, all at once; the same decoding."""
    fetcher, inspect = _inspector(endpoint)
    noted: dict[str, list[tuple[int, int]]] = {}

    def job(target: Target) -> int:
        fetch = fetcher(target)
        if target.key in noted:
            wanted = noted[target.key]
            with ThreadPoolExecutor(len(wanted)) as pool:
                known = dict(zip(wanted, pool.map(lambda each: fetch(*each), wanted), strict=True))
            return inspect(lambda start, end: known.get((start, end)) or fetch(start, end), target)
        ranges = noted[target.key] = []

        def note(start: int, end: int) -> bytes:
            ranges.append((start, end))
            return fetch(start, end)

        return inspect(note, target)

    return job


def invocation(endpoint: str) -> Job:
    """The whole function, with all of its calls: reading, results, tags, message and record."""
    os.environ |= bookkeeping.ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint}
    handler = importlib.import_module("handler").handler

    def job(target: Target) -> None:
        (outcome,) = handler(_event(target), bookkeeping.Context())
        assert outcome["status"] == "success", outcome

    return job


def _inspector(endpoint: str) -> tuple[Callable[[Target], Fetch], Callable[[Fetch, Target], int]]:
    """What fetches ranges of an object, and what inspects one by them."""
    reader = client(endpoint)
    uploads, decoders, limits, s3_object = map(
        importlib.import_module,
        ("video_intake.uploads", "video_intake.decoder", "video_intake.media.limits", "video_intake.s3_object"),
    )
    decoder = decoders.Decoder()

    def fetcher(target: Target) -> Fetch:
        (upload,) = uploads.parse(_event(target))
        fetch: Fetch = s3_object.fetcher(reader, upload)
        return fetch

    def inspect(fetch: Fetch, target: Target) -> int:
        found, _ = decoder.inspect(fetch, target.size, limits.Limits(), SECONDS)
        return len(found.poster.jpeg)

    return fetcher, inspect


def _event(target: Target) -> dict[str, Any]:
    entity = {"key": target.key, "size": target.size, "eTag": target.etag, "versionId": target.version}
    record = {"eventName": "ObjectCreated:Put", "eventTime": "2026-11-01T00:00:00.000Z"}
    return {"Records": [record | {"s3": {"bucket": {"name": BUCKET}, "object": entity}}]}


def client(endpoint: str) -> Any:
    """boto3's client with the function's settings."""
    boto3, config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
    settings = config.Config(
        max_pool_connections=16,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=settings)
