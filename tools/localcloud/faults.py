"""Injects failures into selected AWS calls of functions, and records all calls.

A call is one SDK call, including retries; `nth` counts the calls of its operation within an invocation.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from tools.localcloud import calls, errors
from tools.localcloud.lambdas.running import Workers
from tools.localcloud.lambdas.worker import Worker

KINDS = {
    "refuse": "throttled, which the SDK retries; nothing is executed",
    "deny": "not allowed, which the SDK does not retry; nothing is executed",
    "hide": "S3 answers that there is no such key, as it may for 15 minutes after versioning was first enabled",
    "lose": "executed, but the connection is closed before the response",
    "late": "executed, but the response takes `seconds`",
    "kill-before": "the function's process is killed; the call is not executed",
    "kill-after": "the call is executed, then the function's process is killed",
    "freeze": "the function's process hangs, like a decoder that hangs; the call is not executed",
}

CODES = {
    "refuse": {"s3": "SlowDown", "sns": "Throttling", "dynamodb": "ThrottlingException"},
    "deny": {"s3": "AccessDenied", "sns": "AuthorizationError", "dynamodb": "AccessDeniedException"},
    "hide": {
        "s3": "NoSuchKey"
    },  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html
}
OF_AN_OBJECT = ("s3:GetObject", "s3:HeadObject", "s3:GetObjectTagging", "s3:PutObjectTagging")
STATUS = {"refuse": HTTPStatus.SERVICE_UNAVAILABLE, "deny": HTTPStatus.FORBIDDEN, "hide": HTTPStatus.NOT_FOUND}

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


@dataclass(frozen=True)
class Rule:
    """The calls that a failure is injected into. Omitted fields match everything."""

    kind: str
    event: str = ""  # a text in the invocation's event
    operation: str = "*"  # "s3:PutObject", "s3:*"
    attempt: int = 0  # Lambda's first, second or third attempt at the event
    nth: int = 0  # number of the call among those of its operation in the invocation, from 1
    attempt_of_call: int = 0  # the SDK's first, second ... attempt
    seconds: float = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a fault is one of {', '.join(KINDS)}")

    def befalls(self, call: Call, event: str) -> bool:
        asked = (self.attempt, call.attempt), (self.nth, call.nth), (self.attempt_of_call, call.attempt_of_call)
        return (
            self.event in event
            and fnmatchcase(call.operation, self.operation)
            and all(wanted in (0, actual) for wanted, actual in asked)
            and (self.kind != "hide" or call.operation in OF_AN_OBJECT)
        )


@dataclass
class Call:
    """A function's request to AWS."""

    event: str  # of the invocation, the same in all attempts
    attempt: int
    worker: str
    nth: int  # number among those of its operation in the invocation
    attempt_of_call: int
    operation: str
    action: str  # the IAM action
    resource: str  # ARN of its resource
    path: str
    fault: str = ""


class Faults:
    """WSGI middleware between the functions and the services."""

    def __init__(self, workers: Workers):
        self.rules: list[Rule] = []
        self.calls: list[Call] = []
        self._workers = workers
        # Invocation and operation → the SDK's IDs of its calls, and the number of attempts at each
        self._tries: dict[tuple[str, int, str], dict[str, int]] = {}
        self._lock = threading.Lock()

    def answer(self, application: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The application's response, unless a failure is injected."""
        worker = self._workers.get(environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""))
        rule = self._fault(worker, environ) if worker else None
        if worker is None or rule is None:
            return application(environ, start_response)
        answer: Iterable[bytes] = []
        if rule.kind in CODES:
            code = CODES[rule.kind][calls.credential(environ).service]
            return errors.answer(environ, start_response, STATUS[rule.kind], code, "on purpose")
        if rule.kind == "freeze":
            worker.process.send_signal(signal.SIGSTOP)
        elif rule.kind != "kill-before":
            answer = application(environ, start_response)
        if rule.kind.startswith("kill"):
            worker.process.kill()
        if rule.kind == "late":
            time.sleep(rule.seconds)
            return answer
        with contextlib.suppress(OSError):  # the connection may already be closed
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return _nothing(start_response)

    def _fault(self, worker: Worker, environ: Environ) -> Rule | None:
        invocation = worker.invocation
        if invocation is None:
            return None
        operation, (action, resource) = calls.operation(environ), calls.permission(environ)
        name = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        with self._lock:
            tries = self._tries.setdefault((invocation.request_id, invocation.attempt, operation), {})
            tries[name] = tries.get(name, 0) + 1
            nth = list(tries).index(name) + 1
            call = Call(
                invocation.request_id, invocation.attempt, worker.token, nth, tries[name],
                operation, action, resource, unquote(environ.get("RAW_URI", "")),
            )  # fmt: skip
            event = invocation.payload.decode(errors="replace")
            rule = next((rule for rule in self.rules if rule.befalls(call, event)), None)
            call.fault = rule.kind if rule else ""
            self.calls.append(call)
        return rule


def _nothing(start_response: StartResponse) -> Iterable[bytes]:
    with contextlib.suppress(AssertionError):  # replaces the application's status, which is never sent
        start_response("500 Internal Server Error", [])
    return []
