"""CloudWatch alarms that ring: moto stores alarms and never looks at a metric.

Evaluated every second over windows that end now, as AWS's sliding windows do every minute; there data arrives a
minute late, so that the same values lead to the same states later. An alarm that could not be evaluated so is refused.
"""

from __future__ import annotations

import json
import logging
import operator
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch import models, responses
from moto.cloudwatch.exceptions import ValidationError
from moto.sqs.models import sqs_backends

from tools.localcloud import keys
from tools.localcloud.account import ACCOUNT_ID, Account
from tools.localcloud.cloudwatch import alarm_messages
from tools.localcloud.cloudwatch.metric_math import Unknown, Value, computed, parsed, statistic

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
QUEUE_SECONDS = 30.0  # how often an unchanged queue reports its depth
HELD_SECONDS = 10.0  # a state set by hand (set-alarm-state) lasts this long; on AWS until the next evaluation

EMITTED = {  # namespace → its one dimension here, and the metrics that there are
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


def window(backend: Any, namespace: str, metric: str, dimensions: list[Any], end: float, period: float) -> list[float]:
    """The values of a metric in (end - period, end]; dimensions must be exactly these, as on AWS."""
    wanted = _named(dimensions)
    return [
        datum.value
        for datum in list(backend.metric_data)
        if datum.name == metric
        and datum.namespace == namespace
        and end - period < _seconds(datum.timestamp) <= end
        and _named(datum.dimensions) == wanted
    ]


def _named(dimensions: list[Any]) -> set[tuple[str, str]]:
    return {(dimension.name, dimension.value) for dimension in dimensions}


def _seconds(when: datetime) -> float:
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def datapoint(backend: Any, alarm: Any, end: float) -> Value:
    if not alarm.metric_data_queries:
        values = window(backend, alarm.namespace, alarm.metric_name, alarm.dimensions, end, float(alarm.period))
        return statistic(alarm.extended_statistic or alarm.statistic, values)
    known: dict[str, Value] = {}
    for query in _in_order(alarm):
        if query.metric_stat:
            stat, metric = query.metric_stat, query.metric_stat.metric
            values = window(backend, metric.namespace, metric.metric_name, metric.dimensions, end, float(stat.period))
            known[query.id] = statistic(stat.stat, values)
        else:
            known[query.id] = computed(parsed(query.expression, known), known)
    [shown] = _returned(alarm)
    return known[shown]


def _watched(alarm: Any) -> list[tuple[str, Any]]:
    """The namespaces, and what has the name and the dimensions of each metric."""
    queries = [query.metric_stat.metric for query in alarm.metric_data_queries if query.metric_stat]
    return [(metric.namespace, metric) for metric in queries or [alarm]]


def _in_order(alarm: Any) -> list[Any]:
    """Metrics first: expressions refer to them."""
    return sorted(alarm.metric_data_queries, key=lambda query: query.metric_stat is None)


def _returned(alarm: Any) -> list[str]:
    return [query.id for query in alarm.metric_data_queries if str(query.return_data).lower() != "false"]


def check(alarm: Any) -> None:
    """Refuses what `Alarms` would evaluate otherwise than CloudWatch does. Raises moto's ValidationError."""
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
            raise Unknown("metrics of which not exactly one returns data")
        if len({str(query.metric_stat.period) for query in alarm.metric_data_queries if query.metric_stat}) > 1:
            raise Unknown("metrics of several periods")
        for namespace, metric in _watched(alarm):
            dimension, emitted = EMITTED.get(namespace, ("", frozenset()))
            named = {each.name for each in metric.dimensions}
            if namespace.startswith("AWS/") and (metric.metric_name not in emitted or named != {dimension}):
                raise Unknown(f"{namespace} {metric.metric_name} by {sorted(named)}, which nothing here emits")
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


class Alarms:
    def __init__(self, account: Account):
        self.account = account
        self._depths: dict[tuple[str, str], tuple[float, float]] = {}  # queue → depth, when it was reported
        self._evaluating = threading.Lock()
        self._held: dict[str, float] = {}

    def evaluate(self) -> None:
        with self._evaluating:
            for region, backend in list(models.cloudwatch_backends[ACCOUNT_ID].items()):
                for alarm in list(backend.alarms.values()):
                    if alarm.rule is not None or self._held.get(alarm.alarm_arn, 0) > time.monotonic():
                        continue
                    try:
                        self._evaluate(region, backend, alarm)
                    except Exception:
                        log.exception("alarm %s", alarm.name)

    def _evaluate(self, region: str, backend: Any, alarm: Any) -> None:
        for namespace, metric in _watched(alarm):
            if namespace == "AWS/SQS":
                self._report_queue(region, metric)
        now = time.time()
        period = float(alarm.period or 0) or max(
            float(q.metric_stat.period) for q in alarm.metric_data_queries if q.metric_stat
        )
        points = [datapoint(backend, alarm, now - i * period) for i in range(int(alarm.evaluation_periods))]
        state, reason = evaluated(alarm, points)
        if state != alarm.state_value:
            # AWS needs a minute to find out that a new alarm is OK, and by then nobody has confirmed a
            # subscription: that first message reaches nobody, so it is not sent.
            silent = alarm.state_reason.startswith("Unchecked") and state == "OK"
            self._turn(region, alarm, state, reason, silent)

    def _turn(self, region: str, alarm: Any, state: str, reason: str, silent: bool = False) -> None:
        before = alarm.state_value
        _plain_update(alarm, reason, json.dumps({"version": "1.0", "recentReason": reason}), state)
        actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions}.get(state, alarm.insufficient_data_actions)
        for arn in actions if alarm.actions_enabled and not silent else []:
            self._publish(region, alarm, before, arn)

    def _publish(self, region: str, alarm: Any, before: str, topic_arn: str) -> None:
        if not keys.opens_topic(topic_arn, alarm.alarm_arn):
            log.error("%s does not ring: the key of %s lets no CloudWatch alarm use it", alarm.name, topic_arn)
            return
        self.account.client("sns", region).publish(TopicArn=topic_arn, **alarm_messages.written(alarm, region, before))

    def pass_time(self, seconds: float) -> None:
        """All data becomes so much older, and every queue reports again, as SQS does each minute."""
        with self._evaluating:
            self._depths.clear()
            for backend in models.cloudwatch_backends[ACCOUNT_ID].values():
                for datum in list(backend.metric_data):
                    datum.timestamp -= timedelta(seconds=seconds)

    def _report_queue(self, region: str, metric: Any) -> None:
        """SQS reports a queue's depth to CloudWatch; here, the depth of the queues that an alarm watches."""
        name = next(d.value for d in metric.dimensions if d.name == "QueueName")
        queue = sqs_backends[ACCOUNT_ID][region].queues.get(name)
        if queue is None:
            return
        depth, now = float(queue.approximate_number_of_messages), time.monotonic()
        last_depth, reported = self._depths.get((region, name), (-1.0, 0.0))
        if depth != last_depth or now - reported > QUEUE_SECONDS:
            self._depths[region, name] = depth, now
            datum = {
                "MetricName": "ApproximateNumberOfMessagesVisible",
                "Dimensions": [{"Name": "QueueName", "Value": name}],
                "Value": depth,
                "Unit": "Count",
            }
            self.account.client("cloudwatch", region).put_metric_data(Namespace="AWS/SQS", MetricData=[datum])

    def _run(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            self.evaluate()

    def install(self) -> None:
        plain_init, plain_describe = models.Alarm.__init__, responses.CloudWatchResponse.describe_alarms

        def init(alarm: Any, *args: Any, **kwargs: Any) -> None:
            plain_init(alarm, *args, **kwargs)
            if alarm.rule is None:
                check(alarm)
            alarm.state_value = "INSUFFICIENT_DATA"  # moto begins with OK, AWS does not

        def describe_alarms(response: Any) -> Any:
            self.evaluate()
            return plain_describe(response)

        def set_by_hand(alarm: Any, reason: str, reason_data: str, state_value: str) -> None:
            self._held[alarm.alarm_arn] = time.monotonic() + HELD_SECONDS
            self._turn(alarm.region_name, alarm, state_value, reason)

        def get_statistics_for_type(found: Any, stat: str) -> Any:
            values = found.metric_single_values_list
            return statistic(stat, values) if stat.startswith("p") else plain_statistic(found, stat)

        # moto compares dimensions in a way that fails for two of them, and knows no percentiles.
        plain_statistic = models.Statistics.get_statistics_for_type
        models.Statistics.get_statistics_for_type = get_statistics_for_type
        models.are_dimensions_same = lambda one, other: _named(one) == _named(other)
        models.Dimension.__lt__ = lambda one, other: (one.name, one.value) < (other.name, other.value)
        models.Alarm.__init__ = init
        models.Alarm.update_state = set_by_hand
        responses.CloudWatchResponse.describe_alarms = describe_alarms
        threading.Thread(target=self._run, name="alarms", daemon=True).start()


_plain_update = models.Alarm.update_state
