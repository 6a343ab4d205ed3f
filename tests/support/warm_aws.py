"""The AWS CLI without the half second that it takes to import itself: a process that has done it forks for each call.

`folder()` makes a folder with a command `aws`, to be put first in PATH. What it runs is the CLI of this virtual
environment, with the caller's arguments, environment, working directory, input and output.

    python -m tests.support.warm_aws SOCKET
"""

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

SERVICES = ("cloudformation", "cloudwatch", "lambda", "logs", "s3", "sns", "sqs", "sts")

CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as warm:
    warm.connect({address!r})
    call = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(warm, [len(call).to_bytes(4, "big")], [0, 1, 2])
    warm.sendall(call)
    status = warm.recv(1)
os._exit(status[0] if status else 1)
"""


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """The folder with the command, until the end of the context."""
    with tempfile.TemporaryDirectory(prefix="aws-", dir="/tmp") as made:  # a socket's path must be short
        yield from _served(Path(made))


def _served(folder: Path) -> Iterator[Path]:
    address = folder / "warm"
    command = folder / "aws"
    command.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    command.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_aws", str(address)], cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        assert server.stdout.readline(), "it listens"
        yield folder
    finally:
        server.communicate(timeout=10)  # closes its stdin, as our death would


def serve(address: str) -> None:
    """Answers calls until whoever started it is gone."""
    from awscli import clidriver
    from awscli.customizations.cloudformation import deploy, package  # noqa: F401  # imported on use otherwise
    from botocore import loaders  # the CLI's own copy, since it was imported first

    loaders.JSONFileLoader.load_file = functools.cache(loaders.JSONFileLoader.load_file)
    loaders.JSONFileLoader.__eq__ = lambda one, other: type(one) is type(other)  # one is like another
    loaders.JSONFileLoader.__hash__ = lambda _: 0
    session = clidriver.create_clidriver().session
    for service in SERVICES:
        session.create_client(service, "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(32)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
        print("ready", flush=True)
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:  # no thread: a fork must find none
            caller, _ = listening.accept()
            with caller:
                if os.fork() == 0:
                    listening.close()
                    _answer(caller, clidriver.main)


def _answer(caller: socket.socket, run) -> None:
    length, descriptors, _, _ = socket.recv_fds(caller, 4, 3)
    call = b""
    while len(call) < int.from_bytes(length, "big"):
        call += caller.recv(1 << 16)
    arguments, environ, folder = json.loads(call)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    own = {"AWS_DATA_PATH": os.environ["AWS_DATA_PATH"]}  # the CLI sets it on import
    os.environ.clear()
    os.environ.update(environ | own)
    os.chdir(folder)
    sys.argv = ["aws", *arguments]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 255
    try:
        status = run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except Exception:  # noqa: BLE001  # the CLI catches its own; this would be ours
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            caller.sendall(bytes([(status or 0) & 255]))
        os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
