"""An AWS account on this machine: moto's server plus what moto lacks.

Everything runs in one process behind one HTTP endpoint, so boto3, the AWS CLI and scripts/deploy.sh use it like AWS.
Start it with `python -m tools.localcloud --state DIR`, or from Python with `running`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEFAULT_RETRY_DELAY = 1.0
OCCUPIED, FOLDER_IN_USE = 2, 3  # exit statuses; a crash ends with 1
PROGRAM = (sys.executable, "-m", "tools.localcloud")
START_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class LocalCloud:
    """A running local cloud. `environ` has the environment variables for its clients."""

    endpoint: str
    state: Path
    environ: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def mailbox(self) -> Path:
        return self.state / "mail"

    def control(self, method: str, what: str, **said: Any) -> Any:
        """Calls the local cloud's own interface: see `control`. Raises LocalCloudError if it refuses."""
        headers = {"Authorization": f"Bearer {self.environ['AWS_ACCESS_KEY_ID']}"}
        body = json.dumps(said).encode() if said else None
        # urllib would read every certificate of this machine at each call, for an address that needs none
        with contextlib.closing(http.client.HTTPConnection(urlsplit(self.endpoint).netloc)) as server:
            server.request(method, f"/_localcloud/{what}", body, headers)
            answer = server.getresponse()
            content = answer.read()
        if answer.status != HTTPStatus.OK:
            raise LocalCloudError(f"{method} {what}: {answer.status} {content.decode(errors='replace')}")
        return json.loads(content)

    def check(self) -> None:
        """Raises LocalCloudError if it ended unexpectedly."""
        if self.process.poll() is not None:
            raise LocalCloudError("\n".join(["The local cloud ended unexpectedly.", *_last_lines(self.state)]))


class LocalCloudError(Exception):
    """The local cloud did not start or ended unexpectedly; the message has the end of its log."""


class Occupied(LocalCloudError):
    """The port or the folder is in use; the message is one sentence."""


class FolderInUse(Occupied):
    """The folder is used by another local cloud or by something else."""


@contextlib.contextmanager
def running(
    state: Path, port: int = 0, retry_delay: float = DEFAULT_RETRY_DELAY, program: Sequence[str] = PROGRAM
) -> Iterator[LocalCloud]:
    """Starts a local cloud, waits until it responds, and ends it on exit."""
    command = [*program, "--state", str(state), "--port", str(port),
               "--retry-delay", str(retry_delay), "--until-stdin-closes"]  # fmt: skip
    here = str(Path(__file__).resolve().parents[2])
    python_path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": python_path},
        start_new_session=True,  # Ctrl-C is handled here, which ends it in order
    )
    try:
        ready = _ready(process, state)
        yield LocalCloud(
            ready["endpoint"], state.resolve(), environ_for(ready["endpoint"], ready["accessKey"]), process
        )
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def environ_for(endpoint: str, access_key: str) -> dict[str, str]:
    """The environment in which the AWS CLI and boto3 use this endpoint and no other."""
    from tools.localcloud.account import (
        DEFAULT_REGION,
    )  # imported here because boto3 is slow to import and not always needed

    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": DEFAULT_REGION,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }


def _ready(process: subprocess.Popen[bytes], state: Path) -> dict[str, str]:
    """The line that the server prints when it is ready."""
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if selector.select(deadline - time.monotonic()):
            line = process.stdout.readline()
            if line:
                return dict(json.loads(line))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)  # it is already ending; its exit status shows why
    process.kill()
    _, errors = process.communicate()
    said = errors.decode(errors="replace").strip()
    if process.returncode in (OCCUPIED, FOLDER_IN_USE):
        raise (Occupied if process.returncode == OCCUPIED else FolderInUse)(said.removeprefix("localcloud: "))
    raise LocalCloudError("\n".join(["The local cloud did not start.", said, *_last_lines(state)]))


def _last_lines(state: Path) -> list[str]:
    log = state / "server.log"
    return log.read_text(errors="replace").splitlines()[-20:] if log.exists() else []
