"""The local cloud's own interface for tests.

It is under /_localcloud/, which no AWS request uses:

    GET    /_localcloud/calls   every AWS call of every function, in order
    GET    /_localcloud/events  the number of unfinished asynchronous events, and of those waiting for a retry
    POST   /_localcloud/faults  adds a rule: a JSON object with the fields of `faults.Rule`
    DELETE /_localcloud/faults  removes all rules
    POST   /_localcloud/clock   {"seconds": 60}: advances the clock for waiting events and for metrics
    POST   /_localcloud/stack   sets the state of a stack: see `cloudformation.states`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from tools.localcloud.cloudformation import states
from tools.localcloud.cloudwatch.alarms import Alarms
from tools.localcloud.faults import Faults, Rule
from tools.localcloud.lambdas.functions import Lambdas

PREFIX = "/_localcloud/"


class Control:
    def __init__(self, lambdas: Lambdas, alarms: Alarms, faults: Faults):
        self._lambdas, self._alarms, self._faults = lambdas, alarms, faults

    def answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        said = json.loads(environ["wsgi.input"].read(length) or b"{}")
        try:
            told = self._done(environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix(PREFIX), said)
        except LookupError:
            start_response("404 Not Found", [("Content-Type", "application/json")])
            return [b"{}"]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(told).encode()]

    def _done(self, method: str, what: str, said: dict[str, Any]) -> Any:
        match method, what:
            case "GET", "calls":
                return [asdict(call) for call in list(self._faults.calls)]
            case "GET", "events":
                return self._lambdas.events()
            case "POST", "faults":
                return self._faults.rules.append(Rule(**said))
            case "DELETE", "faults":
                return self._faults.rules.clear()
            case "POST", "clock":
                self._lambdas.pass_time(float(said["seconds"]))
                return self._alarms.pass_time(float(said["seconds"]))
            case "POST", "stack":
                return states.put(**said)
        raise LookupError(what)
