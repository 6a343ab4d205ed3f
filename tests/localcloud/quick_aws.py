"""The real AWS CLI without its start, which takes longer than all it does here: a process that has imported it already
forks for each command. Put `folder` first in PATH, and `aws` is that.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CLIENT = """#!{python} -IS
import json, os, socket, sys
zygote = socket.socket(socket.AF_UNIX)
zygote.connect({address!r})
socket.send_fds(zygote, [b"f"], [0, 1, 2])
zygote.sendall(json.dumps([sys.argv, dict(os.environ), os.getcwd()]).encode())
zygote.shutdown(socket.SHUT_WR)
sys.exit(int(zygote.recv(8) or b"1"))
"""


@contextlib.contextmanager
def folder(place: Path) -> Iterator[Path]:
    """A folder with a command `aws`, for as long as the context lasts."""
    place.mkdir()
    address = place / "socket"
    zygote = subprocess.Popen([sys.executable, __file__, str(address)], stdout=subprocess.PIPE)
    try:
        zygote.stdout.readline()
        (place / "aws").write_text(CLIENT.format(python=sys.executable, address=str(address)))
        (place / "aws").chmod(0o755)
        yield place
    finally:
        zygote.terminate()
        zygote.communicate()


def serve(address: str) -> None:
    import awscli.clidriver
    import awscli.handlers  # every customization, which the CLI imports as it starts

    assert awscli.handlers
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(16)
    print("ready", flush=True)
    while True:
        asking, _ = listening.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            asking.sendall(str(command(asking, awscli.clidriver.main)).encode())
            os._exit(0)
        asking.close()


def command(asking, main) -> int:
    """Becomes what the client is: its descriptors, arguments, environment and folder."""
    _, descriptors, _, _ = socket.recv_fds(asking, 1, 3)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    sys.argv, environment, cwd = json.loads(b"".join(iter(lambda: asking.recv(1 << 16), b"")))
    own_data = os.environ["AWS_DATA_PATH"]  # set when the CLI is imported
    os.environ.clear()
    os.environ.update(environment, AWS_DATA_PATH=own_data)
    os.chdir(cwd)
    try:
        status = main()
    except SystemExit as end:
        status = end.code
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    return int(status or 0)


if __name__ == "__main__":
    serve(sys.argv[1])
