#!/usr/bin/env python3
"""Estimates the stack's monthly cost for N videos a day of S MB, line by line, compared with two alternatives.

Quantities are this project's measurements (docs/limits.md, docs/benchmarks.md) and counts of template.yaml; prices are
list prices of us-east-1, each with its source. Storage and free tiers are not included. docs/cost.md has the output.
"""

import argparse
import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cfn_flip import load

TEMPLATE: Final = Path(__file__).parents[1] / "template.yaml"
DAYS: Final = 365 / 12  # in a month
NAMESPACE: Final = "VideoIntake"  # of the custom metrics; AWS's own metrics are free


@dataclass(frozen=True)
class Price:
    """Dollars for `per` units in us-east-1, and the number of the source in docs/cost.md."""

    service: str
    dollars: float
    per: int
    unit: str
    source: int


MILLION: Final = 1_000_000
PRICES: Final = {
    "request": Price("Lambda", 0.20, MILLION, "requests", 1),
    "arm64": Price("Lambda", 0.0000133334, 1, "GB-seconds, arm64", 1),
    "x86_64": Price("Lambda", 0.0000166667, 1, "GB-seconds, x86_64", 1),
    "disk": Price("Lambda", 0.0000000309, 1, "GB-seconds of disk above 512 MB", 4),
    "get": Price("S3", 0.0004, 1000, "GET requests", 4),
    "put": Price("S3", 0.005, 1000, "PUT requests", 2),
    "write": Price("DynamoDB", 0.625, MILLION, "write units, on demand", 3),
    "message": Price("SNS", 0.50, MILLION, "messages published", 5),
    "email": Price("SNS", 2.00, 100_000, "e-mails", 5),
    "log": Price("CloudWatch", 0.50, 1_000_000_000, "bytes of logs", 6),
    "metric": Price("CloudWatch", 0.30, 1, "custom metrics", 6),
    "alarm": Price("CloudWatch", 0.10, 1, "metrics in alarms", 6),
    "dashboard": Price("CloudWatch", 3.00, 1, "dashboards", 6),
    "minute": Price("MediaConvert", 0.0075, 1, "minutes of output, Basic tier, SD", 4),
}

# One video, from docs/limits.md ("What one video costs") and docs/benchmarks.md; tests compare them.
SECONDS: Final = 0.5  # as assumed in docs/limits.md: several times the measured value, which is not from AWS
GB: Final = 1.0  # memory of the function
WRITES: Final = 2
RANGES: Final = 4  # above 2 MB; one for smaller or rejected videos
SMALL: Final = 2  # MB
TAG_REQUESTS: Final = 1  # each of GET and PUT
RESULT_PUTS: Final = {"playable": 2, "rejected": 1}
MESSAGES: Final = 1
LOG: Final = 1800  # bytes
START_SHARE, START_SECONDS = 0.05, 1.0  # assumed; Lambda bills cold starts, and ends idle environments after minutes

# The largest storyboard (media/storyboard.py): 25 key frames, each decoded in 22 ms, and 24 MB at 75 MB/s
STORYBOARD_GETS, STORYBOARD_PUTS, STORYBOARD_SECONDS = 25, 2, 1.0

# The alternatives. Everything except the inspection is assumed to be the same.
DOWNLOAD_SECONDS, DOWNLOAD_RATE = 0.05, 73  # longer than ours; MB/s. docs/benchmarks.md: connections share 75 MB/s
DOWNLOAD_PART: Final = 8.388608  # MB a GET: boto3's parts
DISK_GB: Final = 9.5  # more than the free part, for 10 GB in total, Lambda's maximum
CONVERT_MINUTES: Final = 2 * 10 / 60  # a frame capture requires another output [7]; each is billed for at least 10 s


@dataclass(frozen=True)
class Use:
    """The uploads and the stack's parameters that the cost depends on."""

    videos_a_day: float = 1500
    mb: float = 200
    failed_share: float = 0.05
    architecture: str = "arm64"
    storyboard: bool = False
    emailed_outcomes: str = "failures"

    @property
    def videos(self) -> float:
        """Videos per month."""
        return self.videos_a_day * DAYS


@dataclass(frozen=True)
class Watch:
    """The monitoring in the template: the number of each billed item."""

    metrics: int
    alarm_metrics: int
    dashboards: int


LINES: Final = {
    "Lambda: requests": "request",
    "Lambda: time": "architecture",
    "Lambda: cold starts": "architecture",
    "Lambda: disk": "disk",
    "S3: reading, tags": "get",
    "S3: results, tags": "put",
    "DynamoDB: idempotency": "write",
    "SNS: messages": "message",
    "SNS: e-mails": "email",
    "Logs": "log",
    "MediaConvert": "minute",
    "Custom metrics": "metric",
    "Alarms": "alarm",
    "Dashboard": "dashboard",
}
ARCHITECTURES: Final = ("arm64", "x86_64")
WATCHING: Final = ("Custom metrics", "Alarms", "Dashboard")
DESIGNS: Final = ("video-intake", "download, ffprobe, ffmpeg", "MediaConvert")


def watch(template: Mapping[str, Any]) -> Watch:
    """Counts custom metrics, metrics in alarms, and dashboards, including conditional ones."""
    of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for body in template["Resources"].values():
        of[body["Type"].removeprefix("AWS::CloudWatch::")].append(body.get("Properties", {}))
    if of["CompositeAlarm"] or of["AnomalyDetector"] or any(alarm.get("Period", 60) < 60 for alarm in of["Alarm"]):
        raise ValueError("composite, anomaly and high-resolution alarms have no price here yet: add it")
    shown = json.dumps(of["Dashboard"], default=str).replace('\\"', '"')
    metrics = set(
        re.findall(rf'\["{NAMESPACE}", "(\w+)"', shown)
    )  # all that are emitted; each has one set of dimensions
    metrics |= {alarm["MetricName"] for alarm in of["Alarm"] if alarm.get("Namespace") == NAMESPACE}
    looked_at = [sum("MetricStat" in query for query in alarm.get("Metrics", [])) or 1 for alarm in of["Alarm"]]
    return Watch(len(metrics), sum(looked_at), len(of["Dashboard"]))


def quantities(use: Use, watching: Watch) -> dict[str, dict[str, float]]:
    """Monthly units of each line, for each design."""
    good, bad = use.videos * (1 - use.failed_share), use.videos * use.failed_share
    extra = use.storyboard * good
    gets = good * (RANGES if use.mb > SMALL else 1) + bad + use.videos * TAG_REQUESTS
    ours = {
        "Lambda: requests": use.videos,
        "Lambda: time": (use.videos * SECONDS + extra * STORYBOARD_SECONDS) * GB,
        "Lambda: cold starts": use.videos * START_SHARE * START_SECONDS * GB,
        "S3: reading, tags": gets + extra * STORYBOARD_GETS,
        "S3: results, tags": good * RESULT_PUTS["playable"] + bad * RESULT_PUTS["rejected"] + use.videos * TAG_REQUESTS
        + extra * STORYBOARD_PUTS,
        "DynamoDB: idempotency": use.videos * WRITES,
        "SNS: messages": use.videos * MESSAGES,
        "SNS: e-mails": use.videos if use.emailed_outcomes == "everything" else bad,
        "Logs": use.videos * LOG,
        "Custom metrics": watching.metrics,
        "Alarms": watching.alarm_metrics,
        "Dashboard": watching.dashboards,
    }  # fmt: skip
    seconds = SECONDS + DOWNLOAD_SECONDS + use.mb / DOWNLOAD_RATE + use.storyboard * STORYBOARD_SECONDS
    download = ours | {
        "Lambda: time": use.videos * seconds * GB,
        "Lambda: disk": use.videos * seconds * DISK_GB,
        "S3: reading, tags": use.videos * (math.ceil(use.mb / DOWNLOAD_PART) + TAG_REQUESTS),
    }
    convert = ours | {
        "Lambda: requests": use.videos + good,  # one invocation starts the job, another handles its end
        "Lambda: time": (use.videos + good) * SECONDS * GB,
        "S3: reading, tags": use.videos * TAG_REQUESTS,  # MediaConvert's own reads are not known
        "MediaConvert": good * CONVERT_MINUTES * (1 + use.storyboard),
    }
    return dict(zip(DESIGNS, (ours, download, convert), strict=True))


def dollars(use: Use, watching: Watch) -> dict[str, dict[str, float]]:
    """Monthly dollars of each line, for each design."""
    price = {line: PRICES[use.architecture if key == "architecture" else key] for line, key in LINES.items()}
    return {
        design: {line: amounts.get(line, 0) * price[line].dollars / price[line].per for line in LINES}
        for design, amounts in quantities(use, watching).items()
    }


def summary(use: Use, watching: Watch) -> str:
    """The totals, in one line."""
    cost = dollars(use, watching)[DESIGNS[0]]
    watched = sum(cost[line] for line in WATCHING)
    together = sum(cost.values())
    return (
        f"{use.videos_a_day:,.0f} videos of {use.mb:,.0f} MB a day, {use.failed_share:.0%} of them rejected: "
        f"**{_money(together - watched)} a month for processing, {_money(watched)} for monitoring**. Total: "
        f"{_money(together)}, or {_money(together - cost['Dashboard'])} without the dashboard."
    )


def lines_table(use: Use, watching: Watch) -> str:
    """Each line: the quantity, and its cost in each design."""
    cost = dollars(use, watching)
    ours = quantities(use, watching)[DESIGNS[0]]
    rows = []
    for line, key in LINES.items():
        price = PRICES[use.architecture if key == "architecture" else key]
        amount = f"{ours[line]:,.0f} {price.unit}" if line in ours else ""
        rows.append([line, amount, *(_money(cost[design][line]) if cost[design][line] else "" for design in DESIGNS)])
    for name, of in (
        ("**Processing**", [line for line in LINES if line not in WATCHING]),
        ("**Monitoring**", WATCHING),
        ("**Total**", list(LINES)),
    ):
        rows.append([name, "", *(f"**{_money(sum(cost[design][line] for line in of))}**" for design in DESIGNS)])
    return _table(["Per month", "Quantity", *DESIGNS], rows, 2)


def sizes_table(use: Use, watching: Watch) -> str:
    """The cost of processing, for other sizes and numbers of videos."""
    rows = []
    for videos_a_day in (use.videos_a_day, 100_000):
        for mb in (10, 200, 1000):
            cost = dollars(Use(**vars(use) | {"videos_a_day": videos_a_day, "mb": mb}), watching)
            sums = [sum(value for line, value in cost[design].items() if line not in WATCHING) for design in DESIGNS]
            rows.append([f"{videos_a_day:,.0f}", f"{mb:,}", *map(_money, sums)])
    return _table(["Videos a day", "MB each", *DESIGNS], rows, 0)


def prices_table() -> str:
    """Every price, and the number of its source."""
    rows = [
        [
            price.service,
            f"{price.per:,} {price.unit}",
            f"${price.dollars:.10f}".rstrip("0").rstrip("."),
            f"[{price.source}]",
        ]
        for price in PRICES.values()
    ]
    return _table(["", "", "Dollars", "Source"], rows, 2)


def _money(value: float) -> str:
    return f"${value:,.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    rule = ["---" if column < left else "---:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--videos-a-day", type=float, default=Use.videos_a_day)
    parser.add_argument("--mb", type=float, default=Use.mb, help="size of a video (%(default)s)")
    parser.add_argument(
        "--failed-share", type=float, default=Use.failed_share, help="share of videos that are rejected (%(default)s)"
    )
    parser.add_argument("--architecture", choices=ARCHITECTURES, default=Use.architecture)
    parser.add_argument("--storyboard", action="store_true", help="with Storyboard=enabled")
    parser.add_argument("--emailed-outcomes", choices=["failures", "everything"], default=Use.emailed_outcomes)
    use = Use(**vars(parser.parse_args(arguments)))
    if min(use.videos_a_day, use.mb) < 0 or not 0 <= use.failed_share <= 1:
        parser.error("videos and MB cannot be negative, and the share of failures must be between 0 and 1")
    watching = watch(load(TEMPLATE.read_text())[0])
    print(summary(use, watching), lines_table(use, watching), sizes_table(use, watching), prices_table(), sep="\n\n")


if __name__ == "__main__":
    main()
