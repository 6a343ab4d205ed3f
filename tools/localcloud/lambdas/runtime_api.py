"""Lambda's runtime API: the HTTP interface through which an execution environment gets events and returns responses.

It uses no keys, so it refuses web pages, and other users of the machine if the system identifies them.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tools.localcloud.guard import from_a_page

READINGS = 10  # of the list of connections, which lacks some while others come and go
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Invocation:
    """One attempt at an event, with `timeout` in seconds."""

    request_id: str
    payload: bytes
    function_arn: str
    timeout: float
    attempt: int = 1


@dataclass(frozen=True)
class Answer:
    """The runtime's response. The request ID of an error during initialization is "init"."""

    request_id: str
    body: bytes
    failed: bool


class RuntimeApi:
    """The interface for one child process, on a separate port."""

    def __init__(self) -> None:
        self.asked_for_work = threading.Event()
        self.answers: queue.Queue[Answer] = queue.Queue()
        self._invocations: queue.Queue[Invocation | None] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def give(self, invocation: Invocation) -> None:
        """Responds to the child's current or next request for work."""
        self._invocations.put(invocation)

    def next_invocation(self) -> Invocation | None:
        """Waits for work; None if it is closed."""
        self.asked_for_work.set()
        return self._invocations.get()

    def close(self) -> None:
        """Closes the interface without waiting. Safe to repeat."""
        self._invocations.put(None)
        threading.Thread(target=self._close, daemon=True).start()

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.strange = _is_strange(self.client_address[1])

        def parse_request(self) -> bool:
            if not super().parse_request():
                return False
            if self.strange or from_a_page(self.headers.get, self.server.server_port):  # type: ignore[attr-defined]
                self.send_error(HTTPStatus.FORBIDDEN)
                return False
            return True

        def do_GET(self) -> None:
            invocation = api.next_invocation()
            if invocation is None:
                self.close_connection = True
                return
            self._answer(
                200,
                invocation.payload,
                {
                    "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + invocation.timeout) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                    "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{invocation.request_id[-12:]:0>24}",
                },
            )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            *_, request_id, verb = self.path.split("/")
            api.answers.put(Answer(request_id, body, failed=verb == "error"))
            self._answer(202, b'{"status":"OK"}', {})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            always = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            for name, value in (always | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            log.debug(format, *args)

    return Handler


def _is_strange(port: int) -> bool:
    """Whether a connection from this port of 127.0.0.1 belongs to another user; only known on Linux (proc(5))."""
    line = re.compile(rf"^ *\d+: 0100007F:{port:04X} \S+ 01 \S+ \S+ \S+ +(\d+) ", re.MULTILINE)
    for _ in range(READINGS):
        try:
            connected = line.search(Path("/proc/net/tcp").read_text())
        except OSError:
            return False
        if connected:
            return int(connected[1]) != os.getuid()
    return False
