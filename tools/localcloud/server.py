"""The composition root: moto's server with everything that it lacks, on one port of this machine."""

from __future__ import annotations

import contextlib
import functools
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

from tools.localcloud import calls, fast_yaml, keys, mail
from tools.localcloud.account import Account
from tools.localcloud.cloudformation import api as cloudformation
from tools.localcloud.cloudwatch import logs_api
from tools.localcloud.cloudwatch.alarms import Alarms
from tools.localcloud.control import PREFIX, Control
from tools.localcloud.eventbridge import bus
from tools.localcloud.faults import Faults
from tools.localcloud.guard import Guard
from tools.localcloud.lambdas import api as lambdas
from tools.localcloud.lambdas.functions import Lambdas
from tools.localcloud.lambdas.surroundings import Surroundings
from tools.localcloud.s3 import notification_settings, notifications, objects, suspended

HOST = "127.0.0.1"  # other machines cannot reach it; on this one, `guard` decides
BACKLOG = 512  # a burst of uploads opens many connections at once

log = logging.getLogger(__name__)

# moto's backends are plain dictionaries, so these services handle one request at a time: otherwise two functions could
# both pass a conditional write. Exceptions are services that call others, SQS (a long poll would block all requests),
# and S3 (which has other locks, in `objects`).
ONE_AT_A_TIME = ("dynamodb", "logs", "sns")

# moto reads bodies into memory and copies them. Clients send ten parts of an upload in parallel; the others wait in
# their sockets meanwhile, which does not slow them down.
LARGE_BODY = 1 << 20
LARGE_BODIES_AT_ONCE = 3

FORM = "application/x-www-form-urlencoded"

Environ = dict[str, Any]


class Server:
    def __init__(self, state: Path, port: int, retry_delay: float, packages: Path):
        state.mkdir(parents=True, exist_ok=True)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, port))
        self._socket.listen(BACKLOG)
        self.endpoint = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self.account = account = Account(self.endpoint)
        self.guard = Guard(account)
        self.mailbox = mail.Mailbox(state / "mail")
        self.lambdas = Lambdas(account, Surroundings(account, state / "runtime", packages), retry_delay)
        self.bus = bus.Bus(account, self.lambdas)
        alarms = Alarms(account)
        fast_yaml.install()
        self.faults = Faults(self.lambdas.workers)
        self.control = Control(self.lambdas, alarms, self.faults)
        cloudformation.install(account)
        suspended.install()
        objects.install(state / "objects")
        notifications.install()
        notification_settings.install(self.lambdas.policy)
        bus.install()
        mail.install(self.mailbox)
        logs_api.install()
        keys.install()
        lambdas.install(self.lambdas)
        alarms.install()
        warnings.filterwarnings("ignore", module="moto")  # moto's warnings about objects that were not closed
        self._application = DomainDispatcherApplication(_application_of)
        find = functools.cache(self._application.get_backend_for_host)  # with the patterns of 200 services
        self._application.get_backend_for_host = find
        self._large_bodies = threading.BoundedSemaphore(LARGE_BODIES_AT_ONCE)
        self._locks = {service: threading.RLock() for service in ONE_AT_A_TIME}
        self._server = make_server(
            HOST, 0, self._answer, threaded=True, request_handler=QuietHandler, fd=self._socket.fileno()
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]  # the threaded server has it

    def _answer(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        refused = self.guard.refusal(environ, start_response)
        if refused is not None:
            log.warning("refused %s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            return refused
        if environ["PATH_INFO"].startswith(PREFIX):
            return self.control.answer(environ, start_response)
        caller = calls.credential(environ)
        if caller.service == "s3" and environ.get("CONTENT_TYPE", "").startswith(FORM):
            environ["CONTENT_TYPE"] = "binary/octet-stream"  # moto would parse the object as a form
        began, operation = time.monotonic(), calls.operation(environ)
        answer = self.faults.answer(self._apply, environ, start_response)
        log.info(
            "%s %s %s %s %s %.0f ms", self.account.name_of(caller.key), caller.service, environ["REQUEST_METHOD"],
            operation, environ.get("RAW_URI", environ["PATH_INFO"]), (time.monotonic() - began) * 1000,
        )  # fmt: skip
        return answer

    def _apply(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._turn(environ):
            answer = self._application(environ, start_response)
        notifications.deliver_waiting(self._deliver, self.bus.publish)
        return answer  # type: ignore[no-any-return]  # moto's application is untyped to mypy

    def _deliver(self, arn: str, bucket: Any, event: dict[str, Any]) -> None:
        """Reads an object directly from S3's backend."""
        if arn.split(":")[2] == "lambda":
            notification_settings.require_permission(self.lambdas.policy, arn, bucket)
        self.lambdas.deliver(arn, event)

    def _turn(self, environ: Environ) -> contextlib.AbstractContextManager[Any]:
        if int(environ.get("CONTENT_LENGTH") or 0) > LARGE_BODY:
            return self._large_bodies
        return self._locks.get(calls.credential(environ).service, contextlib.nullcontext())

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Must be called from another thread than the one that runs it."""
        self._server.shutdown()
        self.lambdas.stop()


def _application_of(service: Any) -> Any:
    """moto's application without Flask's debugging, which creates a class for each request that keeps its body in
    memory until garbage collection: hundreds of megabytes during an upload."""
    application = create_backend_app(service)
    application.debug = False
    return application


class QuietHandler(MotoRequestHandler):  # type: ignore[misc]  # moto's class is untyped to mypy
    """Disables werkzeug's log on the terminal; the server logs requests with their caller."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass
