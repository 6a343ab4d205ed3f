"""CloudWatch alarms with notifications: moto stores alarms but does not evaluate them.

They are evaluated every second over windows that end now. AWS does this every minute, with data that arrives a minute
late, so the same values lead to the same states later.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from datetime import timedelta
from typing import Any

from moto.cloudwatch import models, responses
from moto.sqs.models import sqs_backends

from tools.localcloud import keys
from tools.localcloud.account import ACCOUNT_ID, Account
from tools.localcloud.cloudwatch import alarm_messages, writing
from tools.localcloud.cloudwatch.evaluation import Data, by_metric, check, datapoint, evaluated, named, watched

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
QUEUE_SECONDS = 30.0  # how often an unchanged queue reports its depth
HELD_SECONDS = 10.0  # how long a state from set-alarm-state lasts; on AWS, until the next evaluation


class Alarms:
    def __init__(self, account: Account):
        self.account = account
        self._depths: dict[tuple[str, str], tuple[float, float]] = {}  # queue → depth, when it was reported
        self._evaluating = threading.Lock()
        self._held: dict[str, float] = {}

    def evaluate(self) -> None:
        with self._evaluating:
            for region, backend in list(models.cloudwatch_backends[ACCOUNT_ID].items()):
                alarms = [
                    alarm
                    for alarm in list(backend.alarms.values())
                    if alarm.rule is None and self._held.get(alarm.alarm_arn, 0) <= time.monotonic()
                ]
                for namespace, metric in itertools.chain.from_iterable(map(watched, alarms)):
                    if namespace == "AWS/SQS":
                        self._report_queue(region, metric)
                data = by_metric(backend)
                for alarm in alarms:
                    try:
                        self._evaluate(region, data, alarm)
                    except Exception:
                        log.exception("alarm %s", alarm.name)

    def _evaluate(self, region: str, data: Data, alarm: Any) -> None:
        now = time.time()
        period = float(alarm.period or 0) or max(
            float(q.metric_stat.period) for q in alarm.metric_data_queries if q.metric_stat
        )
        points = [datapoint(data, alarm, now - i * period) for i in range(int(alarm.evaluation_periods))]
        state, reason = evaluated(alarm, points)
        if state != alarm.state_value:
            self._turn(region, alarm, state, reason)

    def _turn(self, region: str, alarm: Any, state: str, reason: str) -> None:
        before = alarm.state_value
        _plain_update(alarm, reason, json.dumps({"version": "1.0", "recentReason": reason}), state)
        actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions}.get(state, alarm.insufficient_data_actions)
        for arn in actions if alarm.actions_enabled else []:
            self._publish(region, alarm, before, arn)

    def _publish(self, region: str, alarm: Any, before: str, topic_arn: str) -> None:
        if not keys.opens_topic(topic_arn, alarm.alarm_arn):
            log.error("%s sends no notification: the key of %s does not admit CloudWatch alarms", alarm.name, topic_arn)
            return
        self.account.client("sns", region).publish(TopicArn=topic_arn, **alarm_messages.written(alarm, region, before))

    def pass_time(self, seconds: float) -> None:
        """Makes all data older by this time, and every queue report again, as SQS does each minute."""
        with self._evaluating:
            self._depths.clear()
            for backend in models.cloudwatch_backends[ACCOUNT_ID].values():
                for datum in list(backend.metric_data):
                    datum.timestamp -= timedelta(seconds=seconds)

    def _report_queue(self, region: str, metric: Any) -> None:
        """Reports the depth of queues to CloudWatch, as SQS does; here, only of queues with an alarm."""
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
            writing.metrics(region, "AWS/SQS", [datum])

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
            alarm.state_value = "INSUFFICIENT_DATA"  # moto begins with OK; AWS does not

        def describe_alarms(response: Any) -> Any:
            self.evaluate()
            return plain_describe(response)

        def set_by_hand(alarm: Any, reason: str, reason_data: str, state_value: str) -> None:
            self._held[alarm.alarm_arn] = time.monotonic() + HELD_SECONDS
            self._turn(alarm.region_name, alarm, state_value, reason)

        # moto compares dimensions in a way that fails for two of them
        models.are_dimensions_same = lambda one, other: named(one) == named(other)
        models.Dimension.__lt__ = lambda one, other: (one.name, one.value) < (other.name, other.value)
        models.Alarm.__init__ = init
        models.Alarm.update_state = set_by_hand
        responses.CloudWatchResponse.describe_alarms = describe_alarms
        threading.Thread(target=self._run, name="alarms", daemon=True).start()


_plain_update = models.Alarm.update_state
