"""Runs every command in docs/operations.md, in order, with bash, on a deployed stack.

Sections whose commands need preparation (a deleted video, a failed event) have a scene with their name below: a
generator that prepares the stack, lets the page run (`yield`, or `yield 2` for its next two boxes), and then checks the
results.
"""

import itertools
import json
import os
import re
import shlex
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.stack import Stack, Uploaded, wait_for
from tests.support import warm
from tests.support.scripts import project
from tools import localcloud
from tools.localcloud.account import ACCOUNT_ID, DEFAULT_REGION
from tools.localcloud.deployment import FOR_THIS_MACHINE, deploy
from tools.videos import cut, video

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
NEVER_RUN = "Not run by the test: "
SECONDS = 240  # nothing is lost by waiting
IN_THE_PAGE = "KEY='holiday/beach.mp4'\n"
KEY = """holiday/it's "the" beach & `more` \\ é.mp4"""  # the commands must work with any key
PACKAGES = f"video-intake-artifacts-{ACCOUNT_ID}-{DEFAULT_REGION}"
DESCRIPTION = "Inspects an uploaded video"  # of the function
OLDER = "Inspects what was uploaded long ago"


@dataclass(frozen=True)
class Box:
    command: str
    status: int


def chapters() -> dict[str, list[Box]]:
    """Title and boxes of each section that has any, in order; boxes in lists are indented."""
    found: dict[str, list[Box]] = {}
    for chapter in re.split(r"^##+ ", PAGE, flags=re.MULTILINE)[1:]:
        for indent, status, text in re.findall(r"^( *)```sh(?: exits=(\d))?\n(.*?)^\1```$", chapter, re.M | re.S):
            box = Box(textwrap.dedent(text), int(status or 0))
            assert len(indent) in (0, 3)
            found.setdefault(chapter.split("\n", 1)[0], []).append(box)
    return found


CHAPTERS = chapters()
BEGINNING = "Setup"
CHAPTERS[BEGINNING][0] = Box(CHAPTERS[BEGINNING][0].command.replace(IN_THE_PAGE, f"KEY={shlex.quote(KEY)}\n"), 0)
assert KEY not in PAGE
assert shlex.quote(KEY) in CHAPTERS[BEGINNING][0].command


class Shell:
    """An interactive bash that keeps variables between boxes. If a box fails, the next one gets a new bash that has run
    the page's setup."""

    END = "--- end of box ---"

    def __init__(self, environ: dict[str, str], folder: Path):
        self.environ, self.folder, self._errors = environ, folder, folder / "errors"
        self.beginning: list[Box] = []
        self.warm: dict[str, str] = {}  # what the page has → the same, without its import time
        self._bash: subprocess.Popen[str] | None = None

    def run(self, box: Box) -> str:
        """The output of a box. Fails if any command in it fails, unless the box declares its exit status."""
        if self._bash is None:
            self._bash = subprocess.Popen(
                ["bash", "--noprofile", "--norc"], cwd=ROOT, env=self.environ, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors.open("w"),
            )  # fmt: skip
            for first in self.beginning:
                self.run(first)
        assert self._bash.stdin is not None
        said, command = self._errors.stat().st_size, box.command
        for cold, immediate in self.warm.items():
            command = command.replace(cold, immediate)
        # All commands and all parts of pipes must succeed; only the last one may have a declared exit status.
        self._bash.stdin.write(
            f"set -uo pipefail; {'set +e' if box.status else 'set -e'}\n"
            f"trap 'ended=$?; echo; echo \"{self.END} $ended\"' EXIT\n"
            f"{{ {command}\n}} </dev/null\n"
            f'ended=$?; trap - EXIT; echo; echo "{self.END} $ended"\n'
        )
        self._bash.stdin.flush()
        printed, status = self._until_end()
        printed += self._errors.read_text()[said:]
        if status != box.status:
            self.close()
        assert status == box.status, f"{box.command}\n{printed}"
        return printed

    def _until_end(self) -> tuple[str, int]:
        assert self._bash is not None
        assert self._bash.stdout is not None
        printed = ""
        for line in self._bash.stdout:
            if line.startswith(self.END):
                return printed, int(line.split()[-1])
            printed += line
        return printed, -1

    def close(self) -> None:
        if self._bash is not None:
            self._bash.communicate(timeout=SECONDS)
            self._bash = None


@dataclass
class Stage:
    """The stack on which the commands run."""

    intake: Stack
    cloud: localcloud.LocalCloud
    shell: Shell
    printed: list[str] = field(default_factory=list)  # by the boxes of the chapter, one after the other

    def upload(self, key: str = KEY, content: bytes | None = None) -> Uploaded:
        uploaded = self.intake.upload(key, content or FILM)
        self.intake.outcome(uploaded)
        return uploaded

    def versions(self, key: str = KEY) -> list[str]:
        """Newest first."""
        answer = self.intake.client("s3").list_object_versions(Bucket=self.intake.bucket, Prefix=key)
        return [version["VersionId"] for version in answer.get("Versions", [])]

    def delete(self, key: str) -> None:
        self.intake.client("s3").delete_object(Bucket=self.intake.bucket, Key=key)

    def dead_letter(self, key: str = KEY) -> Uploaded:
        """An upload whose event fails while the function is stopped."""
        limits, function = self.intake.client("lambda"), self.intake.outputs["FunctionName"]
        before = self.intake.failed_events()
        limits.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
        uploaded = self.intake.upload(key, FILM)
        wait_for("a dead letter", lambda: self.intake.failed_events() > before, SECONDS)
        limits.delete_function_concurrency(FunctionName=function)
        return uploaded

    def purge(self) -> None:
        """Deletes the failed events."""
        sqs, queue = self.intake.client("sqs"), {"QueueUrl": self.intake.outputs["FailedEventsQueueUrl"]}
        for message in sqs.receive_message(**queue, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(**queue, ReceiptHandle=message["ReceiptHandle"])
        assert self.intake.failed_events() == 0

    def log(self) -> list[str]:
        """Every line that the function has logged."""
        pages = self.intake.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=self.intake.outputs["LogGroupName"])
        return [event["message"] for page in found for event in page["events"]]

    def emails(self, topic: str) -> set[str]:
        listed = self.intake.client("sns").list_subscriptions_by_topic(TopicArn=self.intake.outputs[topic])
        return {one["Endpoint"] for one in listed["Subscriptions"] if one["Protocol"] == "email"}

    def stack(self) -> dict[str, Any]:
        [described] = self.intake.client("cloudformation").describe_stacks(StackName=self.intake.name)["Stacks"]
        return dict(described)

    def parameters(self) -> dict[str, str]:
        return {one["ParameterKey"]: one["ParameterValue"] for one in self.stack()["Parameters"]}

    def tags(self) -> set[str]:
        return {f"{one['Key']}={one['Value']}" for one in self.stack()["Tags"]}

    def function(self) -> dict[str, Any]:
        name = self.intake.outputs["FunctionName"]
        return dict(self.intake.client("lambda").get_function_configuration(FunctionName=name))


FILM = video("mp4", seconds=0.5, size=(160, 90), audio=None)
_INSIDE = slice(FILM.index(b"mdat") + 4, FILM.index(b"moov") - 4)
GARBAGE = FILM[: _INSIDE.start] + b"\xff" * (_INSIDE.stop - _INSIDE.start) + FILM[_INSIDE.stop :]  # with a good index
OTHER = video("mp4", seconds=1, size=(320, 180), audio=None)

Scene = Callable[[Stage], Iterator[int | None]]
SCENES: dict[str, Scene] = {}


def scene(title: str) -> Callable[[Scene], Scene]:
    def keep(made: Scene) -> Scene:
        SCENES[title] = made
        return made

    return keep


@pytest.fixture(scope="module")
def stage(local_cloud, warm_cli, tmp_path_factory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("operations")
    with local_cloud(folder / "cloud", retry_delay=0.1) as cloud:
        intake = deploy(cloud, "prod", "--email", "ops@example.com", tools=warm_cli)
        set_by_the_page = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PAGER")
        environ = {name: value for name, value in cloud.environ.items() if name not in set_by_the_page}
        environ |= {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ} | {"HOME": str(folder)}
        shell = Shell(environ, folder)
        shell.beginning = CHAPTERS[BEGINNING]
        shell.warm = {'PATH="$PWD': f'PATH="{warm_cli}:$PWD', "scripts/replay.py": str(warm.command("replay"))}
        assert all(any(cold in box.command for boxes in CHAPTERS.values() for box in boxes) for cold in shell.warm)
        yield Stage(intake, cloud, shell)
        shell.close()


@pytest.mark.timeout(1200)
def test_every_command_on_the_page_works(stage, subtests):
    """In the order of the page, because chapters build on earlier ones: a stack is upgraded, then rolled back."""
    for title in (title for title in CHAPTERS if title != BEGINNING):
        with subtests.test(title):
            stage.printed, boxes = [], iter(CHAPTERS[title])
            for count in SCENES.get(title, _nothing_special)(stage):
                stage.printed += [stage.shell.run(box) for box in itertools.islice(boxes, count)]
            assert not list(boxes), "the scene ended before the chapter"


def _nothing_special(_: Stage) -> Iterator[int | None]:
    yield


def test_a_failing_command_is_noticed(tmp_path):
    shell = Shell({"PATH": os.environ["PATH"]}, tmp_path)
    for command in ("false\ntrue", "false | true", "echo $unheard_of", "true; exit 3"):
        with pytest.raises(AssertionError):
            shell.run(Box(command, 0))
    assert shell.run(Box("kept=1; echo '>&2'; false", 1)).strip() == ">&2"
    assert shell.run(Box("echo $kept; echo error >&2", 0)).split() == ["1", "error"]
    with pytest.raises(AssertionError):
        shell.run(Box("true", 1))
    shell.close()


def test_every_scene_has_a_chapter_and_skipped_commands_are_marked():
    assert set(SCENES) <= set(CHAPTERS)
    fences = re.findall(r"^ *```(\S.*)\n(.*)$", PAGE, re.MULTILINE)
    assert {kind for kind, _ in fences} <= {"sh", "sh exits=1", "text"}
    assert len([kind for kind, _ in fences if kind.startswith("sh")]) == sum(map(len, CHAPTERS.values()))
    for kind, first in fences:
        assert kind != "text" or first.strip().startswith(NEVER_RUN)


def test_every_link_within_the_page_works():
    titles = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)
    }
    linked = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert linked <= titles
    assert {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in CHAPTERS} <= linked, "in the contents"


@scene("Health check")
def how_is_it(stage: Stage) -> Iterator[int | None]:
    yield
    [printed] = stage.printed
    assert "#dashboards:name=video-intake-prod" in printed
    assert "\n0\n" in printed, "no dead letters"
    assert printed.count("ops@example.com") == 2


@scene("Monitoring")
def what_watches(stage: Stage) -> Iterator[int | None]:
    yield
    listed = set(re.findall(r"video-intake-prod-(\w+?Alarm)\b", stage.printed[0]))
    assert listed == set(re.findall(r"^\| \[(\w+Alarm)\]\(#", PAGE, re.MULTILINE))


@scene("Saved queries")
def saved_queries(stage: Stage) -> Iterator[int | None]:
    uploaded = stage.upload()
    stage.upload("broken.mp4", cut(OTHER))
    yield
    by_reason, slowest, story = stage.printed
    assert "reason=truncated" in by_reason
    assert f"key={KEY}" in slowest
    assert "Processed" in story
    assert uploaded.version_id in story
    assert "broken.mp4" not in story


@scene("Function errors")
def function_errors(stage: Stage) -> Iterator[int | None]:
    stage.cloud.control("POST", "faults", kind="deny", event="forbidden.mp4", operation="s3:GetObject")
    forbidden = stage.intake.upload("forbidden.mp4", FILM)
    wait_for("a dead letter", lambda: stage.intake.failed_events() > 0, SECONDS)
    wait_for("the event's end", lambda: not stage.cloud.control("GET", "events")["unfinished"], SECONDS)
    try:
        yield
        assert "key=forbidden.mp4\texception_name=AccessDenied" in stage.printed[0], stage.log()
    finally:
        stage.cloud.control("DELETE", "faults")
        stage.purge()
        where = {"Bucket": stage.intake.bucket, "Key": forbidden.key}
        stage.intake.client("s3").delete_object(**where, VersionId=forbidden.version_id)


@scene("Lost events")
def lost_events(stage: Stage) -> Iterator[int | None]:
    lost = stage.dead_letter("lost.mp4")
    stage.purge()
    yield
    assert "FailedEventsQueue" in stage.printed[0]
    assert f"lost.mp4\t{lost.version_id}" in stage.printed[1]
    assert stage.intake.outcome(lost)["status"] == "success"


@scene("Failed videos")
def failed_videos(stage: Stage) -> Iterator[int | None]:
    uploaded = stage.upload("garbage.mp4", GARBAGE)
    yield
    assert "reason=undecodable" in stage.printed[0]
    assert "key=garbage.mp4" in stage.printed[0]
    wait_for("another result", lambda: len(stage.versions(uploaded.folder + "result.json")) == 2, SECONDS)


@scene("Find the result of a video")
def what_became_of_a_video(stage: Stage) -> Iterator[int | None]:
    uploaded, other = stage.upload(), stage.upload("other.mp4")
    yield
    [printed] = stage.printed
    assert f"{uploaded.folder}result.json" in printed
    assert '"Value": "success"' in printed
    assert '"message":"Processed"' in printed
    assert other.version_id not in printed


@scene("Upgrade")
def upgrade(stage: Stage) -> Iterator[int | None]:
    older = stage.shell.folder / "older.yaml"
    text = stage.shell.run(
        Box('aws cloudformation get-template --stack-name "$STACK" --query TemplateBody --output text', 0)
    )
    older.write_text(text.replace(DESCRIPTION, OLDER))
    prefix = f"--s3-bucket {PACKAGES} --s3-prefix video-intake/{stage.intake.name}"
    stage.shell.run(
        Box(f'aws cloudformation deploy --stack-name "$STACK" --template-file {older} {prefix} '
            f"--capabilities CAPABILITY_IAM --tags {' '.join(sorted(stage.tags()))}", 0)
    )  # fmt: skip
    assert not stage.function()["Description"].startswith(DESCRIPTION)
    before = stage.parameters(), stage.tags()
    yield 1
    assert "ProcessorFunction (Lambda Function): Description" in stage.printed[0]
    assert not stage.function()["Description"].startswith(DESCRIPTION), "a plan"
    yield
    assert f"{stage.intake.name} works" in stage.printed[1]
    assert stage.function()["Description"].startswith(DESCRIPTION)
    assert (stage.parameters(), stage.tags()) == before


@scene("Roll back")
def roll_back(stage: Stage) -> Iterator[int | None]:
    good, parameters = stage.function()["CodeSha256"], stage.parameters()
    bad = project(stage.shell.folder / "a bad version")
    stage.shell.run(
        Box(f"'{bad}/scripts/deploy.sh' --env prod --tag 'Team=Video Intake' {' '.join(FOR_THIS_MACHINE)}", 0)
    )
    tags = stage.tags()
    assert "Team=Video Intake" in tags
    assert stage.function()["CodeSha256"] != good
    yield
    assert stage.function()["CodeSha256"] == good
    assert stage.function()["Description"].startswith(OLDER)
    assert (stage.parameters(), stage.tags()) == (parameters, tags)


@scene("Change the e-mail address")
def another_address(stage: Stage) -> Iterator[int | None]:
    yield
    assert stage.printed[1].count("new@example.com") == 2
    assert "ops@example.com" not in stage.printed[1], "the old address is gone at once"
    assert stage.emails("OutcomeTopicArn") == {"new@example.com", "second@example.com"}
    stage.upload("fine.mp4")
    stage.upload("broken.mp4", cut(OTHER))

    def heard() -> list[str]:
        mails = [file.read_text() for file in stage.cloud.mailbox.glob("*.eml")]
        return [mail for mail in mails if "To: second@example.com" in mail]

    told = wait_for("the mail", lambda: heard() or None, SECONDS)
    assert len(told) == 1, "the second address hears of failures only, like the first"
    assert "broken.mp4" in told[0]


@scene("E-mails do not arrive")
def mails_that_do_not_come(stage: Stage) -> Iterator[int | None]:
    sns = stage.intake.client("sns")
    for topic in ("OutcomeTopicArn", "AlarmTopicArn"):  # as if the link in a mail had been clicked
        listed = sns.list_subscriptions_by_topic(TopicArn=stage.intake.outputs[topic])["Subscriptions"]
        for one in listed:
            if one["Endpoint"] == "new@example.com":
                sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
    assert "new@example.com" not in stage.emails("AlarmTopicArn")
    yield
    assert "ops@example.com" in stage.emails("OutcomeTopicArn") & stage.emails("AlarmTopicArn")


@scene("Failed events")
def drain(stage: Stage) -> Iterator[int | None]:
    dead = stage.dead_letter()
    assert stage.intake.result(dead) is None
    yield
    assert KEY in stage.printed[0]
    assert stage.intake.outcome(dead)["status"] == "success"
    assert stage.intake.failed_events() == 0


@scene("After an outage")
def after_an_outage(stage: Stage) -> Iterator[int | None]:
    forgotten = stage.dead_letter("forgotten.mp4")
    stage.purge()
    dead = stage.dead_letter("late.mp4")
    yield
    assert stage.intake.outcome(dead)["status"] == "success"
    assert stage.intake.outcome(forgotten)["status"] == "success"


@scene("Reprocess videos")
def make_results_anew(stage: Stage) -> Iterator[int | None]:
    uploaded = stage.upload()
    result = uploaded.folder + "result.json"
    assert len(stage.versions(result)) == 1
    yield
    wait_for("three results", lambda: len(stage.versions(result)) == 3, SECONDS)


@scene("Restore a deleted video")
def restore_deleted(stage: Stage) -> Iterator[int | None]:
    uploaded = [stage.upload(key) for key in (KEY, "holiday/a b.mp4", "holiday/é.mp4")]
    for one in uploaded:
        stage.delete(one.key)
        assert stage.intake.read(one.key) is None
    yield
    for one in uploaded:
        assert stage.intake.read(one.key) == FILM
        assert stage.versions(one.key)[0] == one.version_id, "the same version, so its result is still the right one"


@scene("Restore an overwritten video")
def restore_overwritten(stage: Stage) -> Iterator[int | None]:
    wanted, unwanted = stage.upload(), stage.upload(content=OTHER)
    yield
    listed = [line.split("\t")[1] for line in stage.printed[0].splitlines() if "\t" in line]
    assert listed[:2] == [unwanted.version_id, wanted.version_id]
    assert stage.intake.read(KEY) == FILM
    restored = Uploaded(KEY, stage.versions()[0])
    assert restored.version_id not in listed
    result = stage.intake.outcome(restored)
    assert result["video"]["displayWidth"] == 160
    assert unwanted.version_id in stage.versions(), "nothing is lost"


@scene("Stop and resume processing")
def stop_and_go_on(stage: Stage) -> Iterator[int | None]:
    yield 1
    meanwhile = stage.intake.upload("meanwhile.mp4", FILM)
    wait_for("a dead letter", lambda: stage.intake.failed_events() > 0, SECONDS)
    assert stage.intake.result(meanwhile) is None
    yield
    assert stage.intake.outcome(meanwhile)["status"] == "success"


@scene("A thousand times the load")
def a_thousand_times(stage: Stage) -> Iterator[int | None]:
    yield
    assert stage.emails("AlarmTopicArn") >= {"ops@example.com"}
    assert "ops@example.com" not in stage.emails("OutcomeTopicArn")
    assert stage.parameters() | {"ReservedConcurrency": "500", "LogRetentionInDays": "7"} == stage.parameters()
    sqs = stage.intake.client("sqs")
    queue = sqs.get_queue_url(QueueName="video-intake-prod-outcomes")["QueueUrl"]
    uploaded = stage.upload("counted.mp4")

    def received() -> bool:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        told = [json.loads(json.loads(message["Body"])["Message"]) for message in messages]
        return uploaded.version_id in {one["source"]["versionId"] for one in told}

    wait_for("the outcome in the queue", received, SECONDS)


@scene("Move to another account or Region")
def move(stage: Stage) -> Iterator[int | None]:
    uploaded = stage.upload("moved/with us.mp4")
    bucket, s3 = stage.intake.bucket.replace(DEFAULT_REGION, "eu-west-1"), stage.intake.client("s3")

    def there() -> set[str]:
        return {one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]}

    def complete() -> bool:
        videos = {key for key in there() if not key.startswith("results/")}
        return bool(videos) and all(any(key.startswith(f"results/{one}/") for key in there()) for one in videos)

    yield 2
    wait_for("the results there", complete, SECONDS)
    yield
    assert uploaded.key in there()
    assert not any(uploaded.version_id in key for key in there()), "old results stay where they are"


@scene("Retention and backups")
def what_is_kept(stage: Stage) -> Iterator[int | None]:
    yield
    assert '"Status": "Enabled"' in stage.printed[0]
    [days] = re.findall(r"DeleteNoncurrentVersions\t(\d+)", stage.printed[0])
    assert f"| Overwritten and deleted versions | {days} days |" in PAGE


@scene("Remove the stack")
def remove(stage: Stage) -> Iterator[int | None]:
    uploaded, bucket = stage.upload("kept.mp4"), stage.intake.bucket
    late, s3 = stage.dead_letter("late.mp4"), stage.intake.client("s3")
    yield 1
    assert stage.intake.outcome(late)
    yield 1
    assert "  kept     VideoBucket" in stage.printed[1]
    with pytest.raises(ClientError, match="does not exist"):
        stage.stack()
    stored = {"Bucket": bucket, "Key": uploaded.key, "VersionId": uploaded.version_id}
    assert s3.get_object(**stored)["Body"].read() == FILM

    stage.shell.run(Box("ENVIRONMENT=half", 0))
    half_removed(stage, "video-intake-half")
    yield 1
    assert "An earlier removal failed:\n  ProcessorRole" in stage.printed[2]
    assert "video-intake-half is removed" in stage.printed[2]

    stage.shell.run(Box("ENVIRONMENT=prod", 0))
    yield
    assert bucket not in {one["Name"] for one in s3.list_buckets()["Buckets"]}


def half_removed(stage: Stage, name: str) -> None:
    """A stack with only a role, which cannot be removed because of an added policy."""
    formation, iam = stage.intake.client("cloudformation"), stage.intake.client("iam")
    who = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": [who]}}}
    template = json.dumps({"Resources": {"ProcessorRole": role}})
    formation.create_stack(StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    [made] = formation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    iam.put_role_policy(
        RoleName=made["PhysicalResourceId"],
        PolicyName="ByHand",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [deny]}),
    )
    formation.delete_stack(StackName=name)
    [stuck] = formation.describe_stacks(StackName=name)["Stacks"]
    assert stuck["StackStatus"] == "DELETE_FAILED"
