"""A function's output: log lines in its log group, embedded metrics, and Lambda's own metrics."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tools.localcloud.account import Account
from tools.localcloud.cloudwatch import writing
from tools.localcloud.lambdas.embedded_metrics import metric_data
from tools.localcloud.lambdas.worker import Outcome, Worker

log = logging.getLogger(__name__)

UNITS = {"Duration": "Milliseconds", "AsyncEventAge": "Milliseconds"}  # everything else is counted
FLUSH_SECONDS = 0.2  # lines are in CloudWatch within this time, even during the invocation
TAIL_LINES = 60


class FunctionOutput:
    """The log and the metrics of one function. Lines are batched, because a call for each would be slow."""

    def __init__(self, account: Account, region: str, name: str):
        self.account, self.region, self.name = account, region, name
        self._lines: list[tuple[str, str, int, str]] = []  # group, stream, milliseconds, text
        self._groups: dict[str, str] = {}  # stream → group
        self._streams: dict[Worker, str] = {}
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._collecting, self._flushing = threading.Lock(), threading.Lock()
        threading.Thread(target=self._flush_regularly, name=f"{name}-log", daemon=True).start()

    def log_group(self, function: Any) -> str:
        return str(function.logging_config.get("LogGroup") or f"/aws/lambda/{self.name}")

    def new_stream(self, function: Any) -> str:
        """A stream for one worker. A missing group is not created, because the role does not allow that, so Lambda
        would lose the lines too."""
        stream, group = f"{time.strftime('%Y/%m/%d')}/[$LATEST]{uuid.uuid4().hex}", self.log_group(function)
        logs = self.account.client("logs", self.region)
        try:
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            self._groups[stream] = group
        except logs.exceptions.ResourceNotFoundException:
            log.warning("the log group %s of %s does not exist; its lines are lost", group, self.name)
        self._add(stream, f"INIT_START Runtime Version: {function.run_time} on this machine")
        return stream

    def belongs(self, worker: Worker, stream: str) -> None:
        self._streams[worker] = stream

    def line_sink(self, stream: str) -> Callable[[str], None]:
        return lambda line: self._add(stream, line)

    def _add(self, stream: str, line: str) -> None:
        with self._collecting:
            self._tail.append(line)
            self._lines.append((self._groups.get(stream, ""), stream, time.time_ns() // 1_000_000, line))

    def tail(self) -> bytes:
        return "\n".join(self._tail).encode()[-4096:]

    @contextlib.contextmanager
    def of(self, worker: Worker, request_id: str, function: Any) -> Iterator[Callable[[Outcome], None]]:
        """Writes Lambda's lines and metrics for one invocation, all of which are in CloudWatch when it ends."""
        stream, cold, began = self._streams[worker], worker.init_seconds is None, datetime.now(UTC)
        self._add(stream, f"START RequestId: {request_id} Version: $LATEST")

        def report(outcome: Outcome) -> None:
            self._add(stream, f"END RequestId: {request_id}")
            milliseconds = outcome.seconds * 1000
            line = (
                f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
                f"Billed Duration: {int(milliseconds) + 1} ms\tMemory Size: {function.memory_size} MB\t"
                f"Max Memory Used: {(outcome.peak_bytes >> 20) + 1} MB"
            )
            if cold and outcome.init_seconds is not None:
                line += f"\tInit Duration: {outcome.init_seconds * 1000:.2f} ms"
            if outcome.error:
                line += "\tStatus: error"
            self._add(stream, line)
            self.flush()
            # "The timestamp on a metric reflects when the function was invoked", minutes before it arrives.
            # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
            self.metric(began, Invocations=1, Errors=1 if outcome.error else 0, Duration=milliseconds)

        yield report
        if not worker.alive:
            self._streams.pop(worker, None)

    def metric(self, at: datetime | None = None, **values: float | list[float]) -> None:
        """Writes values of Lambda's own metrics by name, for now or another time."""
        writing.metrics(
            self.region,
            "AWS/Lambda",
            [
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": "FunctionName", "Value": self.name}],
                    "Values": [float(one) for one in (value if isinstance(value, list) else [value])],
                    "Unit": UNITS.get(name, "Count"),
                    "Timestamp": at or datetime.now(UTC),
                }
                for name, value in values.items()
            ],
        )

    def _flush_regularly(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            if self._lines:
                with contextlib.suppress(Exception):  # the server is shutting down
                    self.flush()

    def flush(self) -> None:
        with self._flushing:
            with self._collecting:
                lines, self._lines = self._lines, []
            for group, stream in dict.fromkeys((group, stream) for group, stream, _, _ in lines if group):
                events = [{"timestamp": at, "message": text} for g, s, at, text in lines if (g, s) == (group, stream)]
                writing.lines(self.region, group, stream, events)
            for _, _, _, text in lines:
                for namespace, data in metric_data(text):
                    writing.metrics(self.region, namespace, data)
