"""Computes an alarm's state from its metrics as CloudWatch does, and refuses what would differ."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.exceptions import ValidationError

from tools.localcloud.cloudwatch.metric_math import Unknown, Value, computed, parsed, statistic

EMITTED = {  # namespace → its only dimension here, and its metrics
    "AWS/Lambda": ("FunctionName", frozenset({
        "Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions",
        "AsyncEventsReceived", "AsyncEventAge", "AsyncEventsDropped", "DestinationDeliveryFailures",
    })),
    "AWS/SQS": ("QueueName", frozenset({"ApproximateNumberOfMessagesVisible"})),
}  # fmt: skip
COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


type Data = dict[tuple[str, str, frozenset[tuple[str, str]]], list[tuple[float, float]]]


def by_metric(backend: Any) -> Data:
    """Namespace, name and dimensions of each metric → when (in seconds) and how much.

    Made once for all alarms: each looks at several windows of several metrics.
    """
    found: Data = {}
    for datum in list(backend.metric_data):
        metric = datum.namespace, datum.name, named(datum.dimensions)
        found.setdefault(metric, []).append((_seconds(datum.timestamp), datum.value))
    return found


def window(data: Data, namespace: str, metric: str, dimensions: list[Any], end: float, period: float) -> list[float]:
    """The values of a metric in (end - period, end]; dimensions must be exactly these, as on AWS."""
    values = data.get((namespace, metric, named(dimensions)), [])
    return [value for at, value in values if end - period < at <= end]


def named(dimensions: list[Any]) -> frozenset[tuple[str, str]]:
    return frozenset((dimension.name, dimension.value) for dimension in dimensions)


def _seconds(when: datetime) -> float:
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def datapoint(data: Data, alarm: Any, end: float) -> Value:
    if not alarm.metric_data_queries:
        values = window(data, alarm.namespace, alarm.metric_name, alarm.dimensions, end, float(alarm.period))
        return statistic(alarm.extended_statistic or alarm.statistic, values)
    known: dict[str, Value] = {}
    for query in _in_order(alarm):
        if query.metric_stat:
            stat, metric = query.metric_stat, query.metric_stat.metric
            values = window(data, metric.namespace, metric.metric_name, metric.dimensions, end, float(stat.period))
            known[query.id] = statistic(stat.stat, values)
        else:
            known[query.id] = computed(parsed(query.expression, known), known)
    [shown] = _returned(alarm)
    return known[shown]


def watched(alarm: Any) -> list[tuple[str, Any]]:
    """The namespaces, and the object with the name and dimensions of each metric."""
    queries = [query.metric_stat.metric for query in alarm.metric_data_queries if query.metric_stat]
    return [(metric.namespace, metric) for metric in queries or [alarm]]


def _in_order(alarm: Any) -> list[Any]:
    """Metrics first, because expressions refer to them."""
    return sorted(alarm.metric_data_queries, key=lambda query: query.metric_stat is None)


def _returned(alarm: Any) -> list[str]:
    return [query.id for query in alarm.metric_data_queries if str(query.return_data).lower() != "false"]


def check(alarm: Any) -> None:
    """Refuses what `Alarms` would evaluate differently from CloudWatch. Raises moto's ValidationError."""
    known: list[str] = []
    try:
        for query in _in_order(alarm):
            if query.metric_stat:
                statistic(query.metric_stat.stat, [])
            else:
                parsed(query.expression, known)
            known.append(query.id)
        if not alarm.metric_data_queries:
            statistic(alarm.extended_statistic or alarm.statistic, [])
        elif len(_returned(alarm)) != 1:
            raise Unknown("several or no metrics that return data")
        if len({str(query.metric_stat.period) for query in alarm.metric_data_queries if query.metric_stat}) > 1:
            raise Unknown("metrics with different periods")
        for namespace, metric in watched(alarm):
            dimension, emitted = EMITTED.get(namespace, ("", frozenset()))
            names = {each.name for each in metric.dimensions}
            if namespace.startswith("AWS/") and (metric.metric_name not in emitted or names != {dimension}):
                raise Unknown(f"{namespace} {metric.metric_name} by {sorted(names)}, which nothing here emits")
        if alarm.comparison_operator not in COMPARISONS:
            raise Unknown(f"the comparison {alarm.comparison_operator}")
        for name in ("unit", "evaluate_low_sample_count_percentile", "threshold_metric_id"):
            if getattr(alarm, name):
                raise Unknown(f"the setting {name}")
        for arn in [*alarm.alarm_actions, *alarm.ok_actions, *alarm.insufficient_data_actions]:
            if arn.split(":")[2] != "sns":
                raise Unknown(f"the action {arn}")
    except Unknown as unknown:
        raise ValidationError(f"The local cloud cannot evaluate the alarm {alarm.name}: {unknown}") from unknown


def evaluated(alarm: Any, points: list[Value]) -> tuple[str, str]:
    """State and reason, from the newest datapoint to the oldest."""
    compare, words = COMPARISONS[alarm.comparison_operator]
    treat = alarm.treat_missing_data or "missing"
    threshold = float(alarm.threshold)
    needed = int(alarm.datapoints_to_alarm or alarm.evaluation_periods)
    breaching = [treat == "breaching" if point is None else compare(point, threshold) for point in points]
    present = [point for point in points if point is not None]
    if not present and treat == "ignore":
        return alarm.state_value, alarm.state_reason
    if not present and treat == "missing":
        return "INSUFFICIENT_DATA", f"Insufficient Data: {len(points)} datapoints were unknown."
    if not present:
        seen = f"no datapoints were received for {len(points)} period(s)"
        state = "ALARM" if sum(breaching) >= needed else "OK"
        return state, f"Threshold Crossed: {seen} and missing data is treated as [{treat}]."
    state = "ALARM" if sum(breaching) >= needed else "OK"
    count = sum(breaching) if state == "ALARM" else len(points) - sum(breaching)
    verb = ("was" if count == 1 else "were") + ("" if state == "ALARM" else " not")
    return state, (
        f"Threshold Crossed: {count} out of the last {len(points)} datapoints {[*map(float, present)]} {verb} {words} "
        f"the threshold ({threshold}) (minimum {needed} datapoint{'s' * (needed > 1)} for OK -> ALARM transition)."
    )
