"""Runs programs without their import time, by forking a process that has imported them.

`command(NAME)` is the path of a command that runs a program of `PROGRAMS` with the caller's arguments, environment,
working directory, input and output, and forwards signals. All processes of a test run share the forking process, which
ends with the run.

    python -m tests.support.warm NAME FOLDER PID
"""

import contextlib
import functools
import gc
import logging
import marshal
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.stack import wait_for
from tools.localcloud import fast_imports

SECONDS = 120  # until a program is imported, on a busy machine
SERVICES = ("cloudformation", "cloudwatch", "dynamodb", "iam", "lambda", "logs", "s3", "sns", "sqs", "sts")

READ_ONLY = {
    "cloudformation": "list_stacks", "cloudwatch": "describe_alarms", "dynamodb": "list_tables", "events": "list_rules",
    "iam": "list_roles", "kms": "list_keys", "lambda": "list_functions", "logs": "describe_log_groups",
    "s3": "list_buckets", "sns": "list_topics", "sqs": "list_queues", "sts": "get_caller_identity",
}  # fmt: skip

COMMANDS = (
    "sts get-caller-identity", "cloudformation describe-stacks --stack-name none", "s3api head-bucket --bucket none",
    "sns list-topics",
)  # fmt: skip
NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
}  # fmt: skip

# Only built-in modules: importing json, os, signal and socket would take longer than the rest of it
CLIENT = """\
#!{python} -IS
import _signal, _socket, marshal, posix, sys
warm = _socket.socket(_socket.AF_UNIX)
warm.connect({address!r})
call = marshal.dumps([sys.argv[1:], posix.environ, posix.getcwdb()])
descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
warm.sendmsg([len(call).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
warm.sendall(call)
child = int.from_bytes(warm.recv(4), "big")
for number in (_signal.SIGINT, _signal.SIGTERM):
    _signal.signal(number, lambda number, _: posix.kill(child, number))
status = warm.recv(1)
posix._exit(status[0] if status else 1)
"""


def _aws() -> Callable[[], Any]:
    import yaml

    if yaml.__with_libyaml__:
        yaml.SafeLoader = yaml.CSafeLoader  # the parser in Python takes a second for a large template
    from awscli import clidriver
    from awscli.customizations.cloudformation import deploy, package  # noqa: F401  # imported on use otherwise

    driver = clidriver.create_clidriver()
    for service in SERVICES:
        driver.session.create_client(service, "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    driver.session.get_available_services()
    for kind in ("paginators-1", "waiters-2"):
        driver.session.get_component("data_loader").list_available_services(kind)
    before = dict(os.environ)
    os.environ |= NOWHERE
    with open(os.devnull, "w") as nothing, contextlib.redirect_stderr(nothing):
        for command in COMMANDS:  # which fail, but prepare what all have in common
            driver.main(command.split())
    os.environ.clear()
    os.environ |= before

    def run() -> Any:
        # Read for each command: the user's settings may differ
        driver.session._config = driver.session._profile_map = driver.session._credentials = None
        return driver.main()

    return run


def _localcloud() -> Callable[[], Any]:
    import boto3
    from botocore.exceptions import ClientError
    from moto import mock_aws
    from moto.moto_api._internal import mock_random

    from tools.localcloud import __main__, server  # noqa: F401  # imported once the command line is understood
    from tools.localcloud.account import Account

    account = Account("http://127.0.0.1:9")
    for service in SERVICES:
        account.client(service)
    with mock_aws():  # which reads the descriptions of the services, and prepares routes
        for service, operation in READ_ONLY.items():
            getattr(boto3.client(service, "us-east-1"), operation)()
        with contextlib.suppress(ClientError):
            boto3.client("cloudformation", "us-east-1").describe_stacks(StackName="none")

    def run() -> int:
        os.setsid()
        mock_random.seed()
        status = __main__.main()
        logging.shutdown()
        return status

    return run


def _replay() -> Callable[[], Any]:
    import boto3

    from scripts import replay

    for service in SERVICES:
        boto3.client(service, "us-east-1")
    return replay.main


PROGRAMS: dict[str, Callable[[], Callable[[], Any]]] = {"aws": _aws, "localcloud": _localcloud, "replay": _replay}


@functools.cache
def _folder() -> tuple[Path, int]:
    """The folder of this test run, named for its main process: pytest's, or the xdist controller's."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        return Path(tempfile.mkdtemp(prefix="warm-", dir="/tmp")), os.getpid()  # a socket's path must be short
    folder = Path("/tmp", f"warm-{run[:16]}")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder, os.getppid()


def command(name: str) -> Path:
    """Creates the command and returns its path."""
    folder, run = _folder()
    program = folder / name
    with contextlib.suppress(FileExistsError):
        (folder / f"{name}.started").mkdir()  # the process that creates it starts the forking process
        _start(name, folder, run)
    wait_for(f"the import of {name}", program.exists, SECONDS)
    return program


def _start(name: str, folder: Path, run: int) -> None:
    subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm", name, str(folder), str(run)],
        cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL, start_new_session=True,
        env=os.environ | {"PYTHONPATH": "src"},
    )  # fmt: skip


def serve(name: str, folder: Path, run: int) -> None:
    """Serves calls until the test run ends."""
    fast_imports.share_loader()
    program, address = PROGRAMS[name](), folder / f"{name}.socket"
    assert threading.active_count() == 1, "a fork would lose the others"
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen(32)
        unfinished = folder / f"{name}.part"
        unfinished.write_text(CLIENT.format(python=sys.executable, address=str(address)))
        unfinished.chmod(0o755)
        unfinished.replace(folder / name)
        while _runs(run):
            if select.select([listening], [], [], 1)[0]:
                caller, _ = listening.accept()
                with caller:
                    if os.fork() == 0:
                        listening.close()
                        _answer(caller, name, program)
    for file in (address, folder / name):
        file.unlink(missing_ok=True)
    (folder / f"{name}.started").rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()  # the last one does


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _answer(caller: socket.socket, name: str, program: Callable[[], Any]) -> None:
    length, descriptors, _, _ = socket.recv_fds(caller, 4, 3)
    call = b""
    while len(call) < int.from_bytes(length, "big"):
        call += caller.recv(1 << 16)
    arguments, environ, folder = marshal.loads(call)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    caller.sendall(os.getpid().to_bytes(4, "big"))
    own = {each: os.environ[each] for each in ("AWS_DATA_PATH",) if each in os.environ}  # the CLI sets it on import
    os.environb.clear()
    os.environb.update(environ)
    os.environ.update(own)
    os.chdir(folder)
    sys.argv = [name, *arguments]
    random.seed()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 255
    try:
        status = program()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        status = 130
    except Exception:  # noqa: BLE001  # a program catches its own; this would be ours
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            caller.sendall(bytes([(status or 0) & 255]))
        os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
