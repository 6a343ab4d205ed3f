"""`make cloud` as a user with two terminals runs it: the printed commands are run in a shell."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.stack import wait_for
from tests.support.developer import developers
from tools.videos import cut, video

ROOT = Path(__file__).parents[2]
SECONDS = 240  # only failures take this long


@dataclass
class Terminal:
    """The command in a separate process group, and its output so far."""

    process: subprocess.Popen
    printed: str = ""
    errors: str = ""
    threads: list[threading.Thread] = field(default_factory=list)
    tools: str = ""  # a folder with an AWS CLI

    @classmethod
    def running(cls, *arguments: str) -> "Terminal":
        terminal = cls(
            subprocess.Popen(
                [sys.executable, "-m", "demo.cloud", *arguments],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            )
        )  # fmt: skip
        for name, stream in (("printed", terminal.process.stdout), ("errors", terminal.process.stderr)):
            thread = threading.Thread(target=terminal._read, args=(name, stream), daemon=True)
            thread.start()
            terminal.threads.append(thread)
        return terminal

    def _read(self, name: str, stream) -> None:
        for line in stream:
            setattr(self, name, getattr(self, name) + line)

    def says(self, what: str) -> None:
        wait_for(f"{what!r} on the terminal", lambda: what in self.printed + self.errors or self.ended, SECONDS)
        assert what in self.printed + self.errors, self.errors

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        status = self.process.wait(SECONDS)
        for thread in self.threads:
            thread.join(SECONDS)
        return status

    def shell(self, command: str, may_end: tuple[int, ...] = ()) -> str:
        """A command's output in a terminal with other settings, after running the printed lines."""
        lines = re.findall(r"^  ((?:export|unset) .*)$", self.printed, re.MULTILINE)
        assert len(lines) > 5
        bare = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
        bare["PATH"] = os.defpath
        bare |= developers("http://127.0.0.1:9")  # where no one answers
        script = "\n".join(["set -eu", *lines, f"PATH={self.tools}:$PATH", command])
        done = subprocess.run(["bash", "-c", script], env=bare, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0 or done.returncode in may_end, f"{command}\n{done.stderr}"
        return done.stdout

    def advertised(self, beginning: str) -> str:
        return re.search(rf"^  ({beginning}.*)$", self.printed, re.MULTILINE)[1]


NOTHING_THERE = (1,)  # with which `aws s3 ls` ends where it has nothing to list


def descendants(ancestor: int) -> set[int]:
    """Every descendant of this process, in any process group."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for pid, parent in (map(int, line.split()) for line in listed.splitlines()):
        children.setdefault(parent, []).append(pid)
    found, waiting = set(), [ancestor]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


def living(pids: set[int]) -> set[int]:
    """The processes that are still running, without zombies."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    states = {int(pid): state for pid, state in (line.split() for line in listed.splitlines())}
    return {pid for pid in pids if not states.get(pid, "Z").startswith("Z")}


@pytest.fixture(scope="module")
def terminals() -> Iterator[list[Terminal]]:
    started: list[Terminal] = []
    yield started
    for terminal in started:
        terminal.process.terminate()  # unless a test has ended it
        terminal.process.wait(SECONDS)


@pytest.fixture
def uploaded(terminals, warm_cli, tmp_path_factory) -> Terminal:
    """A running cloud after a good and a bad video were uploaded with the AWS CLI."""
    if terminals and not terminals[-1].ended:
        return terminals[-1]
    folder = tmp_path_factory.mktemp("cloud")
    terminal = Terminal.running("--port", "0", "--state", str(folder / "state"), "--tools", str(warm_cli))
    terminals.append(terminal)
    terminal.tools = str(warm_cli)
    terminal.says("Ctrl-C stops it")
    copy = terminal.advertised("aws s3 cp my.mov")
    for name, content in (("good one.mov", video("mov")), ("bad.mov", cut(video("mov")))):
        file = folder / name
        file.write_bytes(content)
        terminal.shell(copy.replace("my.mov", shlex.quote(str(file))))
    listing = terminal.advertised("aws s3 ls")
    for name in ("good one.mov", "bad.mov"):
        wait_for(
            f"the result of {name}", lambda n=name: f"results/{n}/" in terminal.shell(listing, NOTHING_THERE), SECONDS
        )
    return terminal


def test_the_log_and_mails_are_shown(uploaded):
    uploaded.says("INFO  Processed  good one.mov  success")
    uploaded.says("INFO  Processed  bad.mov  failure  truncated")
    uploaded.says("  | Subject: Video rejected (truncated): bad.mov")
    assert "To: you@example.com" in uploaded.printed
    assert '"_aws"' not in uploaded.printed, "metrics are for CloudWatch"


def test_each_suggested_command_works(uploaded):
    metrics = json.loads(uploaded.shell(uploaded.advertised("aws cloudwatch")))["Metrics"]
    assert "VideosProcessed" in {metric["MetricName"] for metric in metrics}
    subscriptions = json.loads(uploaded.shell(uploaded.advertised("aws sns")))["Subscriptions"]
    assert {one["Endpoint"] for one in subscriptions} == {"you@example.com"}
    queue = json.loads(uploaded.shell(uploaded.advertised("aws sqs")))["Attributes"]
    assert queue["ApproximateNumberOfMessages"] == "0"
    events = json.loads(uploaded.shell(uploaded.advertised("aws logs filter-log-events")))["events"]
    assert any("good one.mov" in event["message"] for event in events)
    assert f"{ROOT}/.venv/bin/aws" in uploaded.shell("type -aP aws").splitlines()
    advertised = set(re.findall(r"^  (aws \S+)", uploaded.printed, re.MULTILINE))
    # `aws logs tail` is not in version 1 of the CLI. It asks FilterLogEvents, and tells by these what it has shown.
    assert len({event["eventId"] for event in events}) == len(events)
    assert advertised == {"aws s3", "aws cloudwatch", "aws sns", "aws sqs", "aws logs"}


def test_an_existing_bucket_is_ready(uploaded, tmp_path):
    file = tmp_path / "from before.mp4"
    file.write_bytes(video("mp4"))
    uploaded.shell(
        uploaded.advertised("aws s3 cp my.mov s3://videos-from-before").replace("my.mov", shlex.quote(str(file)))
    )
    uploaded.says("Processed  incoming/from before.mp4  success")


def test_the_error_of_a_failed_invocation_is_shown(uploaded, tmp_path):
    function = uploaded.shell("aws lambda list-functions --query 'Functions[0].FunctionName' --output text").strip()
    event = tmp_path / "event.json"
    event.write_text('{"Records": [{}]}')
    uploaded.shell(f"aws lambda invoke --function-name {function} --payload fileb://{event} /dev/null")
    uploaded.says("ERROR")
    assert "Traceback" in uploaded.printed


def test_a_new_alarm_is_shown_in_one_line(uploaded):
    uploaded.says('E-mail to you@example.com: OK: "video-intake-local-ProcessorErrorsAlarm')
    assert "  | Subject: OK:" not in uploaded.printed


def test_each_run_has_a_new_access_key(uploaded):
    key = re.search(r"^  export AWS_ACCESS_KEY_ID=(\w{20})$", uploaded.printed, re.MULTILINE)[1]
    assert "AccessDenied" not in uploaded.shell("aws s3 ls")
    refused = uploaded.shell(f"AWS_ACCESS_KEY_ID=AKIA{'Z' * 16} aws s3 ls 2>&1", may_end=(1, 254, 255))
    assert "not from this run" in refused
    assert key not in refused


def test_ctrl_c_ends_it_and_its_child_processes(uploaded):  # last, or the others need a new one
    started = descendants(uploaded.process.pid)
    assert len(started) >= 2, "the server and a worker of the function"
    assert uploaded.end(signal.SIGINT) == 0
    assert wait_for("their end", lambda: not living(started), SECONDS)
    assert uploaded.errors.splitlines()[-1] == "cloud: stopped; nothing is left running."
    assert "Traceback" not in uploaded.errors
    assert uploaded.printed.count("Processed  good one.mov") == 1, "each line once, however long it has been there"


def test_ctrl_c_during_the_deployment_ends_that_too(tmp_path, warm_cli):
    terminal = Terminal.running("--port", "0", "--state", str(tmp_path), "--tools", str(warm_cli))
    terminal.says("Deploying")
    started = wait_for("the script", lambda: len(pids := descendants(terminal.process.pid)) >= 2 and pids)
    assert terminal.end(signal.SIGINT) == 130
    assert wait_for("their end", lambda: not living(started), SECONDS)
    assert "Traceback" not in terminal.errors


def test_a_port_in_use_is_reported_with_a_solution(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "demo.cloud", "--port", str(port), "--state", str(tmp_path)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 2
    taken = f"cannot listen on 127.0.0.1 port {port}: Address already in use."
    assert ended.stderr.splitlines()[1:] == [f"cloud: {taken} To use any free port: make cloud PORT=0"]


def test_a_second_one_on_any_port_has_a_separate_folder(warm_cli):
    clouds = [Terminal.running("--port", "0", "--tools", str(warm_cli)) for _ in range(2)]
    try:
        for cloud in clouds:
            cloud.says("Deploying")
    finally:
        for cloud in clouds:
            assert cloud.end(signal.SIGINT) == 130


@pytest.mark.parametrize("address", ["somebody", "a b@example.com", "a@example.com,b@example.com", "a@localhost"])
def test_an_address_that_the_template_refuses_is_refused_at_once(address):
    command = [sys.executable, "-m", "demo.cloud", "--port", "0", "--email", address]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 2
    assert "must be a single e-mail address" in ended.stderr
    assert "Starting" not in ended.stdout + ended.stderr
