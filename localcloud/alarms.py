"""CloudWatch alarms that ring: moto stores alarms and never looks at a metric.

Evaluated every second over windows that end now, so that nobody waits for a period to be over. On AWS periods
are aligned to the clock and data arrives a minute late: the same values lead to the same states there, later.
"""

from __future__ import annotations

import ast
import json
import logging
import math
import operator
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.session import get_session
from moto.cloudwatch import models, responses
from moto.sqs.models import sqs_backends

from localcloud.account import ACCOUNT_ID, Account

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
QUEUE_SECONDS = 30.0  # how often an unchanged queue reports its depth
HELD_SECONDS = 10.0  # a state set by hand (set-alarm-state) lasts this long; on AWS until the next evaluation

COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Eq: operator.eq,
}  # fmt: skip

Value = float | None  # None: no data


def statistic(name: str, values: list[float]) -> Value:
    if not values:
        return 0.0 if name == "SampleCount" else None
    if name.startswith("p"):
        return sorted(values)[max(math.ceil(float(name[1:]) / 100 * len(values)) - 1, 0)]
    simple: dict[str, Callable[[list[float]], float]] = {
        "Sum": sum, "Minimum": min, "Maximum": max, "SampleCount": len, "Average": lambda v: sum(v) / len(v),
    }  # fmt: skip
    return float(simple[name](values))


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
    waiting = list(alarm.metric_data_queries)
    for query in [q for q in waiting if q.metric_stat] + [q for q in waiting if not q.metric_stat]:
        if query.metric_stat:
            stat, metric = query.metric_stat, query.metric_stat.metric
            values = window(backend, metric.namespace, metric.metric_name, metric.dimensions, end, float(stat.period))
            known[query.id] = statistic(stat.stat, values)
        else:
            known[query.id] = _computed(ast.parse(query.expression, mode="eval").body, known)
    shown = [q.id for q in waiting if str(q.return_data).lower() != "false"]
    return known[shown[0]]


def _computed(node: ast.expr, known: dict[str, Value]) -> Any:
    """Metric math, as far as alarms here need it: arithmetic, comparisons, FILL and IF. Anything else is loud."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return known[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _computed(operand, known)
            return None if value is None else -value
        case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
            a, b = _computed(left, known), _computed(right, known)
            return (
                None if a is None or b is None or (isinstance(op, ast.Div) and b == 0) else ARITHMETIC[type(op)](a, b)
            )
        case ast.Call(func=ast.Name(id="FILL"), args=[value, filler]):
            found = _computed(value, known)
            return _computed(filler, known) if found is None else found
        case ast.Call(func=ast.Name(id="IF"), args=[test, yes, *no]):
            chosen = [yes] if _computed(test, known) else no
            return _computed(chosen[0], known) if chosen else None
    raise ValueError(f"metric math that the local cloud does not know: {ast.unparse(node)}")


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
        if alarm.namespace == "AWS/SQS":
            self._report_queue(region, alarm)
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
            if arn.split(":")[2] != "sns":
                raise ValueError(f"the local cloud cannot carry out the alarm action {arn}")
            self._publish(region, alarm, before, arn)

    def _publish(self, region: str, alarm: Any, before: str, topic_arn: str) -> None:
        place = region_name(region)
        message = {
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.description,
            "AWSAccountId": ACCOUNT_ID,
            "AlarmConfigurationUpdatedTimestamp": alarm.configuration_updated_timestamp.isoformat() + "+0000",
            "NewStateValue": alarm.state_value,
            "NewStateReason": alarm.state_reason,
            "StateChangeTime": alarm.state_updated_timestamp.isoformat() + "+0000",
            "Region": place,
            "AlarmArn": alarm.alarm_arn,
            "OldStateValue": before,
            "OKActions": alarm.ok_actions,
            "AlarmActions": alarm.alarm_actions,
            "InsufficientDataActions": alarm.insufficient_data_actions,
            "Trigger": {
                "MetricName": alarm.metric_name,
                "Namespace": alarm.namespace,
                "StatisticType": "ExtendedStatistic" if alarm.extended_statistic else "Statistic",
                "Statistic": alarm.extended_statistic or (alarm.statistic or "").upper(),
                "Unit": alarm.unit,
                "Dimensions": [{"value": d.value, "name": d.name} for d in alarm.dimensions],
                "Period": alarm.period,
                "EvaluationPeriods": alarm.evaluation_periods,
                "DatapointsToAlarm": alarm.datapoints_to_alarm,
                "ComparisonOperator": alarm.comparison_operator,
                "Threshold": alarm.threshold,
                "TreatMissingData": alarm.treat_missing_data or "",
            },
        }
        prose = (
            f'You are receiving this email because your Amazon CloudWatch Alarm "{alarm.name}" in the {place} region '
            f'has entered the {alarm.state_value} state, because "{alarm.state_reason}" '
            f'at "{alarm.state_updated_timestamp:%A %d %B, %Y %H:%M:%S} UTC".\n\nAlarm Details:\n'
            f"- Name:          {alarm.name}\n- Description:   {alarm.description}\n"
            f"- State Change:  {before} -> {alarm.state_value}\n- Reason:        {alarm.state_reason}\n"
            f"- AWS Account:   {ACCOUNT_ID}\n- Alarm Arn:     {alarm.alarm_arn}\n"
        )
        self.account.client("sns", region).publish(
            TopicArn=topic_arn,
            Subject=f'{alarm.state_value}: "{alarm.name}" in {place}'[:100],
            MessageStructure="json",
            Message=json.dumps({"default": json.dumps(message), "email": prose}),
        )

    def _report_queue(self, region: str, alarm: Any) -> None:
        """SQS reports a queue's depth to CloudWatch; here, the depth of the queues that an alarm watches."""
        name = next(d.value for d in alarm.dimensions if d.name == "QueueName")
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


def region_name(region: str) -> str:
    """ "eu-central-1" → "EU (Frankfurt)", as alarm messages call it."""
    for partition in get_session().get_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return str(partition["regions"][region]["description"]).replace("Europe", "EU")
    return region
