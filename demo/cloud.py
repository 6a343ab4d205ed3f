"""Run a local AWS account with the stack deployed to it, until Ctrl-C.

Use the AWS CLI in another terminal to upload videos and look around; this one shows the function's log and the
e-mails as they arrive. Everything is removed when the command ends.

Exit status: 0 if it was stopped (Ctrl-C, SIGTERM, the terminal closed), 130 if it was stopped before it was ready,
2 if the port or the folder is in use, 1 if something went wrong.
"""

import argparse
import contextlib
import itertools
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import environment

if TYPE_CHECKING:
    from scripts.stack import Stack
    from tools.localcloud import LocalCloud

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = "local"
EXISTING_BUCKET, EXISTING_PREFIX = "videos-from-before", "incoming/"
PORT = 4566  # the usual port of local clouds
TICK_SECONDS = 0.5
LATE_MILLISECONDS = 5000  # lines of different workers may arrive out of order


def main(arguments: list[str]) -> int:
    """Runs the cloud and returns the exit status."""
    for number in ENDINGS:
        signal.signal(number, _interrupt)
    try:
        given = _parser().parse_args(arguments)
        environment.enter()
        # imported here because boto3 takes a second, and Ctrl-C must work from the start
        from scripts import terminal
        from tools import localcloud
        from tools.localcloud.deployment import DeploymentFailed, deploy

        progress = terminal.Progress()
        try:
            progress("Starting the local cloud ...")
            with _running(given.state, given.port) as cloud:
                progress("Deploying template.yaml with scripts/deploy.sh ...")
                intake = deploy(cloud, ENVIRONMENT, "--email", given.email, *_existing_bucket(cloud), tools=given.tools)
                progress.clear()
                with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):  # stdout may be closed
                    print(welcome(cloud, intake), flush=True)
                    follow(cloud, intake)
            _say("stopped; nothing is left running.")
            return 0
        except localcloud.Occupied as occupied:
            progress.clear()
            print(f"cloud: {occupied} To use any free port: make cloud PORT=0", file=sys.stderr)
            return 2
        except (localcloud.LocalCloudError, DeploymentFailed) as trouble:
            progress.clear()
            print(f"cloud: {trouble}", file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return 130


def _say(what: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be closed
        print(f"\ncloud: {what}", file=sys.stderr)


ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(*_: Any) -> None:
    """Only once: a second Ctrl-C must not interrupt the cleanup."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.cloud", description=__doc__)
    parser.add_argument("--port", type=_port, default=PORT, help="0 for any free port; default: %(default)s")
    parser.add_argument(
        "--email", type=_address, default="you@example.com", help="address to subscribe; default: %(default)s"
    )
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="folder for its files; default: a folder under .localcloud/"
    )
    parser.add_argument("--tools", type=Path, metavar="DIR", default=Path(sys.executable).parent,
                        help="folder of the aws command; default: this Python's")  # fmt: skip
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port: use a number from 0 to 65535")
    return int(text)


def _parameters() -> dict[str, Any]:
    """The template's parameters."""
    from cfn_flip import load_yaml

    return dict(load_yaml((ROOT / "template.yaml").read_text())["Parameters"])


def _existing_bucket(cloud: "LocalCloud") -> list[str]:
    """Creates an existing bucket; returns the options for deploying a stack that processes its uploads."""
    from tools.localcloud.deployment import Session

    region = {"LocationConstraint": cloud.environ["AWS_REGION"]}
    Session(cloud).client("s3").create_bucket(Bucket=EXISTING_BUCKET, CreateBucketConfiguration=region)
    return ["--bucket", EXISTING_BUCKET, "--bucket-prefix", EXISTING_PREFIX, "--yes"]


def _address(text: str) -> str:
    """Checks an address against the template before the package is built."""
    wanted = _parameters()["NotificationEmail"]
    if not re.fullmatch(wanted["AllowedPattern"], text):
        raise argparse.ArgumentTypeError(f"{text!r} {wanted['ConstraintDescription']}")
    return text


@contextlib.contextmanager
def _running(state: Path | None, port: int) -> Iterator["LocalCloud"]:
    """The local cloud. With port 0, its folder is the first one that is not in use."""
    from tools import localcloud

    with contextlib.ExitStack() as stack:
        for number in itertools.count(1):
            folder = state or ROOT / ".localcloud" / (f"cloud-{port}" if port else f"cloud-any-{number}")
            try:
                cloud = stack.enter_context(localcloud.running(folder, port))
                break
            except localcloud.FolderInUse:
                if state or port:
                    raise
        yield cloud


def welcome(cloud: "LocalCloud", intake: "Stack") -> str:
    """The commands to copy into another terminal."""
    names = intake.outputs
    exports = "\n".join(f"  export {name}={value}" for name, value in cloud.environ.items())
    direct = " ".join(f"{name}={','.join(environment.THIS_MACHINE)}" for name in environment.PROXIES)
    return f"""\
{intake.name} is deployed at {cloud.endpoint}. In another terminal, first run:

  unset AWS_PROFILE $(env | cut -d= -f1 | grep ^AWS_)
{exports}
  export {direct}
  export PATH="{ROOT}/.venv/bin:$PATH"

and then, for example:

  aws s3 cp my.mov s3://{intake.bucket}/
  aws s3 cp my.mov s3://{EXISTING_BUCKET}/{EXISTING_PREFIX}
  aws s3 ls --recursive {names["ResultsUri"]}
  aws cloudwatch list-metrics --namespace VideoIntake
  aws sns list-subscriptions
  aws sqs get-queue-attributes --attribute-names All --queue-url {names["FailedEventsQueueUrl"]}
  aws logs filter-log-events --log-group-name {names["LogGroupName"]}
  aws logs tail --follow {names["LogGroupName"]}  # AWS CLI 2 only

The function's log and the e-mails to {_subscribers(intake)} follow. Ctrl-C stops it and removes everything.
"""


def _subscribers(intake: "Stack") -> str:
    listed = intake.client("sns").list_subscriptions()["Subscriptions"]
    return " and ".join(sorted({one["Endpoint"] for one in listed if one["Protocol"] == "email"})) or "no one"


def follow(cloud: "LocalCloud", intake: "Stack") -> None:
    """Prints events until interrupted. Raises LocalCloudError if the cloud stops unexpectedly."""
    from botocore.exceptions import BotoCoreError, ClientError

    from tools.localcloud import letters

    lines, read = LogLines(intake), 0
    while True:
        cloud.check()
        with contextlib.suppress(BotoCoreError, ClientError):  # if it is shutting down, the next check reports that
            for line in lines.new():
                print(line, flush=True)
        for letter in letters.letters(cloud.mailbox, read):
            read += 1
            brief = f"{time.strftime('%H:%M:%S')}  E-mail to {letter['To']}: {letters.subject(letter)}"
            print(brief if letters.is_all_clear(letter) else f"\n{letters.letter(letter)}\n", flush=True)
        time.sleep(TICK_SECONDS)


class LogLines:
    """Yields the new lines of every log group in the account."""

    def __init__(self, intake: "Stack"):
        self._logs = intake.client("logs")
        self._seen: dict[str, set[str]] = {}  # log group → events of the last response
        self._since: dict[str, int] = {}

    def new(self) -> Iterator[str]:
        from scripts.log_lines import readable

        for group in self._logs.describe_log_groups()["logGroups"]:
            name = group["logGroupName"]
            seen, since = self._seen.get(name, set()), self._since.get(name, 0)
            pages = self._logs.get_paginator("filter_log_events")
            found = pages.paginate(logGroupName=name, startTime=since, interleaved=True).build_full_result()["events"]
            self._seen[name] = {event["eventId"] for event in found}
            newest = max((event["timestamp"] for event in found), default=0)
            self._since[name] = max(since, newest - LATE_MILLISECONDS)
            for event in found:
                if event["eventId"] not in seen and (line := readable(event["timestamp"], event["message"])):
                    yield line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
