"""What AWS's own services write to CloudWatch: straight into moto's lists.

Each invocation writes lines and metrics half a dozen times. Over HTTP that took as much of the processor as everything
that the function asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends

from tools.localcloud.account import ACCOUNT_ID


def metrics(region: str, namespace: str, data: list[dict[str, Any]]) -> None:
    """In the form of PutMetricData."""
    now = datetime.now(UTC)
    timed = [datum | {"Timestamp": datum.get("Timestamp", now).replace(tzinfo=None)} for datum in data]  # as moto's are
    cloudwatch_backends[ACCOUNT_ID][region].put_metric_data(namespace, timed)


def lines(region: str, group: str, stream: str, events: list[dict[str, Any]]) -> None:
    """In the form of PutLogEvents."""
    logs_backends[ACCOUNT_ID][region].put_log_events(group, stream, events)
