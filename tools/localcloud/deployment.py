"""Runs scripts/deploy.sh on the local cloud, for the demo and the tests."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, TextIO

import boto3

from scripts.stack import Stack
from tools.environment import clean
from tools.localcloud import LocalCloud

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent  # this virtual environment's
ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
# The package must run on this machine, and Lambda's wheels are for Linux.
FOR_THIS_MACHINE = ["--architecture", ARCHITECTURE, *([] if platform.system() == "Linux" else ["--wheels", "host"])]


class DeploymentFailed(Exception):
    """The script failed; the message is the end of its output."""


class Session(boto3.Session):  # type: ignore[misc]  # boto3 is untyped to mypy
    """A session whose clients use the local cloud, regardless of this process's environment."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._endpoint = cloud.endpoint
        super().__init__(
            aws_access_key_id=cloud.environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=cloud.environ["AWS_SECRET_ACCESS_KEY"],
            region_name=cloud.environ["AWS_REGION"],
        )

    def client(self, service_name: Any, *arguments: Any, **options: Any) -> Any:
        return super().client(service_name, *arguments, **{"endpoint_url": self._endpoint} | options)


def environ_of(cloud: LocalCloud, tools: Path = TOOLS) -> dict[str, str]:
    """The environment for scripts and the AWS CLI. `tools` is the folder of the `aws` command."""
    path = os.pathsep.join([str(tools), str(TOOLS), os.environ.get("PATH", os.defpath)])
    return clean(os.environ) | cloud.environ | {"PATH": path}


def deploy(cloud: LocalCloud, suffix: str, *options: str, tools: Path = TOOLS, project: Path = ROOT) -> Stack:
    """Deploys the environment `suffix` of a project, for this machine's architecture. Raises DeploymentFailed."""
    command = ["scripts/deploy.sh", "--env", suffix, *FOR_THIS_MACHINE, *options]
    log = cloud.state / "deploy.log"
    with log.open("w") as out:
        status = _run(command, project, environ_of(cloud, tools), out)
    if status:
        raise DeploymentFailed("\n".join(log.read_text().splitlines()[-20:]))
    return Stack(f"video-intake-{suffix}", Session(cloud))


def _run(command: list[str], folder: Path, environ: dict[str, str], out: TextIO) -> int:
    """The exit status. If this process is interrupted, so are the script and its child processes."""
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as script:  # fmt: skip
        try:
            return script.wait()
        except BaseException:
            os.killpg(script.pid, signal.SIGTERM)
            raise
