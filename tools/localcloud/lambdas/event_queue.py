"""The queue of a function's asynchronous events: order, throttling, retries, and the on-failure destination.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import batched
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException

from tools.localcloud.lambdas.running import RunningFunction
from tools.localcloud.lambdas.worker import Outcome

log = logging.getLogger(__name__)

DEFAULT_RETRIES = 2
DEFAULT_EVENT_AGE = 6 * 3600
MAX_THROTTLE_SECONDS = 300.0

Now = Callable[[], float]  # in seconds, on the clock that events wait by
Deliver = Callable[[str, dict[str, Any]], None]  # to an ARN, an event


@dataclass(order=True)
class QueuedEvent:
    """An asynchronous event, ordered by its next attempt."""

    due: float
    number: int
    request_id: str = field(compare=False)
    payload: bytes = field(compare=False)
    received: float = field(compare=False)
    attempts: int = field(default=0, compare=False)
    throttles: int = field(default=0, compare=False)
    tried_again: float = field(default=0.0, compare=False)  # earliest next attempt after it was throttled


class EventQueue:
    """Events of one function, run in its slots. `function.changed` also guards the queue."""

    def __init__(self, function: RunningFunction, now: Now, retry_delay: float, deliver: Deliver):
        self._function, self._now, self._retry_delay, self._deliver = function, now, retry_delay, deliver
        self._output, self._changed = function.output, function.changed
        self._queue: list[QueuedEvent] = []
        self._unfinished = 0
        self._numbers = itertools.count()
        threading.Thread(target=self._take_turns, name=f"{function.name}-queue", daemon=True).start()

    def submit(self, payload: bytes) -> str:
        """Accepts an event. Returns its request id."""
        request_id, now = str(uuid.uuid4()), self._now()
        self._output.metric(AsyncEventsReceived=1)
        with self._changed:
            self._unfinished += 1
            heapq.heappush(self._queue, QueuedEvent(now, next(self._numbers), request_id, payload, now))
            self._changed.notify_all()
        return request_id

    def count(self) -> tuple[int, int]:
        """The number of unfinished events, and of those waiting for a retry."""
        with self._changed:
            return self._unfinished, sum(1 for event in self._queue if event.due > self._now())

    def _take_turns(self) -> None:
        while not self._function.stopped:
            try:
                event = self._next_event()
            except UnknownFunctionException:
                return  # deleted, with its waiting events, as on AWS
            if event is not None:
                threading.Thread(target=self._process, args=(event,), daemon=True).start()

    def _next_event(self) -> QueuedEvent | None:
        with self._changed:
            if not self._queue or self._queue[0].due > self._now():
                self._changed.wait(min(1.0, self._queue[0].due - self._now()) if self._queue else 1.0)
                return None
            limit, reserved = self._function.limit
            expired = self._queue[0].received + self._event_age() < self._now()
            if self._function.busy >= limit and not expired and not self._is_shut():
                if reserved:
                    self._throttle()
                self._changed.wait(0.5)
                return None
            self._function.busy += 1
            return heapq.heappop(self._queue)

    def _is_shut(self) -> bool:
        """With a reserved concurrency of 0, Lambda gives up on every new event immediately, without an attempt.
        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
        return self._function.limit == (0, True)

    def _throttle(self) -> None:
        """Lambda retries throttled events after a second, then at growing intervals of up to five minutes, and reports
        the age of an event at each attempt. Here the first event in the queue runs as soon as there is capacity."""
        now = self._now()
        refused = [one for one in self._queue if max(one.due, one.tried_again) <= now]
        for event in refused:
            event.throttles += 1
            event.tried_again = now + min(2.0 ** (event.throttles - 1), MAX_THROTTLE_SECONDS)
        for some in batched(refused, 150, strict=False):  # maximum number of values per datum
            self._output.metric(Throttles=len(some), AsyncEventAge=[(now - one.received) * 1000 for one in some])

    def _process(self, event: QueuedEvent) -> None:
        try:
            ended = self._try(event)
        except UnknownFunctionException:
            log.info("%s was deleted while it processed event %s", self._function.name, event.request_id)
            ended = True
        except Exception:
            log.exception("event %s of %s", event.request_id, self._function.name)
            ended = True
        with self._changed:
            if ended:
                self._unfinished -= 1
            else:  # AWS: after one minute, then after two
                event.due = self._now() + self._retry_delay * event.attempts
                heapq.heappush(self._queue, event)
            self._changed.notify_all()

    def _try(self, event: QueuedEvent) -> bool:
        """Runs the event in its slot; returns whether this was the last attempt."""
        age = self._now() - event.received
        if age > self._event_age() or self._is_shut():
            self._function.give_back()
            condition = (
                "EventAgeExceeded" if age > self._event_age() else "RetriesExhausted"
            )  # the only one that AWS documents
            self._give_up(event, condition, None)
            return True
        self._output.metric(AsyncEventAge=age * 1000)
        event.attempts += 1
        outcome = self._run(event)
        if not outcome.error:
            return True
        if event.attempts <= self._configured().get("MaximumRetryAttempts", DEFAULT_RETRIES):
            return False
        self._give_up(event, "RetriesExhausted", outcome)
        return True

    def _run(self, event: QueuedEvent) -> Outcome:
        try:
            return self._function.run(event.request_id, event.payload, event.attempts)
        except Exception as error:
            log.exception("event %s of %s could not be run", event.request_id, self._function.name)
            told = {"errorType": "Service.Unknown", "errorMessage": f"the local cloud failed: {error}"}
            return Outcome(json.dumps(told).encode(), "Unhandled")  # the event is retried and kept, never lost

    def _configured(self) -> dict[str, Any]:
        configured = self._function.declared.event_invoke_config
        return dict(configured[-1].config) if configured else {}

    def _event_age(self) -> float:
        return float(self._configured().get("MaximumEventAgeInSeconds", DEFAULT_EVENT_AGE))

    def _give_up(self, event: QueuedEvent, condition: str, outcome: Outcome | None) -> None:
        self._output.metric(AsyncEventsDropped=1)
        target = self._configured().get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if not target:
            return
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requestContext": {
                "requestId": event.request_id,
                "functionArn": f"{self._function.arn}:$LATEST",
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
            self._deliver(target, record)
        except Exception:
            self._output.metric(DestinationDeliveryFailures=1)
            log.exception("on-failure destination %s", target)
