"""Alarms, dashboard and saved queries of a deployed stack: triggers, e-mails, and that all widgets have data.

Most causes of alarms really happen to the function. If that would take minutes (an invocation of 240 s), and for exact
thresholds, values are put into the metric like Lambda does. An hour passes on the local cloud's clock.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from scripts.stack import wait_for
from tests.support import dashboards
from tests.support.world import MINUTE, World, key_of
from tools.localcloud import letters
from tools.localcloud.deployment import deploy
from tools.videos import video

HOUR = 60 * MINUTE
EMAIL = ("--email", "ops@example.com")
# Values for an alarm's metrics: the first must not trigger it, both together must.
THRESHOLDS: list[tuple[str, dict[str, list[float]], dict[str, list[float]]]] = [
    ("ProcessorErrorsAlarm", {"Errors": [1] * 4}, {"Errors": [1]}),
    ("ProcessorThrottlesAlarm", {"Throttles": [1] * 9}, {"Throttles": [1]}),
    ("ProcessorDurationAlarm", {"Duration": [239_999]}, {"Duration": [240_000]}),
    ("EventAgeAlarm", {"AsyncEventAge": [30 * 60_000 - 1]}, {"AsyncEventAge": [30 * 60_000]}),
    (
        "FailedEventsAlarm",
        {"ApproximateNumberOfMessagesVisible": [0]},
        {"ApproximateNumberOfMessagesVisible": [1]},
    ),
    ("NewFailedEventsAlarm", {"AsyncEventsDropped": [0]}, {"AsyncEventsDropped": [1]}),
    ("LostEventsAlarm", {"DestinationDeliveryFailures": [0]}, {"DestinationDeliveryFailures": [1]}),
    (  # nine that all failed are too few
        "FailedVideosAlarm",
        {"VideosProcessed": [1] * 9, "SuccessfulProcessing": [0] * 9},
        {"VideosProcessed": [1], "SuccessfulProcessing": [0]},
    ),
    (  # 49 of 100, then 51 of 102
        "FailedVideosAlarm",
        {"VideosProcessed": [1] * 100, "SuccessfulProcessing": [0] * 49 + [1] * 51},
        {"VideosProcessed": [1] * 2, "SuccessfulProcessing": [0] * 2},
    ),
]


@pytest.fixture(scope="module")
def world(local_cloud, request, warm_cli, tmp_path_factory) -> Iterator[World]:
    """A stack on a separate local cloud, so that its clock does not affect other tests' metrics."""
    if request.config.getoption("--stack"):
        pytest.skip("a real account does not allow setting Lambda's metrics or advancing the clock")
    with local_cloud(tmp_path_factory.mktemp("watch"), retry_delay=MINUTE) as cloud:
        yield World(cloud, deploy(cloud, "watch", *EMAIL, tools=warm_cli))


def alarms(world: World) -> dict[str, dict[str, Any]]:
    """The alarms by logical ID."""
    return {alarm["AlarmName"].split("-")[-2]: alarm for alarm in world.intake.alarms()}


def ringing(world: World) -> set[str]:
    return {name for name, alarm in alarms(world).items() if alarm["StateValue"] == "ALARM"}


def mails(world: World, alarm: dict[str, Any], state: str) -> list[str]:
    """The texts of an alarm's mails about a state."""
    wanted = f'{state}: "{alarm["AlarmName"]}"'
    return [
        str(letter.get_body().get_content())
        for letter in letters.letters(world.cloud.mailbox)
        if letter["Subject"].strip().startswith(wanted)
    ]


@pytest.fixture
def calm(world: World) -> World:
    """Waits until no alarm is triggered and earlier data is too old to matter."""
    world.letters(take="")
    world.time_passes(HOUR + MINUTE)
    wait_for("silence", lambda: not ringing(world))
    return world


def rings(world: World, name: str) -> dict[str, Any]:
    """Waits for the alarm and its e-mail; returns the alarm."""
    wait_for(f"{name}", lambda: name in ringing(world))
    alarm = alarms(world)[name]
    wait_for("its mail", lambda: bool(mails(world, alarm, "ALARM")))
    return alarm


def put(world: World, alarm: dict[str, Any], values: dict[str, list[float]], age: float = 0) -> None:
    """Puts values into an alarm's metrics, with timestamps the given number of seconds ago."""
    queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
    metrics = {metric["MetricName"]: metric for metric in queries or [alarm]}
    for name, several in values.items():
        metric = metrics[name]
        stamp = datetime.now(UTC) - timedelta(seconds=age)
        datum = {"MetricName": name, "Dimensions": metric["Dimensions"], "Values": several, "Timestamp": stamp}
        world.intake.client("cloudwatch").put_metric_data(Namespace=metric["Namespace"], MetricData=[datum])


def upload_and_wait(world: World, *contents: bytes) -> None:
    counted = measured(world, "VideosProcessed")
    for number, content in enumerate(contents):
        world.upload(f"{time.monotonic_ns()}-{number}.mp4", content)
    wait_for("the metrics", lambda: measured(world, "VideosProcessed") >= counted + len(contents))


def measured(world: World, name: str, hours: int = 24) -> float:
    found = {metric: value for metric, _, value in world.intake.metrics("watch", hours=hours)}
    return found[name] or 0


def ask(world: World, query: str) -> list[dict[str, str]]:
    """The rows of a query on the function's logs."""
    logs, now = world.intake.client("logs"), int(time.time())
    started = logs.start_query(
        logGroupName=world.intake.outputs["LogGroupName"], queryString=query, startTime=now - HOUR, endTime=now + 1
    )
    answer = wait_for("the answer", lambda: _complete(logs.get_query_results(queryId=started["queryId"])))
    return [{cell["field"]: cell["value"] for cell in row} for row in answer]


def _complete(answer: dict[str, Any]) -> Any:
    return answer["results"] if answer["status"] == "Complete" else None


# ---------------------------------------------------------------- Alarms


def alarming(world: World) -> int:
    """The number of e-mails about alarms that were triggered."""
    return sum(mail["Subject"].startswith("ALARM") for mail in letters.letters(world.cloud.mailbox))


def test_one_bad_file_triggers_no_alarm(calm):
    before = alarming(calm)
    upload_and_wait(calm, b"no video, whatever its name says")
    assert measured(calm, "SuccessfulProcessing", hours=1) == 0
    assert not ringing(calm)
    assert alarming(calm) == before


def test_every_alarm_of_the_stack_is_tried_here(world):
    assert {name for name, _, _ in THRESHOLDS} == alarms(world).keys()


@pytest.mark.parametrize(("name", "quiet", "more"), THRESHOLDS)
def test_an_alarm_triggers_at_its_threshold_and_notifies_when_it_ends(calm, name, quiet, more):
    alarm = alarms(calm)[name]
    begun, ended = len(mails(calm, alarm, "ALARM")), len(mails(calm, alarm, "OK"))
    put(calm, alarm, quiet)
    assert not ringing(calm)
    put(calm, alarm, more)
    assert ringing(calm) == {name}
    [mail] = wait_for("the mail", lambda: mails(calm, alarm, "ALARM")[begun:] or None)
    assert alarm["AlarmDescription"] in mail
    assert "Threshold Crossed" in mail
    calm.time_passes(HOUR + MINUTE)
    wait_for("the end", lambda: alarms(calm)[name]["StateValue"] == "OK")
    assert wait_for("the mail", lambda: mails(calm, alarm, "OK")[ended:] or None)


# Seconds between timestamp and arrival of a value: an invocation takes up to 300 s, and the metric some minutes more.
@pytest.mark.parametrize("age", [301, 600])
@pytest.mark.parametrize("name", ["ProcessorErrorsAlarm", "ProcessorDurationAlarm", "LostEventsAlarm"])
def test_an_alarm_evaluates_data_that_arrives_minutes_late(calm, name, age):
    [(_, quiet, more)] = [one for one in THRESHOLDS if one[0] == name]
    both = {metric: quiet[metric] + more[metric] for metric in quiet}
    put(calm, alarms(calm)[name], both, age)
    assert ringing(calm) == {name}


def test_failing_invocations_trigger_an_alarm(calm):
    for _ in range(5):
        answer = calm.intake.client("lambda").invoke(
            FunctionName=calm.intake.outputs["FunctionName"], Payload=b'{"no": "upload"}'
        )
        assert answer["FunctionError"]
    assert rings(calm, "ProcessorErrorsAlarm")
    assert ringing(calm) == {"ProcessorErrorsAlarm"}


def test_a_waiting_upload_triggers_an_alarm(calm):
    calm.fault("deny", event="late.mp4", operation="s3:GetObject")
    calm.upload("late.mp4", b"no video")
    wait_for("the first try", lambda: calm.events()["waiting"] == 1)
    calm.well()
    calm.time_passes(30 * MINUTE)
    assert rings(calm, "EventAgeAlarm")
    calm.settle()


def test_a_series_of_bad_files_triggers_an_alarm(calm):
    upload_and_wait(calm, *[b""] * 5, *[b"no video"] * 4, video(seconds=0.2))
    assert rings(calm, "FailedVideosAlarm")
    assert ringing(calm) == {"FailedVideosAlarm"}


# ---------------------------------------------------------------- Dashboard and queries


LOUD = ("FailedEventsAlarm", "LostEventsAlarm", "ProcessorThrottlesAlarm")  # that `happened` triggers


@dataclass(frozen=True)
class Driven:
    """The stack after everything that can happen to a video, and the failed events and alarms at that time."""

    world: World
    letters: list[dict[str, Any]]
    rang: set[str]


@pytest.fixture(scope="module")
def happened(world: World) -> Driven:
    good = world.upload("good.mp4", video(seconds=0.2))
    world.upload("folder/bad größe.mp4", b"no video")
    world.settle()
    world.announce(good)
    world.fault("deny", event="forbidden.mp4", operation="s3:GetObject")
    world.fault("kill-before", event="killer.mp4", operation="s3:GetObject")
    world.upload("forbidden.mp4", b"no video")
    world.upload("killer.mp4", b"no video")
    world.settle()
    with broken_queue(world):
        world.fault("deny", event="lost.mp4", operation="s3:GetObject")
        world.upload("lost.mp4", b"no video")
        world.settle()
    world.well()
    with no_concurrency(world):
        impatient = world.intake.session.client("lambda", config=Config(retries={"total_max_attempts": 1}))
        for _ in range(10):
            with pytest.raises(ClientError, match="TooManyRequests"):
                impatient.invoke(FunctionName=world.intake.outputs["FunctionName"])
    rang = {name for name in LOUD if rings(world, name)}
    return Driven(world, world.letters(), rang)


@pytest.fixture
def driven(happened: Driven) -> World:
    return happened.world


@contextlib.contextmanager
def broken_queue(world: World) -> Iterator[None]:
    """Configures a missing queue as the on-failure destination."""
    function = {"FunctionName": world.intake.outputs["FunctionName"]}
    client = world.intake.client("lambda")
    before = client.get_function_event_invoke_config(**function)
    nowhere = before["DestinationConfig"]["OnFailure"]["Destination"] + "-gone"
    client.put_function_event_invoke_config(
        **function, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": nowhere}}
    )
    yield
    names = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
    client.put_function_event_invoke_config(**function, **{name: before[name] for name in names})


@contextlib.contextmanager
def no_concurrency(world: World) -> Iterator[None]:
    function = {"FunctionName": world.intake.outputs["FunctionName"]}
    world.intake.client("lambda").put_function_concurrency(**function, ReservedConcurrentExecutions=0)
    yield
    world.intake.client("lambda").delete_function_concurrency(**function)


def test_failed_events_lost_events_and_throttles_trigger_alarms(happened):
    assert happened.rang == set(LOUD)
    assert {key_of(letter) for letter in happened.letters} == {"forbidden.mp4", "killer.mp4"}


@pytest.fixture(scope="module")
def widgets(world: World) -> list[dict[str, Any]]:
    client = world.intake.client("cloudwatch")
    [dashboard] = client.list_dashboards(DashboardNamePrefix=world.intake.name)["DashboardEntries"]
    return dashboards.widgets(client.get_dashboard(DashboardName=dashboard["DashboardName"])["DashboardBody"])


def test_every_metric_of_the_dashboard_has_data(driven, widgets):
    listed = [
        (metric["Namespace"], metric["MetricName"], {each["Name"]: each["Value"] for each in metric["Dimensions"]})
        for page in driven.intake.client("cloudwatch").get_paginator("list_metrics").paginate()
        for metric in page["Metrics"]
    ]
    shown = [metric[:3] for widget in widgets for metric in dashboards.metrics(widget)]
    assert shown
    assert [metric for metric in shown if metric not in listed] == []


def test_the_alarm_widget_names_the_alarms_of_the_stack(driven, widgets):
    shown = {arn for widget in widgets for arn in widget["properties"].get("alarms", [])}
    assert shown == {alarm["AlarmArn"] for alarm in driven.intake.alarms()}


def verdicts(world: World) -> Counter[str]:
    return Counter(message.get("failure", {}).get("reason", "playable") for message in world.messages())


def test_the_dashboards_queries_show_what_happened(driven, widgets):
    queries = dashboards.queries(widgets)
    assert {group for group, _ in queries.values()} == {driven.intake.outputs["LogGroupName"]}
    rows = {title: ask(driven, query) for title, (_, query) in queries.items()}
    counted = rows.pop("Verdicts by reason")
    assert {row["verdict"]: int(row["videos"]) for row in counted} == verdicts(driven)
    recent = rows.pop("Recent failures")
    told = {row["key"]: row for row in recent if "key" in row}
    assert told["folder/bad größe.mp4"]["why"] == "not-a-video"
    assert told["forbidden.mp4"]["why"] == "AccessDenied"
    assert "good.mp4" not in told
    assert any("Runtime exited" in row["what"] for row in recent if "key" not in row)
    [read] = rows.pop("Bytes and ranges read")
    assert int(read["videos"]) == sum(verdicts(driven).values())
    assert 0 < float(read["bytesRead"]) <= float(read["bytesStored"])
    assert 0 < float(read["ranges"]) <= float(read["mostRanges"])
    assert not rows, "a log widget without a test"


@pytest.fixture
def saved(driven: World) -> dict[str, str]:
    """The stack's saved queries by name."""
    listed = driven.intake.client("logs").describe_query_definitions(
        queryDefinitionNamePrefix=f"{driven.intake.name}/"
    )["queryDefinitions"]
    assert all(one["logGroupNames"] == [driven.intake.outputs["LogGroupName"]] for one in listed)
    return {one["name"].partition("/")[2]: one["queryString"] for one in listed}


def test_the_saved_query_for_failures_counts_them_by_reason(driven, saved):
    rows = ask(driven, saved["Failures by reason"])
    counts = [int(row["videos"]) for row in rows]
    assert {row["reason"]: count for row, count in zip(rows, counts, strict=True)} == {
        reason: count for reason, count in verdicts(driven).items() if reason != "playable"
    }
    assert counts == sorted(counts, reverse=True)
    keys = {message["source"]["key"] for message in driven.messages()}
    assert {row["newest"] for row in rows} <= keys


def test_the_saved_query_for_the_slowest_videos_shows_their_cost(driven, saved):
    rows = ask(driven, saved["Slowest videos"])
    spent = {message["source"]["key"]: message["inspection"]["durationMs"] for message in driven.messages()}
    durations = [float(row["durationMs"]) for row in rows]
    assert {row["key"]: duration for row, duration in zip(rows, durations, strict=True)}.items() <= spent.items()
    assert durations == sorted(durations, reverse=True)
    assert durations[0] == max(spent.values())
    [good] = [row for row in rows if row["key"] == "good.mp4"]
    asked = saved["Slowest videos"].partition("\n")[0].removeprefix("fields ").split(", ")
    assert good.keys() == set(asked) - {"reason"}


def test_the_saved_query_for_one_video_shows_all_of_its_lines(happened, driven, saved):
    def story(of: str) -> list[dict[str, str]]:
        return ask(driven, saved["Story of one video"].replace("'VIDEO'", f"'{of}'"))

    [good] = [message["source"] for message in driven.messages() if message["source"]["key"] == "good.mp4"]
    told = [row["what"] for row in story(good["versionId"])]
    assert told[-1] == "Duplicate event: this version already has an outcome"
    assert "Processed" in told
    assert [row["status"] for row in story("größe") if "status" in row] == ["failure"]
    [killed] = [letter for letter in happened.letters if key_of(letter) == "killer.mp4"]
    lines = [row["what"] for row in story(killed["requestContext"]["requestId"])]
    assert sum(line.startswith("START") for line in lines) == 3
    assert any("Runtime exited" in line for line in lines)


# ---------------------------------------------------------------- Other thresholds


def test_with_low_thresholds_one_bad_file_triggers_an_alarm(calm):
    stack = calm.intake.client("cloudformation")
    [now] = stack.describe_stacks(StackName=calm.intake.name)["Stacks"]
    before = {one["ParameterKey"]: one["ParameterValue"] for one in now["Parameters"]}

    def update(parameters: dict[str, str]) -> None:
        stack.update_stack(
            StackName=calm.intake.name,
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )

    update(before | {"FailedVideosAlarmMinimum": "1", "FailedVideosAlarmInPercent": "1"})
    try:
        upload_and_wait(calm, b"no video")
        assert rings(calm, "FailedVideosAlarm")["Threshold"] == 1
    finally:
        update(before)
