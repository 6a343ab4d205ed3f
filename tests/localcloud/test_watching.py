"""Alarms, metric math and Logs Insights in the local cloud, which work as in CloudWatch or are refused."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from tests.support.deployed import wait_for
from tools.localcloud.cloudwatch import insights, metric_math


def stat(name, stat="Sum", period=300, namespace="Test", **more):
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": more.pop("dimensions", [])}
    return {"Id": name.lower(), "ReturnData": False, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}}


PLAIN = {"Namespace": "Test", "MetricName": "A", "Statistic": "Sum", "Period": 60}


@pytest.mark.parametrize(
    ("alarm", "complaint"),
    [
        ({"Metrics": [stat("A"), {"Id": "e", "Expression": "ANOMALY_DETECTION_BAND(a, 2)"}]}, "ANOMALY_DETECTION_BAND"),
        ({"Metrics": [stat("A"), {"Id": "e", "Expression": "a && a"}]}, "a && a"),
        ({"Metrics": [stat("A"), {"Id": "e", "Expression": "b + 1"}]}, "the metric math b"),
        ({"Metrics": [stat("A"), {"Id": "e", "Expression": "IF(a > 1, a ** 2)"}]}, "the metric math a ** 2"),
        ({"Metrics": [stat("A", stat="tm99"), {"Id": "e", "Expression": "a"}]}, "tm99"),
        ({"Metrics": [stat("A")]}, "no metrics that return data"),
        ({"Metrics": [stat("A"), stat("B", period=60), {"Id": "e", "Expression": "a / b"}]}, "different periods"),
        (PLAIN | {"Unit": "Bytes"}, "the setting unit"),
        (PLAIN | {"ComparisonOperator": "LessThanLowerThreshold"}, "LessThanLowerThreshold"),
        (
            PLAIN | {"AlarmActions": ["arn:aws:lambda:eu-central-1:123456789012:function:f"]},
            "the action arn:aws:lambda",
        ),
        (PLAIN | {"Namespace": "AWS/Lambda", "MetricName": "Errors"}, "which nothing here emits"),
        (PLAIN | {"Namespace": "AWS/DynamoDB", "MetricName": "ThrottledRequests"}, "which nothing here emits"),
    ],
)
def test_an_unsupported_alarm_is_refused(deployed, alarm, complaint):
    client = deployed.client("cloudwatch")
    told = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 1, "EvaluationPeriods": 1} | alarm
    with pytest.raises(ClientError, match="cannot evaluate") as refused:
        client.put_metric_alarm(AlarmName="refused", **told)
    assert complaint in str(refused.value)
    assert not client.describe_alarms(AlarmNames=["refused"])["MetricAlarms"]


@pytest.mark.parametrize(
    ("expression", "a", "b", "value"),
    [
        ("100 * (a - b) / a", 4, 1, 75),
        ("a / b", 1, 0, None),
        ("a + b", 1, None, None),
        ("FILL(b, 0) + a", 1, None, 1),
        ("IF(a >= 10, 100 * b / a, 0)", 9, 9, 0),
        ("IF(a >= 10, 100 * b / a, 0)", 10, 5, 50),
        ("IF(a >= 10, b, 0)", None, 5, None),
        ("IF(a, b)", 0, 5, None),
        ("-a", 3, None, -3),
    ],
)
def test_metric_math_computes_what_cloudwatch_documents(expression, a, b, value):
    assert metric_math.computed(metric_math.parsed(expression, ["a", "b"]), {"a": a, "b": b}) == value


def test_an_alarm_on_an_expression_names_its_metrics(deployed):
    sqs, sns, cloudwatch = deployed.client("sqs"), deployed.client("sns"), deployed.client("cloudwatch")
    url = sqs.create_queue(QueueName="alarms-heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="alarms-heard")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    cloudwatch.put_metric_alarm(
        AlarmName="heard", ComparisonOperator="GreaterThanThreshold", Threshold=1, EvaluationPeriods=1,
        AlarmActions=[topic], Metrics=[stat("Heard"), {"Id": "doubled", "Expression": "heard * 2"}],
    )  # fmt: skip
    cloudwatch.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "Heard", "Value": 1}])
    heard = wait_for(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    trigger = json.loads(json.loads(heard[0]["Body"])["Message"])["Trigger"]
    assert [query.get("Expression") for query in trigger["Metrics"]] == [None, "heard * 2"]
    assert trigger["Metrics"][0]["MetricStat"]["Metric"]["MetricName"] == "Heard"


def test_a_new_alarm_notifies_once_that_it_is_ok(deployed):
    subject = f'Subject: OK: "{deployed.outputs["Alarm"]}"'
    mails = wait_for(lambda: [m.read_text() for m in deployed.cloud.mailbox.glob("*.eml") if subject in m.read_text()])
    assert "State Change:  INSUFFICIENT_DATA -> OK" in mails[0]


def test_throttled_events_are_retried_at_growing_intervals_and_report_their_age(deployed):
    name = deployed.outputs["Function"]
    wait_for(deployed.settled)  # events of earlier tests also have ages
    with deployed.busy(4):
        began = int(time.time())
        deployed.upload("tried later.mp4")
        wait_for(lambda: [age for age in _ages(deployed, name, began) if age >= 1000])
        assert not deployed.has_result("tried later.mp4"), "which was a try, a second after the first, not the start"
    deployed.result("tried later.mp4")


def _ages(deployed, function, since):
    """The highest of each second, in milliseconds."""
    points = deployed.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName="AsyncEventAge", Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=since, EndTime=since + 60, Period=1, Statistics=["Maximum"],
    )["Datapoints"]  # fmt: skip
    return [point["Maximum"] for point in points]


# ---------------------------------------------------------------- Logs Insights


class Stream:
    """Lines of a log, a second apart."""

    log_stream_name = name = "a stream"

    def __init__(self, *lines):
        self.events = [type("Event", (), {"timestamp": n * 1000, "message": line}) for n, line in enumerate(lines)]
        self.streams = {"a stream": self}


LINES = Stream(
    "START RequestId: 1",
    '{"message": "Done", "key": "a/b.mp4", "spent": 5, "nested": {"list": [7, 8]}}',
    '{"message": "Done", "key": "c.mp4", "spent": 12, "reason": "it\'s cut | off"}',
    "Task timed out",
)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("fields key, spent | filter spent > 5", [["c.mp4", "12"]]),
        ("fields nested.list.1 as second | filter ispresent(second)", [["8"]]),
        ("fields key | filter message = 'Done' | sort spent asc", [["a/b.mp4"], ["c.mp4"]]),
        ("fields key | filter message = 'Done' | sort @timestamp desc | limit 1", [["c.mp4"]]),
        ("fields @message | filter not ispresent(key) and @message like /timed.out|X/", [["Task timed out"]]),
        ("fields key | filter @message like 'cut | off'", [["c.mp4"]]),
        ("fields key | filter key in ['c.mp4', 'd.mp4'] or (spent < 6 and spent >= 5)", [["c.mp4"], ["a/b.mp4"]]),
        ("fields coalesce(reason, 'fine') as why | filter spent != 12", [["fine"]]),
        ("stats count(*) as n, max(spent), latest(key) as newest by message | sort message desc",
         [["Done", "2", "12", "c.mp4"], ["2"]]),
        ("# a remark | with a bar\nfields key | filter spent = 5", [["a/b.mp4"]]),
    ],
)  # fmt: skip
def test_a_query_is_answered_as_insights_documents(query, rows):
    assert [list(row.values()) for row in insights.execute([LINES], query, 0, 10)] == rows


@pytest.mark.parametrize(
    "query",
    [
        "parse @message '*' as x",
        "fields strlen(key)",
        "fields @duration",
        "filter key =",
        "filter key ~= 'a'",
        "stats pct(spent, 90)",
        "sort spent sideways",
        "limit many",
        "filter spent = 1 2",
    ],
)
def test_an_unsupported_query_is_refused(deployed, query):
    with pytest.raises(ClientError, match="MalformedQuery"):
        deployed.client("logs").start_query(
            logGroupName=deployed.outputs["Log"], queryString=query, startTime=0, endTime=int(time.time())
        )


@pytest.fixture(scope="module")
def logged(deployed):
    deployed.upload("logged.mp4")
    deployed.result("logged.mp4")


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("pattern", ['{ $.key = "a" }', "?START ?END", "-START", '"START" END', "%ST.*%", "[a, b]"])
def test_an_unsupported_filter_is_refused(deployed, pattern):
    with pytest.raises(ClientError, match="InvalidParameterException"):
        deployed.client("logs").filter_log_events(logGroupName=deployed.outputs["Log"], filterPattern=pattern)


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(("pattern", "found"), [("nothing ever says this", False), ('"INIT_START Runtime"', True)])
def test_filters_find_words_and_quoted_terms(deployed, pattern, found):
    log = deployed.client("logs").filter_log_events(logGroupName=deployed.outputs["Log"], filterPattern=pattern)
    assert bool(log["events"]) == found
    assert all("INIT_START" in event["message"] for event in log["events"])


def test_saved_queries_are_kept_changed_and_deleted(deployed):
    logs = deployed.client("logs")
    [ours] = logs.describe_query_definitions(queryDefinitionNamePrefix="everything")["queryDefinitions"]
    assert (ours["queryString"], ours["logGroupNames"]) == ("fields @message", [deployed.outputs["Log"]])
    named = logs.put_query_definition(name="mine/one", queryString="limit 1")["queryDefinitionId"]
    logs.put_query_definition(name="mine/one", queryString="limit 2", queryDefinitionId=named)
    [mine] = logs.describe_query_definitions(queryDefinitionNamePrefix="mine/")["queryDefinitions"]
    assert (mine["queryDefinitionId"], mine["queryString"]) == (named, "limit 2")
    assert logs.delete_query_definition(queryDefinitionId=named)["success"]
    with pytest.raises(ClientError, match="no such query definition"):
        logs.delete_query_definition(queryDefinitionId=named)
