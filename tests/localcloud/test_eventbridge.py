"""S3's events through EventBridge: format, rules, and undeliverable events."""

import contextlib
import io
import json

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.support.deployed import wait_for
from tools.localcloud.eventbridge import patterns

KEY = "incoming/a b+é%2B/🎬.mp4"
BODY = b"12345678"
ETAG = "25d55ad283aa400af464c76d713c07ad"  # its MD5
ON = {"EventBridgeConfiguration": {}}
BUCKETS = {"plain-one": None, "suspended-one": "Suspended", "versioned-one": "Enabled"}


@pytest.fixture(scope="module", autouse=True)
def buckets(deployed):
    """Three existing buckets with EventBridge turned on."""
    s3 = deployed.client("s3")
    for name, versioning in BUCKETS.items():
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
        for status in ["Enabled", versioning] if versioning else []:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": status})
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )


def result(deployed, bucket, key):
    """What the function wrote about an object; None if nothing yet."""
    with contextlib.suppress(ClientError):
        return json.loads(deployed.client("s3").get_object(Bucket=bucket, Key=f"results/{key}.json")["Body"].read())


def put(deployed, bucket, key, **more):
    return deployed.client("s3").put_object(Bucket=bucket, Key=key, Body=BODY, **more)


@pytest.mark.parametrize("bucket", BUCKETS)
def test_an_upload_reaches_the_function_in_eventbridges_format(deployed, bucket):
    stored = put(deployed, bucket, KEY)
    got = wait_for(lambda: result(deployed, bucket, KEY))
    event, region = got["event"], deployed.cloud.environ["AWS_REGION"]
    described = event["detail"]["object"]
    version = {None: None, "Suspended": "null", "Enabled": stored.get("VersionId")}[BUCKETS[bucket]]
    assert described.pop("version-id", None) == version
    assert int(described.pop("sequencer"), 16) > 0
    assert described == {"key": KEY, "size": len(BODY), "etag": ETAG}
    assert event["detail"]["bucket"] == {"name": bucket}
    assert event["detail"]["reason"] == "PutObject"
    envelope = {name: event[name] for name in ("version", "source", "detail-type", "account", "region", "resources")}
    assert envelope == {
        "version": "0", "source": "aws.s3", "detail-type": "Object Created", "account": "123456789012",
        "region": region, "resources": [f"arn:aws:s3:::{bucket}"],
    }  # fmt: skip
    assert {"id", "time"} == event.keys() - envelope.keys() - {"detail"}
    assert got["head"] == "1234"
    wait_for(lambda: f"START RequestId: {got['request']} " in deployed.log())


def test_a_later_upload_of_a_key_has_a_greater_sequencer(deployed):
    sequencers = []
    for _ in range(2):
        put(deployed, "plain-one", "incoming/twice.mp4")
        wait_for(lambda: result(deployed, "plain-one", "incoming/twice.mp4"))
        told = deployed.client("s3").get_object(Bucket="plain-one", Key="results/incoming/twice.mp4.json")
        sequencers.append(json.loads(told["Body"].read())["event"]["detail"]["object"]["sequencer"])
        deployed.client("s3").delete_object(Bucket="plain-one", Key="results/incoming/twice.mp4.json")
    assert sequencers[0] < sequencers[1]


@pytest.fixture
def heard(deployed):
    """A queue with every event of one bucket."""
    sqs, events = deployed.client("sqs"), deployed.client("events")
    rule = events.put_rule(Name="all", EventPattern=json.dumps({"detail": {"bucket": {"name": ["versioned-one"]}}}))
    url = sqs.create_queue(QueueName="all")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
             "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule["RuleArn"]}}}  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allow]})})
    events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn}])

    def received(count):
        found = []

        def complete():
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            found.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
            return len(found) >= count

        wait_for(complete)
        return found

    yield received
    events.remove_targets(Rule="all", Ids=["queue"])
    events.delete_rule(Name="all")
    sqs.delete_queue(QueueUrl=url)


def test_every_request_causes_one_event_of_its_kind(deployed, heard):
    s3, where = deployed.client("s3"), {"Bucket": "versioned-one"}
    first = put(deployed, "versioned-one", "by/put.txt", Tagging="customer=4711")["VersionId"]
    s3.copy_object(**where, Key="by/copy.txt", CopySource={**where, "Key": "by/put.txt"})
    parts = TransferConfig(multipart_threshold=1, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(BODY * (1 << 20)), "versioned-one", "by/parts.txt", Config=parts)
    s3.put_object_tagging(**where, Key="by/put.txt", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object_tagging(**where, Key="by/put.txt")
    s3.delete_object(**where, Key="by/put.txt", VersionId=first)
    events = heard(6)
    told = [(one["detail-type"], one["detail"].get("reason"), one["detail"]["object"]["key"]) for one in events]
    assert sorted(told, key=str) == sorted([
        ("Object Created", "PutObject", "by/put.txt"),
        ("Object Created", "CopyObject", "by/copy.txt"),
        ("Object Created", "CompleteMultipartUpload", "by/parts.txt"),
        ("Object Tags Added", None, "by/put.txt"),
        ("Object Tags Deleted", None, "by/put.txt"),
        ("Object Deleted", "DeleteObject", "by/put.txt"),
    ], key=str)  # fmt: skip
    [deleted] = [one["detail"] for one in events if one["detail-type"] == "Object Deleted"]
    assert deleted["deletion-type"] == "Permanently Deleted"
    assert deleted["object"].keys() == {"key", "version-id", "sequencer"}


def test_events_that_do_not_match_the_pattern_are_not_delivered(deployed):
    others = ["elsewhere/a.mp4", "incoming/a.mov", "incoming/a.Mp4", "incoming/a.mp4.txt", "Incoming/a.mp4"]
    for key in others:
        put(deployed, "plain-one", key)
    deployed.upload("incoming/of the stack.mp4")  # whose bucket has no EventBridge
    put(deployed, "plain-one", "incoming/last.MP4")
    wait_for(lambda: result(deployed, "plain-one", "incoming/last.MP4"))
    wait_for(deployed.settled)
    assert not [key for key in others if result(deployed, "plain-one", key)]
    assert "event" not in deployed.result("incoming/of the stack.mp4")


def test_a_disabled_rule_does_not_fire(deployed):
    events, rule = deployed.client("events"), deployed.outputs["Rule"]
    events.disable_rule(Name=rule)
    put(deployed, "plain-one", "incoming/while disabled.mp4")
    events.enable_rule(Name=rule)
    put(deployed, "plain-one", "incoming/while enabled.mp4")
    wait_for(lambda: result(deployed, "plain-one", "incoming/while enabled.mp4"))
    wait_for(deployed.settled)
    assert result(deployed, "plain-one", "incoming/while disabled.mp4") is None


def kept(deployed, key):
    """Body and attributes of the message about an object in the failed-events queue."""
    sqs = deployed.client("sqs")

    def found():
        got = sqs.receive_message(QueueUrl=deployed.outputs["Queue"], MaxNumberOfMessages=10, VisibilityTimeout=0,
                                  MessageAttributeNames=["All"])  # fmt: skip
        return next((one for one in got.get("Messages", []) if key in one["Body"]), None)

    message = wait_for(found)
    sqs.delete_message(QueueUrl=deployed.outputs["Queue"], ReceiptHandle=message["ReceiptHandle"])
    attributes = {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
    return json.loads(message["Body"]), attributes


def test_lambda_retries_and_keeps_events_that_the_function_fails_to_process(deployed):
    put(deployed, "plain-one", "incoming/raise.mp4")
    record, attributes = kept(deployed, "incoming/raise.mp4")
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestPayload"]["detail"]["object"]["key"] == "incoming/raise.mp4"
    assert attributes == {}


@contextlib.contextmanager
def without_permission(deployed):
    functions, name = deployed.client("lambda"), deployed.outputs["Function"]
    statements = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
    [ours] = [one for one in statements if one["Principal"] == {"Service": "events.amazonaws.com"}]
    functions.remove_permission(FunctionName=name, StatementId=ours["Sid"])
    yield
    functions.add_permission(FunctionName=name, StatementId=ours["Sid"], Action=ours["Action"],
                             Principal="events.amazonaws.com", SourceArn=rule_arn(deployed))  # fmt: skip


def rule_arn(deployed):
    return deployed.client("events").describe_rule(Name=deployed.outputs["Rule"])["Arn"]


def test_without_permission_the_event_is_kept_in_the_rules_queue(deployed):
    with without_permission(deployed):
        put(deployed, "plain-one", "incoming/not allowed.mp4")
        event, attributes = kept(deployed, "incoming/not allowed.mp4")
    assert event["detail"]["object"]["key"] == "incoming/not allowed.mp4"
    assert event["detail-type"] == "Object Created"
    message = attributes.pop("ERROR_MESSAGE")
    assert deployed.outputs["FunctionArn"] in message
    assert attributes == {
        "RULE_ARN": rule_arn(deployed), "TARGET_ARN": deployed.outputs["FunctionArn"],
        "ERROR_CODE": "NO_PERMISSIONS", "RETRY_ATTEMPTS": "0",
    }  # fmt: skip
    assert result(deployed, "plain-one", "incoming/not allowed.mp4") is None


@contextlib.contextmanager
def another_target(deployed, **target):
    """The rule with a second target."""
    events, rule = deployed.client("events"), deployed.outputs["Rule"]
    events.put_targets(Rule=rule, Targets=[{"Id": "another", **target}])
    yield
    events.remove_targets(Rule=rule, Ids=["another"])


def test_events_for_a_deleted_function_are_kept_in_the_rules_queue(deployed):
    gone, queue = deployed.outputs["FunctionArn"] + "-gone", deployed.outputs["QueueArn"]
    with another_target(deployed, Arn=gone, DeadLetterConfig={"Arn": queue}):
        put(deployed, "plain-one", "incoming/for nobody.mp4")
        event, attributes = kept(deployed, "incoming/for nobody.mp4")
    assert event["detail"]["object"]["key"] == "incoming/for nobody.mp4"
    assert (attributes["ERROR_CODE"], attributes["TARGET_ARN"]) == ("NO_RESOURCE", gone)
    assert wait_for(lambda: result(deployed, "plain-one", "incoming/for nobody.mp4")), "the other target has it"


@pytest.mark.parametrize("statement", [
    None,
    {"Principal": {"Service": "lambda.amazonaws.com"}},
    {"Principal": {"Service": "events.amazonaws.com"},
     "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-central-2:123456789012:rule/another"}}},
])  # fmt: skip
def test_a_queue_whose_policy_does_not_name_the_rule_keeps_nothing(deployed, statement):
    sqs = deployed.client("sqs")
    url = sqs.create_queue(QueueName="closed")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn} | (statement or {})
    policy = json.dumps({"Statement": [allow]}) if statement else ""
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    with another_target(deployed, Arn=arn + "-gone", DeadLetterConfig={"Arn": arn}):
        put(deployed, "plain-one", "incoming/lost.mp4")
    wait_for(lambda: f"The policy of {arn} does not let" in (deployed.cloud.state / "server.log").read_text())
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.parametrize(("service", "waits"), [("events.amazonaws.com", True), ("sns.amazonaws.com", False)])
def test_an_encrypted_queue_keeps_events_only_if_its_key_admits_eventbridge(deployed, service, waits):
    kms, sqs = deployed.client("kms"), deployed.client("sqs")
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "kms:*", "Resource": "*"}
    key = kms.create_key(Policy=json.dumps({"Statement": [statement]}))["KeyMetadata"]["Arn"]
    url = sqs.create_queue(QueueName="encrypted", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn, "Principal": "*"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allow]})})
    with another_target(deployed, Arn=arn + "-gone", DeadLetterConfig={"Arn": arn}):
        put(deployed, "plain-one", "incoming/encrypted.mp4")
    lost = f"The key of {arn} does not let"
    if waits:
        assert wait_for(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    else:
        wait_for(lambda: lost in (deployed.cloud.state / "server.log").read_text())
        assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.delete_queue(QueueUrl=url)


# ---------------------------------------------------------------- Turning it on


def test_a_configuration_survives_being_read_and_written(deployed):
    s3, where = deployed.client("s3"), {"Bucket": deployed.outputs["Bucket"]}

    def read():
        answer = s3.get_bucket_notification_configuration(**where)
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    before = read()
    assert "EventBridgeConfiguration" not in before
    names = {
        rule["Name"] for one in before["LambdaFunctionConfigurations"] for rule in one["Filter"]["Key"]["FilterRules"]
    }
    assert names == {"Suffix"}, "S3 returns capitalized names"
    wanted = before | {"EventBridgeConfiguration": {}}
    s3.put_bucket_notification_configuration(**where, NotificationConfiguration=wanted)
    try:
        assert read() == wanted
        s3.put_bucket_notification_configuration(**where, NotificationConfiguration=read())
        assert read() == wanted
        deployed.upload("still announced.mp4")
        assert deployed.result("still announced.mp4")
    finally:
        s3.put_bucket_notification_configuration(**where, NotificationConfiguration=before)
    assert read() == before


def test_writing_a_configuration_replaces_all_of_it(deployed):
    s3, where = deployed.client("s3"), {"Bucket": "plain-one"}
    sqs = deployed.client("sqs")
    url = sqs.create_queue(QueueName="direct")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    queue = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(**where, NotificationConfiguration=queue)
    try:
        assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(**where)
        [test] = wait_for(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
        assert json.loads(test["Body"])["Event"] == "s3:TestEvent"
        put(deployed, "plain-one", "incoming/turned off.mp4")
        heard: list[str] = []

        def ours() -> bool:  # other tests' uploads may still have results
            bodies = [json.loads(one["Body"]) for one in sqs.receive_message(QueueUrl=url).get("Messages", [])]
            heard.extend(record["s3"]["object"]["key"] for body in bodies for record in body["Records"])
            return "incoming/turned+off.mp4" in heard

        wait_for(ours)
    finally:
        s3.put_bucket_notification_configuration(**where, NotificationConfiguration=ON)
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(**where)
    wait_for(deployed.settled)
    assert result(deployed, "plain-one", "incoming/turned off.mp4") is None


# ---------------------------------------------------------------- Patterns


def of(key, bucket="b", kind="Object Created"):
    return {"source": "aws.s3", "detail-type": kind, "detail": {"bucket": {"name": bucket}, "object": {"key": key}}}


@pytest.mark.parametrize(
    ("wanted", "yes", "no"),
    [
        ("a/b", ["a/b"], ["a/B", "a/b/", "xa/b"]),
        ({"prefix": "in/"}, ["in/a", "in/"], ["In/a", "a/in/"]),
        ({"suffix": ".mp4"}, ["a.mp4", ".mp4"], ["a.mp4.txt", "a.MP4"]),
        ({"suffix": {"equals-ignore-case": ".mp4"}}, ["a.mp4", "a.Mp4"], ["a.mov"]),
        ({"prefix": {"equals-ignore-case": "in/"}}, ["in/a", "IN/a"], ["out/a"]),
        ({"equals-ignore-case": "a.mp4"}, ["A.MP4"], ["a.mp4 "]),
        ({"wildcard": "in/*.mp4"}, ["in/.mp4", "in/a.mp4", "in/a/b.mp4", "in/a\nb.mp4"], ["in/a.MP4", "xin/a.mp4"]),
        ({"wildcard": "*"}, ["", "anything"], []),
        ({"wildcard": "a?[b]*"}, ["a?[b]c"], ["axb", "a?b"]),
        ({"wildcard": r"a\*b*"}, ["a*b", "a*bc"], ["axb"]),
        ({"wildcard": r"a\\*"}, ["a\\", "a\\b"], ["a*"]),
    ],
)
def test_an_operator_matches_what_eventbridge_documents(wanted, yes, no):
    pattern = {"detail": {"object": {"key": ["never", wanted]}}}
    patterns.check(pattern)
    assert [key for key in (*yes, *no) if patterns.matches(pattern, of(key))] == yes


def test_every_field_must_exist_and_match():
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": ["b", "c"]}, "object": {"key": [{"prefix": "in/"}]}}}
    assert patterns.matches(pattern, of("in/a"))
    assert patterns.matches(pattern, of("in/a", bucket="c"))
    assert not patterns.matches(pattern, of("in/a", bucket="d"))
    assert not patterns.matches(pattern, of("in/a") | {"source": "mine"})
    assert not patterns.matches(pattern | {"time": [{"wildcard": "*"}]}, of("in/a"))
    assert not patterns.matches({"detail": {"object": {"key": {"inner": ["a"]}}}}, of("in/a"))
    assert patterns.matches({"resources": ["x"]}, of("a") | {"resources": ["y", "x"]})


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ({"source": [{"anything-but": "aws.s3"}]}, "does not support {'anything-but'"),
        ({"source": [{"exists": True}]}, "does not support {'exists'"),
        ({"detail": {"object": {"size": [{"numeric": [">", 0]}]}}}, "does not support {'numeric'"),
        ({"detail": {"object": {"size": [5]}}}, "does not support 5"),
        ({"source": [None]}, "does not support None"),
        ({"$or": [{"source": ["aws.s3"]}, {"source": ["mine"]}]}, r"does not support \$or"),
        ({"source": [{"prefix": "a", "suffix": "b"}]}, "does not support {'prefix'"),
        ({"source": [{"wildcard": "a**"}]}, "two wildcards in a row"),
        ({"source": [{"wildcard": r"a\b"}]}, "invalid escape"),
        ({"source": [{"prefix": 5}]}, "does not support {'prefix': 5}"),
        ({"source": "aws.s3"}, "must be an object"),
        ({"source": []}, "must not be empty"),
        ({"detail": {}}, "at least one field"),
        ({"source": ["x" * 2048]}, "more than 2048"),
    ],
)
def test_an_unsupported_pattern_is_refused(deployed, pattern, complaint):
    events = deployed.client("events")
    with pytest.raises(ClientError, match=complaint) as refused:
        events.put_rule(Name="refused", EventPattern=json.dumps(pattern))
    assert refused.value.response["Error"]["Code"] == "InvalidEventPatternException"
    assert not events.list_rules(NamePrefix="refused")["Rules"]


def test_rules_targets_and_events_of_other_kinds_are_refused(deployed):
    events, rule, arn = deployed.client("events"), deployed.outputs["Rule"], deployed.outputs["FunctionArn"]
    topic = "arn:aws:sns:eu-central-2:123456789012:t"
    with pytest.raises(ClientError, match="rules with patterns"):
        events.put_rule(Name="refused", ScheduleExpression="rate(1 minute)")
    with pytest.raises(ClientError, match=r"does not support .*Input"):
        events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": arn, "Input": "{}"}])
    with pytest.raises(ClientError, match="cannot deliver events to"):
        events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": topic}])
    with pytest.raises(ClientError, match="accepts only events"):
        events.put_events(Entries=[{"Source": "mine", "DetailType": "x", "Detail": "{}"}])
