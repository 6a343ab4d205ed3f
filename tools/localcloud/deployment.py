"""scripts/deploy.sh, as the demonstration and the tests run it against the local cloud."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import TextIO

from scripts.stack import Stack
from tools.localcloud import LocalCloud

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent  # this virtual environment's, whoever started us


class DeploymentFailed(Exception):
    """The script ended with an error; the message is the end of what it printed."""


def deploy(cloud: LocalCloud, environment: str, *options: str, tools: Path = TOOLS) -> Stack:
    """Deploys for the processor of this machine, which is to run the package.

    From here on this process speaks to the local cloud: its environment variables go into os.environ. `tools` is the
    folder of the command `aws`.
    """
    os.environ.update(cloud.environ)
    os.environ.pop("AWS_PROFILE", None)
    os.environ["PATH"] = os.pathsep.join([str(tools), str(TOOLS), os.environ.get("PATH", os.defpath)])
    architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    command = ["scripts/deploy.sh", "--env", environment, "--architecture", architecture, *options]
    if platform.system() != "Linux":  # Lambda's wheels are Linux's
        command += ["--wheels", "host"]
    log = cloud.state / "deploy.log"
    with log.open("w") as out:
        status = _run(command, out)
    if status:
        raise DeploymentFailed("\n".join(log.read_text().splitlines()[-20:]))
    return Stack(f"video-intake-{environment}")


def _run(command: list[str], out: TextIO) -> int:
    """The exit status. Whatever ends us in between ends the script and all that it has started."""
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
    ) as script:
        try:
            return script.wait()
        except BaseException:
            os.killpg(script.pid, signal.SIGTERM)
            raise
