"""All functions of the account, and their events.

moto stores functions and would run them in Docker. Here a function's uploaded package is unzipped and runs in child
processes (`worker`). Asynchronous events are queued, retried and sent to the on-failure destination as on AWS
(`event_queue`), with delays scaled down to `retry_delay`.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from moto.awslambda import models
from moto.awslambda.exceptions import UnknownFunctionException

from tools.localcloud.account import Account
from tools.localcloud.lambdas.event_queue import EventQueue
from tools.localcloud.lambdas.running import RunningFunction, Workers
from tools.localcloud.lambdas.surroundings import Surroundings


@dataclass(frozen=True)
class Live:
    """A function that was invoked at least once."""

    running: RunningFunction
    events: EventQueue


class Lambdas:
    def __init__(self, account: Account, surroundings: Surroundings, retry_delay: float):
        self.account, self.retry_delay = account, retry_delay
        self.workers: Workers = WeakValueDictionary()
        self._surroundings = surroundings
        self._passed = 0.0
        self._live: dict[str, Live] = {}
        self._lock = threading.Lock()

    def of(self, function_arn: str) -> Live:
        with self._lock:
            if function_arn not in self._live:
                running = RunningFunction(self.account, self._surroundings, self.workers, function_arn)
                events = EventQueue(running, self._now, self.retry_delay, self.deliver)
                self._live[function_arn] = Live(running, events)
            return self._live[function_arn]

    def _now(self) -> float:
        return time.monotonic() + self._passed

    def pass_time(self, seconds: float) -> None:
        """Makes every waiting retry happen earlier by this time."""
        self._passed += seconds
        for live in list(self._live.values()):
            with live.running.changed:
                live.running.changed.notify_all()

    def events(self) -> dict[str, int]:
        """The number of unfinished asynchronous events, and of those waiting for a retry."""
        counts = [live.events.count() for live in list(self._live.values())]
        return {"unfinished": sum(one for one, _ in counts), "waiting": sum(one for _, one in counts)}

    def deliver(self, arn: str, event: dict[str, Any]) -> None:
        """Delivers an event to a function or a queue, as a service does."""
        _, _, kind, region, account_id, name = arn.split(":", 5)
        if kind == "lambda":
            function = models.lambda_backends[account_id][region].get_function(arn)
            self.of(function.function_arn).events.submit(json.dumps(event).encode())
        elif kind == "sqs":
            sqs = self.account.client("sqs", region)
            sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"], MessageBody=json.dumps(event))
        else:
            raise ValueError(f"the local cloud cannot deliver to {arn}")

    def policy(self, arn: str) -> dict[str, Any] | None:
        """The policy of a function; None if there is no such function."""
        region, account_id = arn.split(":")[3:5]
        try:
            function = models.lambda_backends[account_id][region].get_function(arn)
        except UnknownFunctionException:
            return None
        return {"Statement": function.policy.statements}

    def stop(self) -> None:
        for live in list(self._live.values()):
            live.running.stop()

    def forget(self, function_arn: str) -> None:
        """Ends the processes of a deleted function, so that one of the same name starts from scratch."""
        with self._lock:
            live = self._live.pop(function_arn, None)
        if live is not None:
            live.running.stop()
