"""Faults on purpose: what the world does to a function, done to chosen calls of it; and a record of all its calls.

AWS has no such interface. It lies under /_localcloud/, where no AWS request can be:

    GET    /_localcloud/calls   every AWS call of every function, in order
    GET    /_localcloud/events  how many asynchronous events are unfinished, and how many of them wait for a retry
    POST   /_localcloud/faults  one more rule: a JSON object with the fields of Rule
    DELETE /_localcloud/faults  the world is well again
    POST   /_localcloud/clock   {"seconds": 60}: for events that wait, and for metrics, so much time has passed
    POST   /_localcloud/stack   puts a stack into a state: see `stack_states`

A call is one call of the SDK, however often the SDK tries it; `number` counts them within an invocation.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tools.localcloud import calls, stack_states

if TYPE_CHECKING:
    from tools.localcloud.alarms import Alarms
    from tools.localcloud.functions import Lambdas
    from tools.localcloud.runtime_api import Worker

PREFIX = "/_localcloud/"
KINDS = {
    "refuse": "throttled, which the SDK tries again; nothing is carried out",
    "deny": "not allowed, which the SDK does not try again; nothing is carried out",
    "hide": "not seen yet, as S3 may say while versioning is young; nothing is carried out",
    "lose": "carried out, but the connection breaks before the answer",
    "late": "carried out, but the answer takes `seconds`",
    "kill-before": "the function's process is killed; the call is not carried out",
    "kill-after": "the call is carried out, then the function's process is killed",
    "freeze": "the function's process stops for good, as a decoder that hangs; the call is not carried out",
}
WITHOUT_EFFECT = ("refuse", "deny", "hide", "kill-before", "freeze")

ERRORS = {  # as each protocol words it: status, type, body
    "s3": ("{status}", "application/xml", "<Error><Code>{code}</Code><Message>on purpose</Message></Error>"),
    "sns": (
        "{status}",
        "text/xml",
        "<ErrorResponse><Error><Code>{code}</Code><Message>on purpose</Message></Error></ErrorResponse>",
    ),
    "dynamodb": (
        "400 Bad Request",
        "application/x-amz-json-1.0",
        '{{"__type": "com.amazonaws.dynamodb.v20120810#{code}", "message": "on purpose"}}',
    ),
}
CODES = {
    "refuse": {"s3": "SlowDown", "sns": "Throttling", "dynamodb": "ThrottlingException"},
    "deny": {"s3": "AccessDenied", "sns": "AuthorizationError", "dynamodb": "AccessDeniedException"},
    "hide": {"s3": "NoSuchKey"},
}
STATUS = {"refuse": "503 Service Unavailable", "deny": "403 Forbidden", "hide": "404 Not Found"}

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


@dataclass(frozen=True)
class Rule:
    """Which calls a fault befalls. What is left out does not matter."""

    kind: str
    event: str = ""  # a text in the event that is worked on
    operation: str = "*"  # "s3:PutObject", "s3:*"
    attempt: int = 0  # of the event: Lambda's first, second, third
    number: int = 0  # of the call in its invocation, from 1
    attempt_of_call: int = 0  # the SDK's first, second ...
    seconds: float = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a fault is one of {', '.join(KINDS)}")

    def befalls(self, call: Call, event: str) -> bool:
        asked = (self.attempt, call.attempt), (self.number, call.number), (self.attempt_of_call, call.attempt_of_call)
        return (
            self.event in event
            and fnmatchcase(call.operation, self.operation)
            and all(wanted in (0, actual) for wanted, actual in asked)
        )


@dataclass
class Call:
    """A request that a function made of AWS."""

    event: str  # the id of the invocation, the same in all attempts
    attempt: int
    worker: str
    number: int
    attempt_of_call: int
    operation: str
    action: str  # that IAM must allow
    resource: str  # ARN of what it names
    path: str
    fault: str = ""


class Faults:
    """Stands between the functions and the services."""

    def __init__(self, lambdas: Lambdas, alarms: Alarms):
        self._lambdas, self._alarms = lambdas, alarms
        self._rules: list[Rule] = []
        self._calls: list[Call] = []
        self._tries: dict[tuple[str, int], dict[str, int]] = {}  # invocation → its calls as the SDK names them
        self._lock = threading.Lock()

    def answer(self, application: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The application's answer, unless a fault befalls it."""
        worker = self._lambdas.workers.get(environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""))
        rule = self._fault(worker, environ) if worker else None
        if worker is None or rule is None:
            return application(environ, start_response)
        answer: Iterable[bytes] = []
        if rule.kind in CODES:
            error = _error(rule.kind, calls.scope(environ)[1], start_response)
            return [] if environ["REQUEST_METHOD"] == "HEAD" else error
        if rule.kind == "freeze":
            worker.process.send_signal(signal.SIGSTOP)
        elif rule.kind not in WITHOUT_EFFECT:
            answer = application(environ, start_response)
        if rule.kind.startswith("kill"):
            worker.process.kill()
        if rule.kind == "late":
            time.sleep(rule.seconds)
            return answer
        with contextlib.suppress(OSError):  # the other side may be gone already
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return _nothing(start_response)

    def _fault(self, worker: Worker, environ: Environ) -> Rule | None:
        invocation = worker.invocation
        if invocation is None:
            return None
        operation, (action, resource) = calls.operation(environ), calls.permission(environ)
        name = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        with self._lock:
            tries = self._tries.setdefault((invocation.request_id, invocation.attempt), {})
            tries[name] = tries.get(name, 0) + 1
            number = list(tries).index(name) + 1
            call = Call(
                invocation.request_id, invocation.attempt, worker.token, number, tries[name],
                operation, action, resource, unquote(environ.get("RAW_URI", "")),
            )  # fmt: skip
            event = invocation.payload.decode(errors="replace")
            rule = next((rule for rule in self._rules if rule.befalls(call, event)), None)
            call.fault = rule.kind if rule else ""
            self._calls.append(call)
        return rule

    def control(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The interface that the module's description tells of."""
        what = (environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix(PREFIX))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        said: dict[str, Any] = json.loads(environ["wsgi.input"].read(length) or b"{}")
        told: Any = {}
        with self._lock:
            match what:
                case "GET", "calls":
                    told = [asdict(call) for call in self._calls]
                case "GET", "events":
                    told = self._lambdas.events()
                case "POST", "faults":
                    self._rules.append(Rule(**said))
                case "DELETE", "faults":
                    self._rules.clear()
                case "POST", "clock":
                    self._lambdas.pass_time(float(said["seconds"]))
                    self._alarms.pass_time(float(said["seconds"]))
                case "POST", "stack":
                    stack_states.put(**said)
                case _:
                    start_response("404 Not Found", [("Content-Type", "application/json")])
                    return [b"{}"]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(told).encode()]


def _error(kind: str, service: str, start_response: StartResponse) -> Iterable[bytes]:
    status, content_type, body = ERRORS[service]
    start_response(status.format(status=STATUS[kind]), [("Content-Type", content_type)])
    return [body.format(code=CODES[kind][service]).encode()]


def _nothing(start_response: StartResponse) -> Iterable[bytes]:
    with contextlib.suppress(AssertionError):  # the application has said its status already; it reaches nobody
        start_response("500 Internal Server Error", [])
    return []
