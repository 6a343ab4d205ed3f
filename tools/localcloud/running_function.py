"""One function at work: its warm workers, its concurrency, and the queue of its asynchronous events."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import logging
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING, Any

from moto.awslambda import models
from moto.awslambda.exceptions import UnknownFunctionException
from moto.core.exceptions import ServiceException

from tools.localcloud.function_output import FunctionOutput
from tools.localcloud.runtime_api import Invocation, Outcome, Worker

if TYPE_CHECKING:
    from tools.localcloud.functions import Lambdas

log = logging.getLogger(__name__)

UNRESERVED_WORKERS = 2  # a function without reserved concurrency may take this much of a small machine
DEFAULT_RETRIES = 2
DEFAULT_EVENT_AGE = 6 * 3600
MAX_THROTTLE_SECONDS = 300.0


class TooManyRequests(ServiceException):  # type: ignore[misc]  # moto's class is untyped to mypy
    code = "TooManyRequestsException"
    message = "Rate Exceeded."


@dataclass(order=True)
class QueuedEvent:
    """An asynchronous event, in the order in which its turns come."""

    due: float
    number: int
    request_id: str = field(compare=False)
    payload: bytes = field(compare=False)
    received: float = field(compare=False)
    attempts: int = field(default=0, compare=False)
    throttles: int = field(default=0, compare=False)
    tried_again: float = field(default=0.0, compare=False)  # not before, once it was throttled


class RunningFunction:
    """The workers and the event queue of one function."""

    def __init__(self, lambdas: Lambdas, name: str, region: str, account_id: str):
        self.lambdas, self.name, self.region, self.account_id = lambdas, name, region, account_id
        self.output = FunctionOutput(lambdas.account, region, name)
        self._changed = threading.Condition()
        self._queue: list[QueuedEvent] = []
        self._idle: list[tuple[str, Worker]] = []
        self._all: set[Worker] = set()
        self._busy = self._unfinished = 0
        self._numbers = itertools.count()
        self._stopped = False
        threading.Thread(target=self._take_turns, name=f"{name}-queue", daemon=True).start()

    @property
    def declared(self) -> Any:
        """moto's function, with whatever has been configured by now."""
        return models.lambda_backends[self.account_id][self.region].get_function(self.name)

    def _limit(self) -> tuple[int, bool]:
        reserved = self.declared.reserved_concurrency
        return (UNRESERVED_WORKERS, False) if reserved is None else (int(reserved), True)

    def _is_stopped(self) -> bool:
        """With a reserved concurrency of 0 Lambda gives every new event up at once, without a try.
        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
        return self._limit() == (0, True)

    # Invocations

    def run_now(self, payload: bytes) -> Outcome:
        """RequestResponse: throttled beyond the reserved concurrency; without one it waits for a worker."""
        with self._changed:
            while self._busy >= (limit := self._limit())[0]:
                if limit[1]:
                    self.output.metric(Throttles=1)
                    raise TooManyRequests()
                self._changed.wait(1)
            self._busy += 1
        return self._run(str(uuid.uuid4()), payload)

    def _run(self, request_id: str, payload: bytes, attempt: int = 1) -> Outcome:
        """Run in a free slot that the caller has taken, and give the slot back."""
        try:
            self.output.metric(ConcurrentExecutions=self._busy)
            function = self.declared
            signature, worker = self._worker(function)
            with self.output.of(worker, request_id, function, cold=worker.init_seconds is None) as report:
                timeout = float(function.timeout)
                outcome = worker.invoke(Invocation(request_id, payload, function.function_arn, timeout, attempt))
                report(outcome)
            with self._changed:
                if worker.alive and not self._stopped:
                    self._idle.append((signature, worker))
                else:
                    self._all.discard(worker)
                    worker.kill()
            return outcome
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _worker(self, function: Any) -> tuple[str, Worker]:
        signature = _signature(function)
        with self._changed:
            for entry in self._idle[:]:  # a worker of an older configuration is of no use any more
                if entry[0] != signature or not entry[1].alive:
                    self._idle.remove(entry)
                    self._all.discard(entry[1])
                    entry[1].kill()
            if self._idle:
                return self._idle.pop()
        task_root = self.lambdas.unzipped(function)
        stream, token = self.output.new_stream(function), uuid.uuid4().hex
        worker = Worker(
            function.handler,
            self.lambdas.environment(function, task_root, stream, token),
            int(function.memory_size) << 20,
            self.output.line_sink(stream),
        )
        self.output.belongs(worker, stream)
        self.lambdas.workers[token] = worker
        with self._changed:
            self._all.add(worker)
        return signature, worker

    # Asynchronous events

    def submit(self, payload: bytes) -> str:
        request_id = str(uuid.uuid4())
        now = self.lambdas.now()
        self.output.metric(AsyncEventsReceived=1)
        with self._changed:
            self._unfinished += 1
            heapq.heappush(self._queue, QueuedEvent(now, next(self._numbers), request_id, payload, now))
            self._changed.notify_all()
        return request_id

    def _take_turns(self) -> None:
        while not self._stopped:
            try:
                event = self._next_event()
            except UnknownFunctionException:
                return  # deleted; what waits is gone with it, as on AWS
            if event is not None:
                threading.Thread(target=self._process, args=(event,), daemon=True).start()

    def _next_event(self) -> QueuedEvent | None:
        with self._changed:
            if not self._queue or self._queue[0].due > self.lambdas.now():
                self._changed.wait(min(1.0, self._queue[0].due - self.lambdas.now()) if self._queue else 1.0)
                return None
            limit, reserved = self._limit()
            expired = self._queue[0].received + self._event_age() < self.lambdas.now()
            if self._busy >= limit and not expired and not self._is_stopped():
                if reserved:
                    self._throttle()
                self._changed.wait(0.5)
                return None
            self._busy += 1
            return heapq.heappop(self._queue)

    def _throttle(self) -> None:
        """Lambda tries what it has no room for after a second, then ever later, up to five minutes, and tells the age
        of an event at each try. Here whatever is first in the queue runs as soon as there is room."""
        now = self.lambdas.now()
        refused = [one for one in self._queue if max(one.due, one.tried_again) <= now]
        for event in refused:
            event.throttles += 1
            event.tried_again = now + min(2.0 ** (event.throttles - 1), MAX_THROTTLE_SECONDS)
        for some in batched(refused, 150, strict=False):  # values that one datum takes
            self.output.metric(Throttles=len(some), AsyncEventAge=[(now - one.received) * 1000 for one in some])

    def look(self) -> None:
        """Time has passed: look whether an event is due."""
        with self._changed:
            self._changed.notify_all()

    def count(self) -> tuple[int, int]:
        """Asynchronous events that have not come to their end, and those of them whose time has not come."""
        with self._changed:
            return self._unfinished, sum(1 for event in self._queue if event.due > self.lambdas.now())

    def _process(self, event: QueuedEvent) -> None:
        try:
            ended = self._try(event)
        except UnknownFunctionException:
            log.info("%s was deleted while it worked on event %s", self.name, event.request_id)
            ended = True
        except Exception:
            log.exception("event %s of %s", event.request_id, self.name)
            ended = True
        with self._changed:
            if ended:
                self._unfinished -= 1
            else:
                event.due = self.lambdas.now() + self.lambdas.retry_delay * event.attempts  # AWS: one minute, then two
                heapq.heappush(self._queue, event)
            self._changed.notify_all()

    def _try(self, event: QueuedEvent) -> bool:
        """Run the event once more; whether that was the last time."""
        age = self.lambdas.now() - event.received
        if age > self._event_age() or self._is_stopped():
            with self._changed:
                self._busy -= 1
            condition = "EventAgeExceeded" if age > self._event_age() else "RetriesExhausted"  # AWS documents no other
            self._give_up(event, condition, None)
            return True
        self.output.metric(AsyncEventAge=age * 1000)
        event.attempts += 1
        outcome = self._run_or_fail(event)
        if not outcome.error:
            return True
        if event.attempts <= self._asynchronously().get("MaximumRetryAttempts", DEFAULT_RETRIES):
            return False
        self._give_up(event, "RetriesExhausted", outcome)
        return True

    def _run_or_fail(self, event: QueuedEvent) -> Outcome:
        try:
            return self._run(event.request_id, event.payload, event.attempts)
        except Exception as error:
            log.exception("event %s of %s could not be run", event.request_id, self.name)
            told = {"errorType": "Service.Unknown", "errorMessage": f"the local cloud failed: {error}"}
            return Outcome(json.dumps(told).encode(), "Unhandled")  # an event is retried and kept, never lost

    def _asynchronously(self) -> dict[str, Any]:
        configured = self.declared.event_invoke_config
        return dict(configured[-1].config) if configured else {}

    def _event_age(self) -> float:
        return float(self._asynchronously().get("MaximumEventAgeInSeconds", DEFAULT_EVENT_AGE))

    def _give_up(self, event: QueuedEvent, condition: str, outcome: Outcome | None) -> None:
        self.output.metric(AsyncEventsDropped=1)
        target = self._asynchronously().get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if not target:
            return
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requestContext": {
                "requestId": event.request_id,
                "functionArn": f"{self.declared.function_arn}:$LATEST",
                "condition": condition,
                "approximateInvokeCount": event.attempts,
            },
            "requestPayload": json.loads(event.payload or b"{}"),
        }
        if outcome is not None:
            record["responseContext"] = {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": outcome.error,
            }
            record["responsePayload"] = json.loads(outcome.payload)
        try:
            self.lambdas.deliver(target.split(":")[2], target, record)
        except Exception:
            self.output.metric(DestinationDeliveryFailures=1)
            log.exception("on-failure destination %s", target)

    def stop(self) -> None:
        self._stopped = True
        with self._changed:
            self._changed.notify_all()
            for worker in self._all:
                worker.kill()


def _signature(function: Any) -> str:
    """Changes with whatever a running worker would not notice."""
    settings = [function.code_sha_256, function.handler, function.environment_vars, function.memory_size,
                function.role, getattr(function, "logging_config", {})]  # fmt: skip
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
