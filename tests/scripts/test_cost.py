"""docs/cost.md matches scripts/cost.py, which matches the measurements and the template."""

import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import cost
from scripts.cost import DESIGNS, LINES, PRICES, WATCHING, Use, dollars, watch
from tests.support.template import TEMPLATE

DOCS = Path(__file__).parents[2] / "docs"
WATCH = watch(TEMPLATE)
OURS, DOWNLOAD, CONVERT = DESIGNS


def rows(document: str, after: str) -> dict[str, list[str]]:
    """The first table after a heading, by its first column."""
    text = (DOCS / document).read_text().split(f"## {after}")[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {first: rest for first, *rest in cells}


def numbers(cell: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"[\d.,]*\d", cell)]


def together(use: Use, design: str = OURS) -> float:
    return sum(dollars(use, WATCH)[design].values())


def test_the_document_contains_the_scripts_output(capsys):
    cost.main([])
    printed = capsys.readouterr().out.strip().split("\n\n")
    document = (DOCS / "cost.md").read_text()
    assert len(printed) == 4
    for block in printed:
        assert block in document, "docs/cost.md is out of date: put this there"


def test_the_quantities_per_video_are_the_measured_ones():
    measured = rows("limits.md", "What one video costs (measured)")
    playable, _, rejected, _ = range(4)
    [writes] = [cells for name, cells in measured.items() if name.startswith("DynamoDB")]
    [gets] = [cells for name, cells in measured.items() if name.startswith("S3, GET")]
    [puts] = [cells for name, cells in measured.items() if name.startswith("S3, PUT")]
    [messages] = [cells for name, cells in measured.items() if name.startswith("SNS")]
    [log] = [cells for name, cells in measured.items() if name.startswith("Log")]
    [seconds] = [cells for name, cells in measured.items() if name.startswith("Duration")]
    assert numbers(writes[playable]) == numbers(writes[rejected]) == [cost.WRITES]
    assert numbers(gets[playable])[0] <= cost.RANGES
    assert numbers(gets[rejected]) == [1, cost.TAG_REQUESTS]
    assert numbers(puts[playable]) == [cost.RESULT_PUTS["playable"], cost.TAG_REQUESTS]
    assert numbers(puts[rejected]) == [cost.RESULT_PUTS["rejected"], cost.TAG_REQUESTS]
    assert numbers(messages[playable]) == [cost.MESSAGES]
    assert numbers(log[playable]) == [cost.LOG / 1000]
    assert numbers(seconds[playable])[0] < cost.SECONDS
    assert f"**{cost.SECONDS} s**" in (DOCS / "limits.md").read_text()


def test_the_download_time_is_the_one_in_the_benchmark():
    for name, (ours, download, _) in list(rows("benchmarks.md", "Where all connections share 75").items())[2:]:
        seconds = (numbers(download)[0] - numbers(ours)[0]) / 1000
        assert cost.DOWNLOAD_SECONDS + megabytes(name) / cost.DOWNLOAD_RATE == pytest.approx(seconds, rel=0.2), name


def megabytes(kind: str) -> float:
    """The benchmark rows for this kind of file, by the bytes that the download read."""
    lines = (DOCS / "benchmarks.md").read_text().split("## ")[0].splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f"| **{kind}**"))
    return numbers(lines[at + 1].split("|")[4])[0]


def test_every_custom_metric_that_the_function_emits_is_counted():
    emitted = set(re.findall(r'add_metric\(\s*"(\w+)"', (DOCS.parent / "src/handler.py").read_text()))
    assert len(emitted) == WATCH.metrics


def test_every_metric_of_an_alarm_is_counted():
    template = deepcopy(TEMPLATE)
    plain = {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Period": 60}
    share = {"Metrics": [{"MetricStat": {}}, {"MetricStat": {}}, {"Expression": "a / b"}]}
    for name, properties in (("Plain", plain), ("Share", share)):
        template["Resources"][name] = {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
    assert watch(template) == replace(WATCH, alarm_metrics=WATCH.alarm_metrics + 1 + 2)
    template["Resources"]["Plain"]["Properties"] = plain | {"Namespace": cost.NAMESPACE, "MetricName": "NotShown"}
    assert watch(template).metrics == WATCH.metrics + 1
    alarms = [each["Properties"] for each in TEMPLATE["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    queries = [query for alarm in alarms for query in alarm.get("Metrics", [{"MetricStat": alarm}])]
    assert WATCH.alarm_metrics == sum("MetricStat" in query for query in queries)


@pytest.mark.parametrize(
    "resource",
    [
        {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {}},
        {"Type": "AWS::CloudWatch::AnomalyDetector", "Properties": {}},
        {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Period": 10}},
    ],
)
def test_alarms_with_another_price_are_refused(resource):
    template = deepcopy(TEMPLATE)
    template["Resources"]["Dear"] = resource
    with pytest.raises(ValueError, match="no price"):
        watch(template)


@pytest.mark.parametrize(
    "dearer",
    [
        {"videos_a_day": 3000},
        {"failed_share": 0.5},  # each is an e-mail
        {"architecture": "x86_64"},
        {"storyboard": True},
        {"emailed_outcomes": "everything"},
    ],
)
def test_more_costs_more(dearer):
    assert together(replace(Use(), **dearer)) > together(Use())


def test_a_rejected_video_has_no_storyboard_and_a_small_one_is_read_at_once():
    rejected = Use(failed_share=1)
    assert dollars(replace(rejected, storyboard=True), WATCH)[OURS] == dollars(rejected, WATCH)[OURS]
    time = "Lambda: time"
    assert dollars(Use(storyboard=True), WATCH)[DOWNLOAD][time] > dollars(Use(), WATCH)[DOWNLOAD][time]
    assert together(Use(mb=cost.SMALL)) < together(Use(mb=cost.SMALL + 1))


def test_without_uploads_only_monitoring_costs_money():
    cost_of = dollars(Use(videos_a_day=0), WATCH)[OURS]
    assert sum(cost_of.values()) == pytest.approx(sum(cost_of[line] for line in WATCHING))


def test_only_downloading_costs_more_for_larger_videos():
    small, large = Use(mb=10), Use(mb=1000)
    assert together(small) == together(large)
    assert together(large, DOWNLOAD) > 2 * together(small, DOWNLOAD) > 2 * together(small)
    assert together(small, CONVERT) == together(large, CONVERT) > together(large, DOWNLOAD)


def test_every_price_is_used_and_has_its_source():
    document = (DOCS / "cost.md").read_text()
    assert set(LINES.values()) - {"architecture"} | {"arm64", "x86_64"} == set(PRICES)
    for price in PRICES.values():
        assert re.search(rf"^{price.source}\. ", document, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["--mb", "-1"], ["--videos-a-day", "-1"], ["--failed-share", "1.5"]])
def test_only_impossible_uploads_are_refused(arguments, capsys):
    cost.main(["--mb", "0", "--videos-a-day", "0", "--failed-share", "1"])
    assert "100% of them rejected: **$0.00 a month for processing" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        cost.main(arguments)
    assert "cannot be negative" in capsys.readouterr().err
