"""Runs one function: its warm workers, and its concurrency."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from typing import Any
from weakref import WeakValueDictionary

from moto.awslambda import models
from moto.core.exceptions import ServiceException

from tools.localcloud.account import Account
from tools.localcloud.lambdas.output import FunctionOutput
from tools.localcloud.lambdas.runtime_api import Invocation
from tools.localcloud.lambdas.surroundings import Surroundings
from tools.localcloud.lambdas.worker import Outcome, Worker

UNRESERVED_WORKERS = 2  # limit for a function without reserved concurrency, for a small machine

Workers = WeakValueDictionary[str, Worker]  # by the session token in their requests


class TooManyRequests(ServiceException):  # type: ignore[misc]  # moto's class is untyped to mypy
    code = "TooManyRequestsException"
    message = "Rate Exceeded."


class RunningFunction:
    """The workers of one function. `changed` guards `busy`, the number of slots in use."""

    def __init__(self, account: Account, surroundings: Surroundings, workers: Workers, arn: str):
        self.arn, self.name = arn, arn.rpartition(":")[2]
        self._region, self._account_id = arn.split(":")[3:5]
        self._surroundings, self._workers = surroundings, workers
        self.output = FunctionOutput(account, self._region, self.name)
        self.changed = threading.Condition()
        self.busy = 0
        self.stopped = False
        self._idle: list[tuple[str, Worker]] = []
        self._all: set[Worker] = set()

    @property
    def declared(self) -> Any:
        """moto's function with its current configuration. Raises moto's UnknownFunctionException once it is deleted."""
        return models.lambda_backends[self._account_id][self._region].get_function(self.name)

    @property
    def limit(self) -> tuple[int, bool]:
        """The maximum number of concurrent invocations, and whether that is reserved."""
        reserved = self.declared.reserved_concurrency
        return (UNRESERVED_WORKERS, False) if reserved is None else (int(reserved), True)

    def run_now(self, payload: bytes) -> tuple[str, Outcome]:
        """RequestResponse: throttled beyond the reserved concurrency; without one, waits for a worker. Also returns the
        request ID."""
        with self.changed:
            while self.busy >= (limit := self.limit)[0]:
                if limit[1]:
                    self.output.metric(Throttles=1)
                    raise TooManyRequests()
                self.changed.wait(1)
            self.busy += 1
        request_id = str(uuid.uuid4())
        return request_id, self.run(request_id, payload)

    def run(self, request_id: str, payload: bytes, attempt: int = 1) -> Outcome:
        """Runs in a slot that the caller took, and frees the slot."""
        try:
            self.output.metric(ConcurrentExecutions=self.busy)
            function = self.declared
            signature, worker = self._worker(function)
            with self.output.of(worker, request_id, function) as report:
                timeout = float(function.timeout)
                outcome = worker.invoke(Invocation(request_id, payload, self.arn, timeout, attempt))
                report(outcome)
            with self.changed:
                if worker.alive and not self.stopped:
                    self._idle.append((signature, worker))
                else:
                    self._drop(worker)
            return outcome
        finally:
            self.give_back()

    def give_back(self) -> None:
        """Frees a slot."""
        with self.changed:
            self.busy -= 1
            self.changed.notify_all()

    def _worker(self, function: Any) -> tuple[str, Worker]:
        """A warm worker of this configuration, or a new one; outdated ones are ended."""
        signature = _signature(function)
        with self.changed:
            for entry in self._idle[:]:
                if entry[0] != signature or not entry[1].alive:
                    self._idle.remove(entry)
                    self._drop(entry[1])
            if self._idle:
                return self._idle.pop()
        stream, token = self.output.new_stream(function), uuid.uuid4().hex
        worker = Worker(
            function.handler,
            self._surroundings.environ(function, self.output.log_group(function), stream, token),
            int(function.memory_size) << 20,
            self.output.line_sink(stream),
        )
        self.output.belongs(worker, stream)
        self._workers[token] = worker
        with self.changed:
            self._all.add(worker)
        return signature, worker

    def _drop(self, worker: Worker) -> None:
        self._all.discard(worker)
        worker.kill()

    def stop(self) -> None:
        """Ends every worker and its invocation."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()
            for worker in self._all:
                worker.kill()


def _signature(function: Any) -> str:
    """A value that changes with any setting that requires a new worker."""
    settings = [function.code_sha_256, function.handler, function.environment_vars, function.memory_size,
                function.role, function.logging_config]  # fmt: skip
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
