"""Lambda in the local cloud: the package in a child process, from events to the on-failure destination."""

import io
import json
import time
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from tests.support.deployed import wait_for


def invoke(deployed, payload, **options):
    return deployed.client("lambda").invoke(
        FunctionName=deployed.outputs["Function"], Payload=json.dumps(payload), **options
    )


def metric(deployed, namespace, name, dimensions, statistic="Sum"):
    now = datetime.now(UTC)
    points = deployed.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=7200,
        Statistics=[statistic],
    )["Datapoints"]
    return sum(point[statistic] for point in points)


def test_the_function_has_lambdas_environment_and_not_this_machines(deployed):
    answer = invoke(deployed, {"some": "thing"}, LogType="Tail")
    seen = json.loads(answer["Payload"].read())
    assert seen["event"] == {"some": "thing"}
    assert {"TOPIC", "GREETING", "NUMBER", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME"} <= set(seen["environment"])
    assert not {"HOME", "USER", "VIRTUAL_ENV", "SHELL"} & set(seen["environment"])
    assert seen["modules"] == []


def test_a_response_has_the_functions_request_id(deployed):
    answer = invoke(deployed, {})
    assert (
        answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"] == json.loads(answer["Payload"].read())["request"]
    )


def test_an_event_has_one_request_id_from_acceptance_to_its_record(deployed):
    key = "raise and compare.mp4"
    accepted = invoke(deployed, {"Records": [{"s3": {"object": {"key": key}}}]}, InvocationType="Event")
    told = accepted["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    assert told == deployed.dead_letter(key)["requestContext"]["requestId"]
    wait_for(lambda: f"START RequestId: {told} " in deployed.log())


def test_a_dry_run_runs_nothing(deployed):
    assert invoke(deployed, {"busy": 60}, InvocationType="DryRun")["StatusCode"] == 204


def test_an_import_error_is_reported(deployed):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("handler.py", "import av  # which this package forgot")
    functions = deployed.client("lambda")
    role = functions.get_function_configuration(FunctionName=deployed.outputs["Function"])["Role"]
    functions.create_function(FunctionName="incomplete", Role=role, Runtime="python3.13", Handler="handler.handler",
                              Code={"ZipFile": package.getvalue()})  # fmt: skip
    answer = functions.invoke(FunctionName="incomplete")
    assert answer["FunctionError"] == "Unhandled"
    told = json.loads(answer["Payload"].read())
    assert told["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'av'" in told["errorMessage"]
    functions.delete_function(FunctionName="incomplete")


def test_a_topic_calls_a_function_that_subscribes(deployed):
    sns = deployed.client("sns")
    topic = sns.create_topic(Name="calling")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=deployed.outputs["FunctionArn"])
    sns.publish(TopicArn=topic, Message="a thing")
    wait_for(lambda: "heard of: a thing" in deployed.log())


def test_the_metrics_of_an_invocation_have_the_time_of_its_start(deployed):
    invoke(deployed, {})  # from here on it is warm
    began = time.time()
    invoke(deployed, {"busy": 2})
    ended = time.time()
    points = deployed.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName="Duration", Period=1, Statistics=["Maximum"],
        Dimensions=[{"Name": "FunctionName", "Value": deployed.outputs["Function"]}],
        StartTime=int(began), EndTime=int(ended) + 1,
    )["Datapoints"]  # fmt: skip
    [long] = [point for point in points if point["Maximum"] >= 2000]
    assert ended - long["Timestamp"].timestamp() >= 2


def test_an_object_can_be_hidden_for_a_while_as_in_a_new_bucket(deployed):
    deployed.cloud.control("POST", "faults", kind="hide", event="young.mp4", attempt=1)
    try:
        deployed.upload("young.mp4")
        assert deployed.result("young.mp4")["head"] == "1234"
    finally:
        deployed.cloud.control("DELETE", "faults")
    begins = f"/{deployed.outputs['Bucket']}/young."
    tried = [call for call in deployed.cloud.control("GET", "calls") if call["path"].startswith(begins)]
    assert [(call["attempt"], call["operation"], call["fault"]) for call in tried] == [
        (1, "s3:GetObject", "hide"),
        (2, "s3:GetObject", ""),
        (2, "s3:PutObjectTagging", ""),
    ]
    wait_for(lambda: "NoSuchKey" in deployed.log())


def test_an_upload_is_processed_with_its_version_tags_mail_log_and_metric(deployed):
    version = deployed.upload("some where/bad größe + 😀.mp4")
    result = deployed.result("some where/bad größe + 😀.mp4")
    stored = result["record"]["s3"]["object"]
    assert stored["key"] == "some+where/bad+gr%C3%B6%C3%9Fe+%2B+%F0%9F%98%80.mp4"
    assert (stored["versionId"], stored["size"], result["head"]) == (version, 8, "1234")
    tags = deployed.client("s3").get_object_tagging(
        Bucket=deployed.outputs["Bucket"], Key="some where/bad größe + 😀.mp4", VersionId=version
    )
    assert tags["TagSet"] == [{"Key": "seen", "Value": "yes"}]
    mails = wait_for(lambda: [m for m in deployed.cloud.mailbox.glob("*.eml") if "Grüße" in m.read_text()])
    text = mails[0].read_text(encoding="utf-8")
    assert "To: someone@example.com" in text
    assert "Subject: An outcome" in text
    assert "no-reply@sns.amazonaws.com" in text
    wait_for(lambda: metric(deployed, "Test", "Seen", {"Stage": "test"}) >= 2)
    assert wait_for(lambda: f"REPORT RequestId: {result['request']}" in deployed.log())


def test_with_a_reserved_concurrency_of_0_events_fail_immediately(deployed):
    limits, name = deployed.client("lambda"), deployed.outputs["Function"]
    limits.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        deployed.upload("while stopped.mp4")
        assert deployed.dead_letter("while+stopped.mp4")["requestContext"]["approximateInvokeCount"] == 0
    finally:
        limits.delete_function_concurrency(FunctionName=name)


def test_each_protocol_has_its_message_format(deployed):
    sns, sqs = deployed.client("sns"), deployed.client("sqs")
    topic, url = sns.create_topic(Name="forms")["TopicArn"], sqs.create_queue(QueueName="forms")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="email-json", Endpoint="program@example.com")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "false"})
    sns.publish(TopicArn=topic, Subject="Forms", Message="said")
    [message] = wait_for(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert json.loads(message["Body"])["Message"] == "said", "in an envelope"
    mails = wait_for(lambda: [m for m in deployed.cloud.mailbox.glob("*.eml") if "program@" in m.read_text()])
    assert '"Message": "said"' in mails[0].read_text()
    sns.delete_topic(TopicArn=topic)


def test_a_filter_policy_drops_mails(deployed):
    deployed.upload("fine.mp4")
    deployed.result("fine.mp4")
    deployed.upload("bad after fine.mp4")
    wait_for(lambda: any("bad after fine" in mail.read_text() for mail in deployed.cloud.mailbox.glob("*.eml")))
    assert not any("fine.mp4 is done" in m.read_text() and "bad" not in m.read_text()
                   for m in deployed.cloud.mailbox.glob("*.eml"))  # fmt: skip


@pytest.mark.parametrize(
    ("key", "error", "attempts"),
    [
        ("raise.mp4", "ValueError", 3),
        ("exit.mp4", "Runtime.ExitError", 3),
        ("grow.mp4", "Runtime.OutOfMemory", 3),
        ("sleep.mp4", "Sandbox.Timedout", 3),
    ],
)
def test_a_failing_event_is_retried_and_then_kept(deployed, key, error, attempts):
    deployed.upload(key)
    letter = deployed.dead_letter(key)
    assert letter["requestContext"]["condition"] == "RetriesExhausted"
    assert letter["requestContext"]["approximateInvokeCount"] == attempts
    assert letter["requestContext"]["functionArn"] == deployed.outputs["FunctionArn"] + ":$LATEST"
    assert letter["responsePayload"]["errorType"] == error
    assert letter["responseContext"]["functionError"] == "Unhandled"
    if key == "sleep.mp4":
        wait_for(lambda: "Task timed out after 3.00 seconds" in deployed.log())


def test_a_failed_event_triggers_the_alarm(deployed):
    deployed.upload("raise and ring.mp4")
    deployed.dead_letter("raise+and+ring.mp4")
    name = deployed.outputs["Alarm"]

    def state():
        [alarm] = deployed.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return alarm["StateValue"]

    wait_for(lambda: state() == "ALARM")
    mails = wait_for(lambda: [m for m in deployed.cloud.mailbox.glob("*.eml") if f'ALARM: "{name}"' in m.read_text()])
    assert f'Subject: ALARM: "{name}" in EU (Zurich)' in mails[0].read_text()
    assert "Threshold Crossed: 1 out of the last 1 datapoints" in mails[0].read_text()
    [share] = deployed.client("cloudwatch").describe_alarms(AlarmNames=[deployed.outputs["ShareAlarm"]])["MetricAlarms"]
    assert share["StateValue"] == "ALARM"
    assert metric(deployed, "AWS/Lambda", "Errors", {"FunctionName": deployed.outputs["Function"]}) >= 3


def test_beyond_the_reserved_concurrency_calls_are_throttled_and_events_are_queued(deployed):
    functions, name = deployed.client("lambda"), deployed.outputs["Function"]
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(functions.exceptions.TooManyRequestsException):
        invoke(deployed, {})
    before = metric(deployed, "AWS/Lambda", "Throttles", {"FunctionName": name})
    assert before >= 1
    with deployed.busy(2):
        deployed.upload("patient.mp4")
        wait_for(lambda: metric(deployed, "AWS/Lambda", "Throttles", {"FunctionName": name}) > before)
    assert deployed.result("patient.mp4")


def test_a_package_that_was_deleted_is_refused_and_the_function_stays_as_it_was(deployed):
    s3, functions, name = deployed.client("s3"), deployed.client("lambda"), deployed.outputs["Function"]
    deleted = {"Bucket": deployed.outputs["Bucket"], "Key": "deleted.zip"}  # it keeps versions
    s3.put_object(**deleted, Body=b"")
    s3.delete_object(**deleted)
    before = functions.get_function_configuration(FunctionName=name)["CodeSha256"]
    with pytest.raises(ClientError, match="NoSuchKey"):
        functions.update_function_code(FunctionName=name, S3Bucket=deleted["Bucket"], S3Key=deleted["Key"])
    assert functions.get_function_configuration(FunctionName=name)["CodeSha256"] == before
