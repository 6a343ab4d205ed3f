"""The alarms, the dashboard and the saved queries in template.yaml, without deploying it."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import dashboards
from tests.support.template import PSEUDO, RESOURCES, SOURCES, TEMPLATE, Rendered, statements
from tools.localcloud.cloudwatch import insights

RUNBOOK = (Path(__file__).parents[2] / "docs/operations.md").read_text()
ALARMS = [name for name, each in RESOURCES.items() if each["Type"] == "AWS::CloudWatch::Alarm"]
EMITTED_BY_LAMBDA = {
    "Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions",
    "AsyncEventsReceived", "AsyncEventAge", "AsyncEventsDropped", "DestinationDeliveryFailures",
}  # fmt: skip
WITHOUT_PARAMETER = {"LostEventsAlarm"}  # no number of lost uploads is acceptable


@pytest.fixture(scope="module")
def stack() -> Rendered:
    return Rendered({"AWS::Region": "eu-west-1"})


@pytest.fixture(scope="module")
def shown(stack: Rendered) -> list[dict[str, Any]]:
    return dashboards.widgets(stack["IntakeDashboard"]["DashboardBody"])


@pytest.fixture(scope="module")
def ours(stack: Rendered) -> dict[str, dict[str, str]]:
    """The dimensions of each namespace."""
    variables = stack["ProcessorFunction"]["Environment"]["Variables"]
    return {
        "AWS/Lambda": {"FunctionName": "<ProcessorFunction>"},
        "AWS/SQS": {"QueueName": "<FailedEventsQueue.QueueName>"},
        variables["POWERTOOLS_METRICS_NAMESPACE"]: {
            "service": variables["POWERTOOLS_SERVICE_NAME"],
            "environment": variables["ENVIRONMENT_SUFFIX"],
        },
    }


@pytest.fixture(scope="module")
def exist(ours: dict[str, dict[str, str]]) -> set[tuple[str, str]]:
    """Every metric that the stack has."""
    [namespace] = ours.keys() - {"AWS/Lambda", "AWS/SQS"}
    return (
        {(namespace, name) for name in re.findall(r'add_metric\("(\w+)"', SOURCES)}
        | {("AWS/Lambda", name) for name in EMITTED_BY_LAMBDA}
        | {("AWS/SQS", "ApproximateNumberOfMessagesVisible")}
    )


def watched(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Namespace, name and dimensions of an alarm's metrics."""
    queries = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    return queries or [alarm]


def anchors(document: str) -> dict[str, str]:
    """The headings of a document as GitHub links to them, and the text below each."""
    parts = re.split(r"^#+ (.+)$", document, flags=re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-"): text
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


# ---------------------------------------------------------------- Alarms


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_description_has_the_cause_the_action_and_a_runbook_link(stack: Rendered, name: str) -> None:
    description = stack[name]["AlarmDescription"]
    assert len(description) <= 1024  # PutMetricAlarm
    text, _, place = description.partition(" Runbook: docs/operations.md#")
    assert len(re.findall(r"\.(?= |$)", text)) == 2, "what happened and what it means; what to do"
    section = anchors(RUNBOOK)[place]
    assert f"**{name}**" in section
    assert "```sh" in section, "the section says what to run"
    assert f"[{name}](#{place})" in RUNBOOK, "and the table of alarms leads to it"


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_notifies_its_topic_when_it_begins_and_ends(stack: Rendered, name: str) -> None:
    alarm = stack[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["<AlarmTopic>"]
    assert "AlarmName" not in alarm  # a generated name begins with the stack's, which the topic's policy relies on


# Metrics, statistic, period in seconds, periods, how many of them must breach, default threshold.
RULES: dict[str, tuple[set[str], str, int, int, int, float]] = {
    "ProcessorErrorsAlarm": ({"Errors"}, "Sum", 300, 3, 1, 5),
    "ProcessorThrottlesAlarm": ({"Throttles"}, "Sum", 300, 3, 1, 10),
    "ProcessorDurationAlarm": ({"Duration"}, "Maximum", 300, 3, 1, 240),
    "EventAgeAlarm": ({"AsyncEventAge"}, "Maximum", 300, 3, 1, 30),
    "FailedEventsAlarm": ({"ApproximateNumberOfMessagesVisible"}, "Maximum", 60, 1, 1, 1),
    "NewFailedEventsAlarm": ({"AsyncEventsDropped"}, "Sum", 300, 3, 1, 1),
    "LostEventsAlarm": ({"DestinationDeliveryFailures"}, "Sum", 300, 3, 1, 1),
    "FailedVideosAlarm": ({"VideosProcessed", "SuccessfulProcessing"}, "Sum", 3600, 1, 1, 50),
}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_as_a_whole(stack: Rendered, name: str) -> None:
    alarm = stack[name]
    statistics = [each["MetricStat"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    for each in statistics:
        assert (each["Stat"], each["Period"]) == RULES[name][1:3]
    statistic, period = (alarm.get("Statistic"), alarm.get("Period")) if not statistics else RULES[name][1:3]
    assert (
        {metric["MetricName"] for metric in watched(alarm)},
        statistic,
        period,
        alarm["EvaluationPeriods"],
        alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]),
        alarm["Threshold"],
    ) == RULES[name]
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


COMPUTED: dict[str, tuple[dict[str, float], float]] = {  # the sums or the maxima of a period, and what is compared
    "ProcessorDurationAlarm": ({"Duration": 240_000}, 240),
    "EventAgeAlarm": ({"AsyncEventAge": 1_800_000}, 30),
    "FailedVideosAlarm": ({"VideosProcessed": 10, "SuccessfulProcessing": 3}, 70),
}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_compares_what_its_expression_computes(stack: Rendered, name: str) -> None:
    queries = stack[name].get("Metrics", [])
    assert bool(queries) is (name in COMPUTED)
    if queries:
        values, expected = COMPUTED[name]
        known = {each["Id"]: values[each["MetricStat"]["Metric"]["MetricName"]] for each in queries[:-1]}
        *inputs, compared = queries
        assert {each["ReturnData"] for each in inputs} == {False}
        assert compared.get("ReturnData", True)
        assert compared["Label"]
        math = {"__builtins__": {}, "IF": lambda condition, yes, no: yes if condition else no}
        assert eval(compared["Expression"], math, known) == expected


def test_few_videos_do_not_trigger_the_failure_rate_alarm(stack: Rendered) -> None:
    expression = stack["FailedVideosAlarm"]["Metrics"][-1]["Expression"]
    math = {"__builtins__": {}, "IF": lambda condition, yes, no: yes if condition else no}
    assert eval(expression, math, {"processed": 9, "succeeded": 0}) == 0
    assert eval(expression, math, {"processed": 10, "succeeded": 0}) == 100


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_on_lambdas_metrics_evaluates_data_of_the_longest_invocation(stack: Rendered, name: str) -> None:
    """Lambda timestamps a value with the start of the invocation, and sends it some minutes after its end."""
    if watched(stack[name])[0]["Namespace"] == "AWS/Lambda":
        _, _, period, periods, needed, _ = RULES[name]
        assert period * periods >= stack["ProcessorFunction"]["Timeout"] + 300
        assert needed == 1


@pytest.mark.parametrize("name", ALARMS)
def test_the_runbook_documents_the_thresholds(stack: Rendered, name: str) -> None:
    [row] = [line for line in RUNBOOK.splitlines() if line.startswith(f"| [{name}]")]
    says = row.split("|")[2]
    assert re.findall(r"\d+", says)[0] == str(stack[name]["Threshold"]), says
    if RULES[name][1] == "Sum" and len(RULES[name][0]) == 1 and name not in WITHOUT_PARAMETER:
        assert f"in {RULES[name][2] // 60} minutes" in says


def test_the_topic_admits_the_alarms_of_this_stack(stack: Rendered) -> None:
    allowed = statements(stack["AlarmTopicPolicy"]["PolicyDocument"])["PublishAlarmsOfThisStack"]
    assert (allowed["Effect"], allowed["Action"], allowed["Resource"]) == ("Allow", "sns:Publish", "<AlarmTopic>")
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"]["ArnLike"]["aws:SourceArn"].endswith(f":alarm:{PSEUDO['AWS::StackName']}-*")


@pytest.mark.parametrize("name", ALARMS)
def test_missing_data_does_not_trigger_an_alarm(stack: Rendered, name: str) -> None:
    sleeps = watched(stack[name])[0]["Namespace"] == "AWS/SQS"  # an idle queue reports nothing
    assert stack[name]["TreatMissingData"] == ("ignore" if sleeps else "notBreaching")


@pytest.mark.parametrize("name", ALARMS)
def test_a_threshold_parameter_is_in_the_alarm_description(name: str) -> None:
    alarm = RESOURCES[name]["Properties"]
    if name in WITHOUT_PARAMETER:
        assert alarm["Threshold"] == 1
        return
    parameter = alarm["Threshold"]["Ref"]
    assert f"${{{parameter}}}" in alarm["AlarmDescription"]["Fn::Sub"]
    [row] = [line for line in RUNBOOK.splitlines() if line.startswith(f"| [{name}]")]
    assert f"`{parameter}`" in row


def test_each_threshold_parameter_is_used_bounded_and_on_the_form() -> None:
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    [group] = [group for group in interface["ParameterGroups"] if group["Label"]["default"] == "Alarms"]
    assert set(group["Parameters"]) == {name for name in TEMPLATE["Parameters"] if "Alarm" in name}
    conditions = [
        {key: value for key, value in RESOURCES[name]["Properties"].items() if key != "AlarmDescription"}
        for name in ALARMS
    ]
    for parameter in group["Parameters"]:
        declared = TEMPLATE["Parameters"][parameter]
        assert parameter in str(conditions)
        assert declared["MinValue"] >= 1, "0 would always be in alarm"
        assert interface["ParameterLabels"][parameter]["default"]
    thresholds = {RESOURCES[name]["Properties"]["Threshold"]["Ref"] for name in ALARMS if name not in WITHOUT_PARAMETER}
    assert thresholds <= set(group["Parameters"])


def test_an_alarm_can_trigger_before_lambdas_own_limit(stack: Rendered) -> None:
    parameters = TEMPLATE["Parameters"]
    assert parameters["DurationAlarmInSeconds"]["MaxValue"] == stack["ProcessorFunction"]["Timeout"]
    longest = stack["ProcessorEventInvokeConfig"]["MaximumEventAgeInSeconds"]
    assert parameters["EventAgeAlarmInMinutes"]["MaxValue"] * 60 == longest
    # Three timeouts, with Lambda's waits of one and two minutes between them, must not trigger an alarm.
    tries = 1 + stack["ProcessorEventInvokeConfig"]["MaximumRetryAttempts"]
    last_try = (tries - 1) * stack["ProcessorFunction"]["Timeout"] + 60 + 120
    assert parameters["EventAgeAlarmInMinutes"]["Default"] * 60 > last_try
    said = {name: parameters[name]["Description"] for name in ("EventAgeAlarmInMinutes", "DurationAlarmInSeconds")}
    assert f"reaches {last_try // 60} minutes. After {longest // 60} minutes," in said["EventAgeAlarmInMinutes"]
    assert f"after {stack['ProcessorFunction']['Timeout']} seconds" in said["DurationAlarmInSeconds"]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_monitors_a_metric_of_this_stack(
    stack: Rendered, ours: dict[str, dict[str, str]], exist: set[tuple[str, str]], name: str
) -> None:
    for metric in watched(stack[name]):
        assert (metric["Namespace"], metric["MetricName"]) in exist
        assert {each["Name"]: each["Value"] for each in metric["Dimensions"]} == ours[metric["Namespace"]]


# ---------------------------------------------------------------- Dashboard


def test_the_dashboard_shows_exactly_the_existing_metrics(
    ours: dict[str, dict[str, str]], exist: set[tuple[str, str]], shown: list[dict[str, Any]]
) -> None:
    found = [metric for widget in shown for metric in dashboards.metrics(widget)]
    assert {(namespace, name) for namespace, name, _, _ in found} == exist
    assert all(dimensions == ours[namespace] for namespace, _, dimensions, _ in found)


def test_an_expression_uses_only_metrics_in_its_widget(shown: list[dict[str, Any]]) -> None:
    for widget in shown:
        ids = {rendering["id"] for _, _, _, rendering in dashboards.metrics(widget) if "id" in rendering}
        used = {name for each in dashboards.expressions(widget) for name in re.findall(r"[a-z]\w*", each)}
        assert used == ids, "what has an id and is in no expression needs none"


# Values of one period, and what each panel must show.
HAPPENED: dict[str, list[float]] = {
    "SuccessfulProcessing": [1] * 7 + [0] * 3, "VideosProcessed": [1] * 10, "ProcessingDuration": [*range(1, 101)],
    "DuplicateEvents": [1, 1],
    "Invocations": [1] * 12, "Errors": [1] * 2, "Throttles": [4, 5], "Duration": [100, 250_000],
    "ConcurrentExecutions": [1, 6, 2], "AsyncEventsReceived": [1] * 11, "AsyncEventAge": [60_000, 1_800_000],
    "AsyncEventsDropped": [1, 1, 1], "DestinationDeliveryFailures": [1], "ApproximateNumberOfMessagesVisible": [2, 3],
}  # fmt: skip
SHOWN: dict[str, dict[str, float]] = {
    "Outcomes": {"succeeded": 7, "failed": 3},
    "Success rate": {"% of videos": 70},
    "Inspection time and longest invocation": {"p50": 50, "p90": 90, "p99": 99, "invocation": 250_000},
    "Function": {"invocations": 12, "errors": 2, "throttles": 9, "duplicates": 2},
    "Events": {"received": 11, "dropped": 3, "lost": 1, "in the failed-events queue": 3},
    "Oldest event": {"age": 30},
    "Concurrency": {"concurrent executions": 6},
}


def test_every_panel_shows_what_its_labels_promise(shown: list[dict[str, Any]]) -> None:
    panels = {
        each["properties"]["title"]: dashboards.values(each, HAPPENED) for each in shown if each["type"] == "metric"
    }
    assert panels == SHOWN


LOOKS: dict[str, dict[str, Any]] = {
    "Outcomes": {"view": "timeSeries", "stacked": True, "period": 300, "stat": "Sum"},
    "Success rate": {
        "view": "singleValue", "sparkline": True, "setPeriodToTimeRange": True, "period": 3600, "stat": "Average",
    },
    "Inspection time and longest invocation": {"view": "timeSeries", "period": 300},
    "Function": {"view": "timeSeries", "period": 300, "stat": "Sum"},
    "Events": {"view": "timeSeries", "period": 300, "stat": "Sum"},
    "Oldest event": {"view": "timeSeries", "period": 300, "stat": "Maximum"},
    "Concurrency": {"view": "timeSeries", "period": 300, "stat": "Maximum"},
    "Verdicts by reason": {"view": "bar"},
    "Bytes and ranges read": {"view": "table"},
    "Recent failures": {"view": "table"},
}  # fmt: skip


def test_every_panel_looks_as_designed(stack: Rendered, shown: list[dict[str, Any]]) -> None:
    switches = {"view", "stacked", "sparkline", "setPeriodToTimeRange", "period", "stat"}
    drawn = [each["properties"] for each in shown if each["type"] in ("metric", "log")]
    looks = {each["title"]: {name: each[name] for name in switches & each.keys()} for each in drawn}
    assert looks == LOOKS
    assert json.loads(stack["IntakeDashboard"]["DashboardBody"])["start"] == "-PT24H"


def test_every_axis_has_a_metric_and_begins_at_zero(shown: list[dict[str, Any]]) -> None:
    for each in shown:
        if each["properties"].get("view") == "timeSeries":
            used = {rendering.get("yAxis", "left") for *_, rendering in dashboards.metrics(each)}
            axes = each["properties"]["yAxis"]
            assert axes.keys() == used, each["properties"]["title"]
            assert {axis["min"] for axis in axes.values()} == {0}
            assert not any(axis["showUnits"] for axis in axes.values())


@pytest.mark.parametrize("minutes", [30, 45])
def test_the_line_in_the_age_panel_is_the_alarms_threshold(minutes: int) -> None:
    stack = Rendered({"EventAgeAlarmInMinutes": minutes})
    shown = dashboards.widgets(stack["IntakeDashboard"]["DashboardBody"])
    lines = [line for each in shown for line in each["properties"].get("annotations", {}).get("horizontal", [])]
    assert [line["value"] for line in lines] == [stack["EventAgeAlarm"]["Threshold"]] == [minutes]


def test_the_dashboard_shows_every_alarm_and_the_functions_logs(stack: Rendered, shown: list[dict[str, Any]]) -> None:
    assert {arn for widget in shown for arn in widget["properties"].get("alarms", [])} == {
        f"<{name}.Arn>" for name in ALARMS
    }
    assert {group for group, _ in dashboards.queries(shown).values()} == {"<ProcessorLogGroup>"}


def test_no_widget_covers_another_or_leaves_a_gap(shown: list[dict[str, Any]]) -> None:
    cells = [
        (x, y)
        for each in shown
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    ]
    assert sorted(cells) == sorted((x, y) for x in range(24) for y in range(max(y for _, y in cells) + 1))


def test_the_dashboard_links_to_what_a_person_needs_next(stack: Rendered, shown: list[dict[str, Any]]) -> None:
    [text] = [widget["properties"]["markdown"] for widget in shown if widget["type"] == "text"]
    linked = ("<VideoBucket>", "<ProcessorFunction>", "<ProcessorLogGroup>", "logs-insights", "stack-id")
    links = re.findall(r"\]\((.+?)\)", text)
    assert all(any(name in link for link in links) for name in linked)
    assert {each["Value"] for name, each in stack.outputs.items() if name.endswith("ConsoleUrl")} <= {*links}
    assert "docs/operations.md" in text


# ---------------------------------------------------------------- Queries, on lines that the function or Lambda logs


def rows(query: str, *lines: str | dict[str, Any]) -> list[dict[str, str]]:
    """The rows of a query on log lines, one a second."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    events = [SimpleNamespace(timestamp=second * 1000, message=text) for second, text in enumerate(texts)]
    stream = SimpleNamespace(log_stream_name="s", events=events)
    return insights.execute([SimpleNamespace(name="g", streams={"s": stream})], query, 0, len(lines))


def processed(number: int, **more: Any) -> dict[str, Any]:
    line = {"level": "INFO", "message": "Processed", "key": f"{number}.mp4", "status": "success", "size": 1000 * number}
    return line | {"durationMs": number, "requests": number, "roundTrips": 1, "bytesRead": 100 * number} | more


def rejected(number: int, reason: str = "empty") -> dict[str, Any]:
    return processed(number, status="failure", reason=reason)


@pytest.fixture(scope="module")
def saved(stack: Rendered) -> dict[str, str]:
    queries = stack.of_type("AWS::Logs::QueryDefinition").values()
    return {query["Name"].partition("/")[2]: query["QueryString"] for query in queries}


def test_recent_failures_are_the_newest_fifty_of_every_kind(shown: list[dict[str, Any]]) -> None:
    _, query = dashboards.queries(shown)["Recent failures"]
    levels = [{"level": level, "message": level, "key": "a.mp4"} for level in ("WARNING", "ERROR", "CRITICAL", "INFO")]
    killed = [
        "4711 Task timed out after 300.00 seconds",
        "RequestId: 4711 Error: Runtime exited",
        "REPORT RequestId: 4711",
    ]
    found = rows(query, *map(rejected, range(50)), processed(50), *levels, *killed)
    assert [row["what"] for row in found[:5]] == [killed[1], killed[0], "CRITICAL", "ERROR", "WARNING"]
    assert [row["key"] for row in found[5:]] == [f"{n}.mp4" for n in range(49, 4, -1)]


def test_verdicts_and_bytes_are_counted(shown: list[dict[str, Any]]) -> None:
    queries = dashboards.queries(shown)
    lines = [processed(1), *map(rejected, (2, 3)), *(rejected(n, "truncated") for n in (4, 5, 6)), {"message": "other"}]
    found = rows(queries["Verdicts by reason"][1], *lines)
    assert [tuple(row.values()) for row in found] == [("truncated", "3"), ("empty", "2"), ("playable", "1")]
    [read] = rows(queries["Bytes and ranges read"][1], *lines)
    assert read == {"videos": "6", "bytesStored": "21000", "bytesRead": "2100", "ranges": "3.5", "mostRanges": "6"}


def test_saved_queries_sort_and_limit_their_rows(saved: dict[str, str]) -> None:
    lines = [rejected(1), *(rejected(n, "truncated") for n in (2, 3)), processed(4)]
    found = rows(saved["Failures by reason"], *lines)
    assert found == [
        {"reason": "truncated", "videos": "2", "newest": "3.mp4"},
        {"reason": "empty", "videos": "1", "newest": "1.mp4"},
    ]
    slowest = rows(saved["Slowest videos"], *map(processed, range(30)), {"message": "other", "durationMs": 99})
    assert [row["key"] for row in slowest] == [f"{n}.mp4" for n in range(29, 4, -1)]
    story = rows(
        saved["Story of one video"].replace("VIDEO", "7.mp4"), *[processed(7), processed(8), "START 7.mp4"] * 600
    )
    assert len(story) == 1000
    assert [row["what"] for row in story[:2]] == ["Processed", "START 7.mp4"], "the oldest first"


# ---------------------------------------------------------------- Saved queries


def test_the_saved_queries_are_in_a_folder_of_the_stack_and_query_its_logs(stack: Rendered) -> None:
    saved = stack.of_type("AWS::Logs::QueryDefinition").values()
    names = {query["Name"] for query in saved}
    assert names == {f"{PSEUDO['AWS::StackName']}/{name}" for name in re.findall(r"saved '(.+?)'", RUNBOOK)}
    assert all(query["LogGroupNames"] == ["<ProcessorLogGroup>"] for query in saved)
    assert all(re.search(r"^\| (sort|stats) ", query["QueryString"], re.MULTILINE) for query in saved)
    assert stack["IntakeDashboard"]["DashboardName"] == f"{PSEUDO['AWS::StackName']}-{PSEUDO['AWS::Region']}"
