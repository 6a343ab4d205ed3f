"""The messages of an alarm, with CloudWatch's wording: JSON for programs, text for e-mail."""

from __future__ import annotations

import functools
import json
from typing import Any

from botocore.session import get_session

from tools.localcloud.account import ACCOUNT_ID


def written(alarm: Any, region: str, before: str) -> dict[str, str]:
    """Subject and message, as arguments of SNS's Publish; `before` is the previous state."""
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
        "Trigger": _trigger(alarm),
    }
    prose = (
        f'You are receiving this email because your Amazon CloudWatch Alarm "{alarm.name}" in the {place} region '
        f'has entered the {alarm.state_value} state, because "{alarm.state_reason}" '
        f'at "{alarm.state_updated_timestamp:%A %d %B, %Y %H:%M:%S} UTC".\n\nAlarm Details:\n'
        f"- Name:          {alarm.name}\n- Description:   {alarm.description}\n"
        f"- State Change:  {before} -> {alarm.state_value}\n- Reason:        {alarm.state_reason}\n"
        f"- AWS Account:   {ACCOUNT_ID}\n- Alarm Arn:     {alarm.alarm_arn}\n"
    )
    return {
        "Subject": f'{alarm.state_value}: "{alarm.name}" in {place}'[:100],
        "MessageStructure": "json",
        "Message": json.dumps({"default": json.dumps(message), "email": prose}),
    }


def _trigger(alarm: Any) -> dict[str, Any]:
    """The conditions in an alarm's message: one metric, or those of an expression."""
    watched: dict[str, Any] = {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "StatisticType": "ExtendedStatistic" if alarm.extended_statistic else "Statistic",
        "Statistic": alarm.extended_statistic or (alarm.statistic or "").upper(),
        "Unit": alarm.unit,
        "Dimensions": [{"value": d.value, "name": d.name} for d in alarm.dimensions],
        "Period": alarm.period,
    }
    if alarm.metric_data_queries:
        watched = {"Metrics": [_query(query) for query in alarm.metric_data_queries]}
    return watched | {
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "ComparisonOperator": alarm.comparison_operator,
        "Threshold": alarm.threshold,
        "TreatMissingData": alarm.treat_missing_data or "",
    }


def _query(query: Any) -> dict[str, Any]:
    shown = {"Id": query.id, "ReturnData": query.return_data}
    if not query.metric_stat:
        return shown | {"Expression": query.expression}
    stat, metric = query.metric_stat, query.metric_stat.metric
    dimensions = [{"value": d.value, "name": d.name} for d in metric.dimensions]
    told = {"Dimensions": dimensions, "MetricName": metric.metric_name, "Namespace": metric.namespace}
    return shown | {"MetricStat": {"Metric": told, "Period": stat.period, "Stat": stat.stat}}


@functools.cache
def region_name(region: str) -> str:
    """ "eu-central-1" → "EU (Frankfurt)", as alarm messages call it."""
    for partition in get_session().get_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return str(partition["regions"][region]["description"]).replace("Europe", "EU")
    return region
