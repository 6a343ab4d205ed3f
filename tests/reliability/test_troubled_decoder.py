"""The whole function with a decoder that fails in every way: that video gets a verdict, and the next one is not
affected."""

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from urllib.parse import quote_plus

import pytest

from tests.support.function import BUCKET, CONTEXT, ENVIRON, account, cold_start
from tests.support.troubled_worker import COMMAND
from tools.videos import video
from video_intake.decoder import Decoder

SECONDS = 3  # of an inspection here


@pytest.fixture(scope="module")
def function() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRON.items():
            patch.setenv(name, value)
        with account():
            handler = cold_start()
            handler.decoder.close()
            patch.setattr(handler, "decoder", Decoder(COMMAND))
            patch.setattr(handler, "MAX_INSPECTION_SECONDS", SECONDS)
            yield handler
            handler.decoder.close()


def processed(function: ModuleType, key: str, content: bytes) -> dict[str, Any]:
    """The result of one upload."""
    answer = function.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    described = {
        "key": quote_plus(key),
        "versionId": answer["VersionId"],
        "size": len(content),
        "eTag": answer["ETag"].strip('"'),
    }
    record = {"eventName": "ObjectCreated:Put", "eventTime": "2026-07-01T10:00:00.000Z"}
    event = {"Records": [record | {"s3": {"bucket": {"name": BUCKET}, "object": described}}]}
    [outcome] = function.handler(event, CONTEXT)
    found = function.s3.get_object(Bucket=BUCKET, Key=outcome["resultKey"])["Body"].read()
    return dict(json.loads(found))


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [("segfault", "undecodable"), ("exit", "undecodable"), ("hang", "too-slow"), ("spin", "too-slow"),
     ("more memory", "undecodable"), ("flood", "undecodable"), ("drip", "too-slow"), ("noise", "undecodable"),
     ("fault", "undecodable")],
)  # fmt: skip
def test_a_decoder_failure_gives_a_verdict_and_the_next_video_is_processed(function, trouble, reason):
    result = processed(function, f"{trouble}.mp4", trouble.encode().ljust(4096, b"\0"))
    assert result["failure"]["reason"] == reason
    assert result["inspection"]["durationMs"] < (SECONDS + 10) * 1000
    worker = function.decoder.process_id
    good = processed(function, f"after {trouble}.mp4", video(seconds=0.2))
    assert good["status"] == "success"
    assert function.decoder.process_id == worker, "the replacement is ready before the next video, and stays"
