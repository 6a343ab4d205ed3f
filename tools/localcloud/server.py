"""The composition root: moto's server with everything that it lacks put in, on one port of this machine."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tools.localcloud import (
    calls,
    cloudformation,
    fast_yaml,
    insights,
    keys,
    log_filters,
    mail,
    notifications,
    objects,
    quotas,
)
from tools.localcloud.account import Account
from tools.localcloud.alarms import Alarms
from tools.localcloud.faults import PREFIX, Faults
from tools.localcloud.functions import Lambdas

HOST = "127.0.0.1"  # nothing here asks who is speaking; no other machine may
BACKLOG = 512  # a burst of uploads opens its connections all at once

log = logging.getLogger(__name__)

# moto's backends are plain dictionaries. A conditional write that two functions may pass at once would break the
# very promise that it is made for, so these services answer one request at a time. Not among them: what calls
# others while it answers, SQS (a long poll would hold up everybody), and S3 (locks of its own, in `objects`).
ONE_AT_A_TIME = ("dynamodb", "logs", "sns")

# moto reads a body into memory, and copies it on the way. Clients send ten parts of an upload at once; the others
# wait in their sockets meanwhile, and are no slower for it.
LARGE_BODY = 1 << 20
LARGE_BODIES_AT_ONCE = 3

Environ = dict[str, Any]


class Server:
    def __init__(self, state: Path, port: int, retry_delay: float):
        state.mkdir(parents=True, exist_ok=True)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, port))
        self._socket.listen(BACKLOG)
        self.endpoint = f"http://{HOST}:{self._socket.getsockname()[1]}"
        account = Account(self.endpoint)
        self.mailbox = mail.Mailbox(state / "mail")
        self.lambdas = Lambdas(account, state, retry_delay)
        alarms = Alarms(account)
        self.faults = Faults(self.lambdas, alarms)
        fast_yaml.install()
        cloudformation.install(account)
        objects.install(state / "objects")
        notifications.install()
        mail.install(self.mailbox)
        log_filters.install()
        quotas.install()
        insights.install()
        keys.install()
        self.lambdas.install()
        alarms.install()
        warnings.filterwarnings("ignore", module="moto")  # moto's remarks about objects that nobody closed
        self._application = DomainDispatcherApplication(_application_of)
        self._large_bodies = threading.BoundedSemaphore(LARGE_BODIES_AT_ONCE)
        self._locks = {service: threading.RLock() for service in ONE_AT_A_TIME}
        self._server = make_server(
            HOST, 0, self._answer, threaded=True, request_handler=QuietHandler, fd=self._socket.fileno()
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]  # the threaded server has it

    def _answer(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(PREFIX):
            return self.faults.control(environ, start_response)
        began, operation = time.monotonic(), calls.operation(environ)
        answer = self.faults.answer(self._apply, environ, start_response)
        log.info(
            "%s %s %s %s %.0f ms", _caller(environ), environ["REQUEST_METHOD"], operation,
            environ.get("RAW_URI", environ["PATH_INFO"]), (time.monotonic() - began) * 1000,
        )  # fmt: skip
        return answer

    def _apply(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._turn(environ):
            answer = self._application(environ, start_response)
        notifications.deliver_waiting(self.lambdas.deliver)
        return answer  # type: ignore[no-any-return]  # moto's application is untyped to mypy

    def _turn(self, environ: Environ) -> contextlib.AbstractContextManager[Any]:
        if int(environ.get("CONTENT_LENGTH") or 0) > LARGE_BODY:
            return self._large_bodies
        return self._locks.get(calls.scope(environ)[1], contextlib.nullcontext())

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """From another thread than the one that runs it."""
        self._server.shutdown()
        self.lambdas.stop()


def _application_of(service: Any) -> Any:
    """moto's application without Flask's debugging, which makes a class for each request that keeps its body alive
    until the garbage is collected: hundreds of megabytes during an upload."""
    application = create_backend_app(service)
    application.debug = False
    return application


class QuietHandler(MotoRequestHandler):  # type: ignore[misc]  # moto's class is untyped to mypy
    """Requests are logged by the server, with the caller; werkzeug would write them to the terminal."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def _caller(environ: Environ) -> str:
    """The access key that a request is signed with, and the service it is signed for."""
    _, found, credential = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")
    return f"{credential.split('/')[0]} {calls.scope(environ)[1]}" if found else "anonymous"
