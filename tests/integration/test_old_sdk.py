"""The function with the oldest AWS SDK that Lambda's runtime may have: tests/support/old_sdk.txt, in build/old-sdk.

Its code runs here with the deployed function's environment, on the deployed bucket, table and topic.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.stack import Stack, Uploaded
from tools.videos import video

ROOT = Path(__file__).parents[2]
SDK = ROOT / "build/old-sdk"
PINNED = dict(re.findall(r"^(\w+)==([\w.]+)$", (ROOT / "tests/support/old_sdk.txt").read_text(), re.MULTILINE))
PROGRAM = """
import json, sys
from types import SimpleNamespace
import boto3, botocore, handler
context = SimpleNamespace(function_name="old", memory_limit_in_mb=1024, invoked_function_arn="arn", aws_request_id="r",
                          get_remaining_time_in_millis=lambda: 300_000)
answers = [handler.handler(event, context) for event in json.load(sys.stdin)]
told = {"boto3": boto3.__version__, "botocore": botocore.__version__, "from": botocore.__file__, "answers": answers}
print(json.dumps(told))
"""


def event(intake: Stack, uploaded: Uploaded, rerun: str) -> dict[str, Any]:
    head = intake.client("s3").head_object(Bucket=intake.bucket, Key=uploaded.key, VersionId=uploaded.version_id)
    described = {
        "key": uploaded.key,
        "versionId": uploaded.version_id,
        "size": head["ContentLength"],
        "eTag": head["ETag"].strip('"'),
    }
    record = {
        "videoIntakeAttempt": rerun,
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-07-01T10:00:00.000Z",
        "s3": {"bucket": {"name": intake.bucket}, "object": described},
    }
    return {"Records": [record]}


@pytest.fixture
def under_old_sdk(intake: Stack, environ: dict[str, str]):
    """Calls the handler with events, in a separate process."""
    assert SDK.is_dir(), "run `make setup` first: it installs the old SDK"
    name = intake.outputs["FunctionName"]
    declared = intake.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    lambdas = {"AWS_LAMBDA_FUNCTION_NAME": "old", "PYTHONPATH": os.pathsep.join([str(SDK), str(ROOT / "src")])}

    def call(*events: dict[str, Any]) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], input=json.dumps(events), env=environ | declared | lambdas,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    return call


def test_the_function_works_with_an_old_sdk_as_with_the_new_one(intake: Stack, under_old_sdk) -> None:
    contents = {"good.mp4": video(seconds=0.4), "bad.mp4": b"no video", "empty.mp4": b"", "gone.mp4": b"no video"}
    uploaded = {name: intake.upload(f"old-sdk/{name}", content) for name, content in contents.items()}
    before = {name: intake.outcome(one) for name, one in uploaded.items()}
    events = [event(intake, one, f"old-sdk-{one.version_id}") for one in uploaded.values()]
    gone = uploaded["gone.mp4"]
    intake.client("s3").delete_object(Bucket=intake.bucket, Key=gone.key, VersionId=gone.version_id)

    told = under_old_sdk(*events, events[0])
    assert (told["boto3"], told["botocore"]) == (PINNED["boto3"], PINNED["botocore"])
    assert Path(told["from"]).is_relative_to(SDK), "and not the one that the tests use"
    assert [answer[0]["status"] for answer in told["answers"]] == ["success", "failure", "failure", "gone", "success"]
    for name in ("good.mp4", "bad.mp4", "empty.mp4"):
        after = intake.outcome(uploaded[name])
        assert after["source"]["uploadedAt"] == "2026-07-01T10:00:00.000Z", "it was written anew"
        measured = {"inspection": before[name]["inspection"], "source": before[name]["source"]}
        assert after | measured == before[name]
        assert intake.tags(uploaded[name])["video-intake:status"] == before[name]["status"]


def test_the_documented_cost_of_a_retry_matches_that_sdk() -> None:
    quota, standard = ((SDK / "botocore/retries" / name).read_text() for name in ("quota.py", "standard.py"))
    tokens = int(re.findall(r"INITIAL_CAPACITY = (\d+)", quota)[0])
    retry, timeout = (
        int(re.findall(rf"{name} = (\d+)", standard)[0]) for name in ("_RETRY_COST", "_TIMEOUT_RETRY_REQUEST")
    )
    limits = (ROOT / "docs/limits.md").read_text()
    [row] = [line for line in limits.splitlines() if line.startswith("| The SDK's retries |")]
    version = ".".join(PINNED["botocore"].split(".")[:2])
    assert f"{tokens} tokens; a retry costs {retry}, or {timeout} after a timeout" in row
    assert f"botocore {version}, which Lambda's runtime may have" in row
    assert f"after {tokens // retry} failures ({tokens // timeout} timeouts" in row
