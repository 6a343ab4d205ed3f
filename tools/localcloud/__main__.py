"""Run an AWS account on this machine: python -m tools.localcloud --state DIR"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import logging
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from tools.localcloud import DEFAULT_RETRY_DELAY, FOLDER_IN_USE, OCCUPIED


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.localcloud", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="objects, e-mails and the log go here")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument(
        "--retry-delay",
        type=float,
        default=DEFAULT_RETRY_DELAY,
        metavar="SECONDS",
        help="seconds before Lambda's first retry, twice that before the second (AWS: 60); default: %(default)s",
    )
    parser.add_argument(
        "--packages", type=Path, metavar="DIR", help="folder of unzipped packages, which others may use too"
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when the parent process ends")
    arguments = parser.parse_args()

    state = arguments.state.resolve()
    try:
        _begin_empty(state)
    except InUse as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return FOLDER_IN_USE
    logging.basicConfig(
        filename=state / "server.log",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    for noisy in ("botocore", "urllib3", "werkzeug"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # nothing here may call the user's real account
    os.environ["MOTO_LAMBDA_CONCURRENCY_QUOTA"] = "1000"  # an account's quota; 100 of it cannot be reserved
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"  # web pages must not read responses
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

    _give_memory_back()
    from tools.localcloud import fast_imports

    with fast_imports.importing():  # of moto, which takes two seconds; --help should not
        from tools.localcloud.server import HOST, Server

    try:
        server = Server(state, arguments.port, arguments.retry_delay, arguments.packages or state / "functions")
    except OSError as error:
        print(f"localcloud: cannot listen on {HOST} port {arguments.port}: {error.strerror}.", file=sys.stderr)
        return OCCUPIED
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if arguments.until_stdin_closes:
        threading.Thread(target=_wait_for_parent, args=(ended,), daemon=True).start()
    threading.Thread(target=server.run, daemon=True).start()
    print(json.dumps({"endpoint": server.endpoint, "accessKey": server.account.user_key}), flush=True)
    _redirect_output(state / "server.log")
    ended.wait()
    server.stop()
    for name in BULKY:
        shutil.rmtree(state / name, ignore_errors=True)
    return 0


BULKY = ("functions", "objects", "runtime")  # files that are useless after the account is gone


class InUse(Exception):
    """The state folder belongs to someone else."""


def _begin_empty(state: Path) -> None:
    """Clears the files of an earlier run, which are useless without its memory. Only a folder with our log is cleared,
    and only if no other local cloud is using it."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    if state.stat().st_uid != os.getuid():
        raise InUse(f"{state} belongs to another user; choose another folder.")
    mark, ours = state / "server.log", [state / name for name in (*BULKY, "mail")]
    if not mark.exists() and any(folder.exists() for folder in ours):
        raise InUse(f"{state} contains other files; choose another folder.")
    holding = os.open(mark, os.O_CREAT | os.O_RDWR)  # kept open, and therefore locked, until this process ends
    try:
        fcntl.flock(holding, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InUse(f"{state} is in use by another local cloud; end that one, or choose another folder.") from None
    state.chmod(0o700)  # uploads, e-mails and logs are private
    for folder in ours:
        shutil.rmtree(folder, ignore_errors=True)
    os.truncate(mark, 0)


def _redirect_output(log: Path) -> None:
    """Redirects output to the log, because no one reads the pipes, and a full one would block."""
    with log.open("ab") as file:
        for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
            os.dup2(file.fileno(), descriptor)


def _give_memory_back() -> None:
    """Makes glibc return large blocks as soon as they are free. Otherwise it would keep those of every thread that
    received a part of an upload, half a gigabyte in total. Other systems do not need this."""
    mmap_threshold, trim_threshold = -3, -1  # from malloc.h
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_threshold, 256 << 10)
        libc.mallopt(trim_threshold, 1 << 20)


def _wait_for_parent(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    os._exit(status)  # do not wait for threads with closed connections
