"""Deploys the stack, uploads videos, and prints and saves the results."""

import json
import shutil
import sys
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from scripts import log_lines, page, saved, terminal
from scripts.stack import Overdue, Source, Stack, Uploaded, wait_for
from tools import localcloud
from tools.localcloud import letters
from tools.localcloud.deployment import DeploymentFailed, Session, deploy
from tools.videos import samples, video
from video_intake.document import Result

ENVIRONMENT = "demo"
OPTIONS = ("--email", "you@example.com", "--parameter", "Storyboard=enabled")
EXISTING = Source("videos-from-before", "incoming/")
OUTCOME_SECONDS = 120  # much more than three attempts at any video take
SMALL_DISK = 200 << 20  # bytes that a run may use: mostly the unzipped package and the samples


class Trouble(Exception):
    """A problem to report to the user, in one sentence."""


def run(videos: list[str], state: Path, output: Path, tools: Path) -> int:
    """Runs the demo and returns the exit status."""
    progress = terminal.Progress()
    started = time.monotonic()
    try:
        progress("Starting the local cloud ...")
        with localcloud.running(state) as cloud:
            progress("Deploying template.yaml with scripts/deploy.sh ...")
            options = [*OPTIONS, *([] if videos else existing_bucket(cloud))]
            intake = deploy(cloud, ENVIRONMENT, *options, tools=tools)
            expected = upload(intake, videos, progress)
            results = results_of(intake, list(expected), progress)
            progress.clear()
            show(intake, results, cloud.mailbox, output)
        check(results, expected)
    except (Trouble, Overdue, DeploymentFailed, localcloud.LocalCloudError, BotoCoreError, ClientError) as trouble:
        return _failed(progress, str(trouble), state)
    except OSError as error:  # such as a full disk
        where = f": {error.filename}" if error.filename else ""
        return _failed(progress, f"{error.strerror or error}{where}", state)
    print(f"\nAll {len(results)} uploads have a result ({time.monotonic() - started:.0f} s).")
    return 0


def existing_bucket(cloud: localcloud.LocalCloud) -> list[str]:
    """Creates an existing bucket; returns the options for deploying a stack that processes its uploads."""
    region = {"LocationConstraint": cloud.environ["AWS_REGION"]}
    Session(cloud).client("s3").create_bucket(Bucket=EXISTING.bucket, CreateBucketConfiguration=region)
    return ["--bucket", EXISTING.bucket, "--bucket-prefix", EXISTING.prefix, "--yes"]


def _failed(progress: terminal.Progress, why: str, state: Path) -> int:
    progress.clear()
    free = shutil.disk_usage(next(folder for folder in (state, *state.parents) if folder.exists())).free
    room = f"\nOnly {free >> 20} MB of disk space is free at {state}." if free < SMALL_DISK else ""
    print(f"demo: {why}{room}", file=sys.stderr)
    return 1


def upload(intake: Stack, files: list[str], progress: terminal.Progress) -> dict[Uploaded, str | None]:
    """Uploads the files or the samples; returns each one's expected verdict, None if unknown."""
    if files:
        uploaded: dict[Uploaded, str | None] = {}
        for number, name in enumerate(files, 1):
            progress(f"Uploading {number} of {len(files)}: {Path(name).name} ...")
            uploaded[intake.upload_file(Path(name).name, name)] = None
        return uploaded
    expected: dict[Uploaded, str | None] = {}
    all_samples = samples()
    for number, sample in enumerate(all_samples, 1):
        progress(f"Creating and uploading {number} of {len(all_samples)}: {sample.key} ...")
        expected[intake.upload(sample.key, sample.content())] = sample.verdict
    theirs = video("mov", size=(640, 360), seconds=2)
    expected[intake.upload(f"{EXISTING.prefix}door.mov", theirs, bucket=EXISTING.bucket)] = "success"
    return expected


def results_of(intake: Stack, uploaded: list[Uploaded], progress: terminal.Progress) -> list[Result]:
    """Waits until every upload has a result. Raises Trouble if one failed."""
    results: dict[Uploaded, Result] = {}

    def complete() -> bool:
        for one in uploaded:
            if one not in results and (result := intake.result(one)):
                results[one] = result
                progress(f"{len(results)} of {len(uploaded)} results ...")
        if failed := intake.failed_events():
            raise Trouble(f"{failed} event(s) could not be processed. From the function's log:\n{last_error(intake)}")
        return len(results) == len(uploaded)

    wait_for("every result", complete, OUTCOME_SECONDS)
    wait_for("the metrics", lambda: _counted(intake) == len(uploaded) or None, OUTCOME_SECONDS)
    return [results[one] for one in uploaded]


def show(intake: Stack, results: list[Result], mailbox: Path, output: Path) -> None:
    """Prints results, e-mails, metrics and alarms, saves results and pictures, and writes the page."""
    shutil.rmtree(output, ignore_errors=True)
    folders = [
        saved.write(result, {key: intake.read(key) or b"" for key in saved.pictures(result)}, output)
        for result in results
    ]
    mails = [mail for mail in letters.letters(mailbox) if not letters.is_all_clear(mail)]
    metrics, alarms = page.metrics(intake.metrics(ENVIRONMENT)), page.alarms(intake.alarms())
    out = terminal.console()
    out.print(terminal.table(results))
    out.print("E-mails to the subscriber (failures only, the default):\n")
    out.print("\n\n".join(letters.letter(mail) for mail in mails) or "  none")
    out.print("\nMetrics (CloudWatch, namespace VideoIntake):\n")
    for name, statistic, value in metrics:
        out.print(f"  {name:22}{statistic:9}{value}")
    out.print("\nAlarms:\n")
    for alarm, state in alarms:
        out.print(f"  {state:19}{alarm}")
    shown = page.Page(
        title="Video intake: demo",
        subtitle="These results are from template.yaml, deployed to a local cloud on this machine.",
        footer="Written by make demo. Nothing was sent over the network.",
        metrics=metrics,
        alarms=alarms,
        emails=[page.Email(letters.subject(mail), letters.text(mail)) for mail in mails],
    )
    index = page.write(output, shown, zip(results, folders, strict=True))
    out.print(f"\nAll results with their posters on one page:\n  {index.resolve().as_uri()}")


def check(results: list[Result], expected: dict[Uploaded, str | None]) -> None:
    """Compares every sample's verdict with the expected one."""
    for result, verdict in zip(results, expected.values(), strict=True):
        actual = result["failure"]["reason"] if "failure" in result else "success"
        if verdict not in (None, actual):
            raise Trouble(f"{result['source']['key']} got {json.dumps(actual)} instead of {json.dumps(verdict)}")


def _counted(intake: Stack) -> float | None:
    return next(value for name, _, value in intake.metrics(ENVIRONMENT) if name == "VideosProcessed")


def last_error(intake: Stack) -> str:
    """The last error in the function's log."""
    pages = (
        intake.client("logs").get_paginator("filter_log_events").paginate(logGroupName=intake.outputs["LogGroupName"])
    )
    errors = [event for page in pages for event in page["events"] if log_lines.is_error(event["message"])]
    if not errors:
        return "no errors"
    newest = max(errors, key=lambda event: int(event["timestamp"]))
    return log_lines.readable(newest["timestamp"], newest["message"]) or ""
