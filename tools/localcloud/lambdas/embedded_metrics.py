"""Reads metrics from a function's log lines in CloudWatch's embedded metric format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any


def metric_data(line: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Namespace and data of every directive in a log line; nothing for other lines."""
    if '"_aws"' not in line:
        return
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
        when = datetime.fromtimestamp(document["_aws"]["Timestamp"] / 1000, UTC)
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives:
        data = [
            {
                "MetricName": metric["Name"],
                "Dimensions": [{"Name": name, "Value": str(document[name])} for name in names],
                "Timestamp": when,
                "Unit": metric.get("Unit", "None"),
                "Values": [float(value) for value in values],
            }
            for metric in directive["Metrics"]
            if metric["Name"] in document
            for values in [
                document[metric["Name"]] if isinstance(document[metric["Name"]], list) else [document[metric["Name"]]]
            ]
            for names in directive.get("Dimensions") or [[]]
        ]
        if data:
            yield directive["Namespace"], data
