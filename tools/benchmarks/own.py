"""This project as contestants: the inspector, an oracle, and the whole function."""

import contextlib
import importlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from tools.benchmarks import bookkeeping

BUCKET: Final = "videos"
SECONDS: Final = 80.0  # less than the timeout of a run

type Job = Callable[["Target"], int | None]
type Fetch = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Target:
    """An object, and a folder for the contestant's files."""

    key: str
    size: int
    etag: str
    version: str
    folder: str


def ours(endpoint: str) -> Job:
    """The inspector, as the function calls it: in a decoder process that is already running."""
    fetcher, decoder = _fetcher(endpoint), _decoder()
    return lambda target: _inspect(decoder, fetcher(target), target)


def floor(endpoint: str) -> Job:
    """An oracle: requests all ranges that ours reads at once, then decodes the same way.

    A first run records the ranges, with another decoder, so that the measured one is not warmer than ours.
    """
    fetcher, decoder = _fetcher(endpoint), _decoder()
    noted: dict[str, list[tuple[int, int]]] = {}

    def rehearse(fetch: Fetch, target: Target) -> int:
        ranges = noted[target.key] = []

        def note(start: int, end: int) -> bytes:
            ranges.append((start, end))
            return fetch(start, end)

        with contextlib.closing(_decoder()) as other:
            return _inspect(other, note, target)

    def job(target: Target) -> int:
        fetch = fetcher(target)
        if target.key not in noted:
            return rehearse(fetch, target)
        wanted = noted[target.key]
        with ThreadPoolExecutor(len(wanted)) as pool:
            known = dict(zip(wanted, pool.map(lambda each: fetch(*each), wanted), strict=True))
        return _inspect(decoder, lambda start, end: known.get((start, end)) or fetch(start, end), target)

    return job


def invocation(endpoint: str) -> Job:
    """The whole function, with all of its calls to AWS."""
    os.environ |= bookkeeping.ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint}
    handler = importlib.import_module("handler").handler

    def job(target: Target) -> None:
        (outcome,) = handler(_event(target), bookkeeping.Context())
        assert outcome["status"] == "success", outcome

    return job


def _fetcher(endpoint: str) -> Callable[[Target], Fetch]:
    """A function that fetches ranges of an object."""
    reader = client(endpoint)
    uploads, s3_object = map(importlib.import_module, ("video_intake.uploads", "video_intake.s3_object"))

    def fetcher(target: Target) -> Fetch:
        (upload,) = uploads.parse(_event(target))
        fetch: Fetch = s3_object.fetcher(reader, upload)
        return fetch

    return fetcher


def _decoder() -> Any:
    """A decoder whose process is ready."""
    decoder = importlib.import_module("video_intake.decoder").Decoder()
    decoder.start()
    return decoder


def _inspect(decoder: Any, fetch: Fetch, target: Target) -> int:
    limits = importlib.import_module("video_intake.media.limits").Limits()
    found, _ = decoder.inspect(fetch, target.size, limits, SECONDS)
    return len(found.poster.jpeg)


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
