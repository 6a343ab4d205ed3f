"""Every parameter, with both values of every condition: valid values, and what it changes."""

import json
from typing import Any

import pytest

from tests.support.template import (
    EVERYTHING,
    KEY,
    PSEUDO,
    RESOURCES,
    SIDES,
    TEMPLATE,
    WITH_BATCH,
    WITH_EMAIL,
    WITH_KEY,
    Rendered,
    accepts,
    as_list,
    schema,
    statements,
)
from video_intake import publisher, uploads

# The resources' properties for keys, from AWS's schemas.
KEY_PROPERTIES = {"BucketEncryption", "KmsKeyArn", "KmsKeyId", "KmsMasterKeyId", "SSESpecification"}


def test_every_condition_is_tested_both_ways() -> None:
    assert SIDES.keys() == TEMPLATE["Conditions"].keys()
    everything = Rendered(EVERYTHING)
    for name, declared in TEMPLATE["Conditions"].items():
        assert not Rendered({}).holds(declared), name
        assert Rendered(SIDES[name]).holds(declared), name
        assert everything.holds(declared), name


@pytest.mark.parametrize("condition", SIDES)
def test_a_condition_changes_something_and_both_templates_are_complete(condition: str) -> None:
    before, after = Rendered({}), Rendered(WITH_EMAIL | SIDES[condition])
    if condition == "IsEveryOutcomeEmailed":
        before = Rendered(WITH_EMAIL)
    assert json.dumps(before.resources) != json.dumps(after.resources)
    for rendered in (before, after):
        text = json.dumps(rendered.resources) + json.dumps(rendered.outputs)
        assert "Fn::" not in text
        assert "null" not in text


@pytest.mark.parametrize(
    ("parameter", "value", "accepted"),
    [
        ("KmsKeyArn", "", True),
        ("KmsKeyArn", KEY, True),
        ("KmsKeyArn", "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
        ("KmsKeyArn", "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
        ("KmsKeyArn", "arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
        ("KmsKeyArn", f"arn:aws:kms:us-east-1:111122223333:key/mrk-{'0123456789abcdef' * 2}", True),
        ("KmsKeyArn", "1234abcd-12ab-34cd-56ef-1234567890ab", False),
        ("KmsKeyArn", "alias/aws/sns", False),
        ("KmsKeyArn", "arn:aws:kms:eu-west-1:111122223333:alias/video", False),
        ("KmsKeyArn", KEY + "\n", False),
        ("KmsKeyArn", KEY.replace("111122223333", "11112222333"), False),
        ("KmsKeyArn", KEY.replace("kms", "s3"), False),
        ("KmsKeyArn", KEY.replace("1234abcd", "*"), False),
        ("AccessLogBucket", "", True),
        ("AccessLogBucket", "example-access-logs", True),
        ("AccessLogBucket", "logs.example.com", True),
        ("AccessLogBucket", "ab", False),
        ("AccessLogBucket", "a" * 64, False),
        ("AccessLogBucket", "Logs", False),
        ("AccessLogBucket", "-logs", False),
        ("AccessLogBucket", "s3://logs", False),
        ("AccessLogBucket", "arn:aws:s3:::logs", False),
        ("OriginalsStorageClass", "STANDARD", True),
        ("OriginalsStorageClass", "DEEP_ARCHIVE", True),
        ("OriginalsStorageClass", "ONEZONE_IA", False),
        ("OriginalsStorageClass", "", False),
        ("LogRetentionInDays", 2, False),
        ("ErrorsAlarmThreshold", 1, True),
        ("ErrorsAlarmThreshold", 0, False),
        ("ThrottlesAlarmThreshold", 1, True),
        ("FailedEventsAlarmThreshold", 1, True),
        ("EventAgeAlarmInMinutes", 1, True),
        ("DurationAlarmInSeconds", 1, True),
        ("FailedVideosAlarmInPercent", 1, True),
        ("FailedVideosAlarmInPercent", 100, True),
        ("FailedVideosAlarmInPercent", 101, False),
        ("FailedVideosAlarmMinimum", 1, True),
        ("OriginalsTransitionInDays", 30, True),
        ("OriginalsTransitionInDays", 29, False),
        ("OriginalsTransitionInDays", 3651, False),
    ],
)
def test_valid_and_invalid_parameter_values(parameter: str, value: Any, accepted: bool) -> None:
    assert accepts(parameter, value) is accepted


def test_the_console_shows_every_parameter_once_in_order_and_by_name() -> None:
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    shown = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert shown == list(TEMPLATE["Parameters"]) == list(interface["ParameterLabels"])
    assert all(label["default"] for label in [*interface["ParameterLabels"].values()])
    assert all(group["Label"]["default"] for group in interface["ParameterGroups"])


@pytest.mark.parametrize("parameter", TEMPLATE["Parameters"])
def test_a_parameter_is_explained_in_sentences(parameter: str) -> None:
    declared = TEMPLATE["Parameters"][parameter]
    assert declared["Description"].rstrip().endswith(".")
    assert declared["ConstraintDescription"].rstrip().endswith(".")


def test_every_log_retention_period_is_allowed() -> None:
    periods = schema("AWS::Logs::LogGroup")["properties"]["RetentionInDays"]["enum"]
    assert TEMPLATE["Parameters"]["LogRetentionInDays"]["AllowedValues"] == sorted(periods)


# ---------------------------------------------------------------- KmsKeyArn


def test_every_resource_that_supports_a_key_gets_the_users_key(stack_with_key: Rendered) -> None:
    taking = {name for name, body in RESOURCES.items() if KEY_PROPERTIES & schema(body["Type"])["properties"].keys()}
    assert {RESOURCES[name]["Type"] for name in taking} >= {
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::DynamoDB::Table",
        "AWS::Logs::LogGroup",
        "AWS::Lambda::Function",
    }
    for name in taking:
        given = {key: stack_with_key[name].get(key) for key in KEY_PROPERTIES}
        assert KEY in json.dumps(given), f"{name} is not encrypted with the user's key"


def test_without_a_key_no_resource_mentions_one() -> None:
    plain = Rendered({})
    text = json.dumps(plain.resources)
    assert "kms" not in text.lower()
    assert plain["FailedEventsQueue"]["SqsManagedSseEnabled"] is True
    assert plain["IdempotencyTable"]["SSESpecification"] == {"SSEEnabled": False}


def test_with_a_key_no_other_key_is_used(stack_with_key: Rendered) -> None:
    assert stack_with_key["IdempotencyTable"]["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": KEY,
    }
    assert "SqsManagedSseEnabled" not in stack_with_key["FailedEventsQueue"]  # SQS allows one of them


def test_the_bucket_uses_a_bucket_key(stack_with_key: Rendered) -> None:
    [rule] = stack_with_key["VideoBucket"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}


@pytest.mark.parametrize(
    ("role", "sid"), [("ProcessorRole", "UseKeyThroughServices"), ("BatchRole", "UseKeyThroughS3")]
)
def test_a_role_uses_only_that_key_and_only_through_services(stack_with_key: Rendered, role: str, sid: str) -> None:
    [policy] = stack_with_key[role]["Policies"]
    allowed = statements(policy["PolicyDocument"])
    assert [name for name, each in allowed.items() if "kms:" in json.dumps(each["Action"])] == [sid]
    assert allowed[sid]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert allowed[sid]["Resource"] == KEY
    services = ["dynamodb", "lambda", "logs", "s3", "sns", "sqs"] if role == "ProcessorRole" else ["s3"]
    through = allowed[sid]["Condition"].pop("StringLike")
    assert {name: as_list(some) for name, some in through.items()} == {
        "kms:ViaService": [f"{service}.eu-west-1.*" for service in services]
    }
    assert allowed[sid]["Condition"] == {}, "and no other condition"


# ---------------------------------------------------------------- The others


def test_access_logs_go_to_the_users_bucket_under_the_video_buckets_name() -> None:
    rendered = Rendered(SIDES["HasAccessLogBucket"])
    assert rendered["VideoBucket"]["LoggingConfiguration"] == {
        "DestinationBucketName": "example-access-logs",
        "LogFilePrefix": rendered["VideoBucket"]["BucketName"] + "/",
    }
    assert "LoggingConfiguration" not in Rendered({})["VideoBucket"]


def test_only_videos_tagged_playable_change_their_storage_class() -> None:
    rules = Rendered(SIDES["HasOriginalsTransition"])["VideoBucket"]["LifecycleConfiguration"]["Rules"]
    [moving] = [rule for rule in rules if "Transitions" in rule]
    assert moving["TagFilters"] == [{"Key": publisher.TAG + "status", "Value": "success"}]
    assert moving["Transitions"] == [{"StorageClass": "GLACIER_IR", "TransitionInDays": 90}]
    before = Rendered({})["VideoBucket"]["LifecycleConfiguration"]["Rules"]
    assert before == [rule for rule in rules if rule is not moving]


# ---------------------------------------------------------------- The whole, with everything switched on


def test_every_taggable_resource_has_project_and_environment_tags() -> None:
    for name, resource in Rendered(EVERYTHING).resources.items():
        if "Tags" in schema(resource["Type"])["properties"]:
            tags = {each["Key"]: each["Value"] for each in resource["Properties"]["Tags"]}
            assert tags == {"Project": "video-intake", "Environment": "dev"}, name


def test_every_action_and_every_resource_of_a_permission_is_named() -> None:
    for role in Rendered(EVERYTHING).of_type("AWS::IAM::Role").values():
        for policy in role["Policies"]:
            for sid, each in statements(policy["PolicyDocument"]).items():
                assert each["Effect"] == "Allow", sid
                assert not [action for action in as_list(each["Action"]) if "*" in action]
                assert "*" not in as_list(each["Resource"]), sid


def test_external_access_is_limited_to_this_account_and_one_source() -> None:
    stack = Rendered(EVERYTHING)
    declared = [body["Properties"] for body in stack.resources.values()]
    policies = [each["PolicyDocument"] for each in declared if "PolicyDocument" in each]
    let_in = [each for policy in policies for each in policy["Statement"] if each["Effect"] == "Allow"]
    assert let_in, "alarms, at least"
    for each in let_in:
        assert each["Principal"].keys() == {"Service"}
        [source] = [keys["aws:SourceArn"] for test, keys in each["Condition"].items() if test.startswith("Arn")]
        assert "*" not in source.rpartition(":")[0]
        told = each["Condition"].get("StringEquals", {"aws:SourceAccount": source.split(":")[4]})
        assert told == {"aws:SourceAccount": PSEUDO["AWS::AccountId"]}
    for permission in stack.of_type("AWS::Lambda::Permission").values():
        assert "*" not in permission["SourceArn"]
        account = permission.get("SourceAccount") or permission["SourceArn"].split(":")[4]
        assert account == PSEUDO["AWS::AccountId"], "a bucket's ARN names none"


def test_the_bucket_refuses_tls_below_1_2() -> None:
    denied = statements(Rendered({})["VideoBucketPolicy"]["PolicyDocument"])["DenyOldTls"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:*")
    assert denied["Resource"] == ["<VideoBucket.Arn>", "<VideoBucket.Arn>/*"]
    assert denied["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}


def test_only_the_function_writes_results_and_verdict_tags() -> None:
    denied = statements(Rendered({})["VideoBucketPolicy"]["PolicyDocument"])
    others = {"ArnNotEquals": {"aws:PrincipalArn": "<ProcessorRole.Arn>"}}
    assert denied["DenyResultsOfOthers"] == {
        "Sid": "DenyResultsOfOthers",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": [f"<VideoBucket.Arn>/{folder}*" for folder in (uploads.RESULTS, uploads.RESULTS_OF)],
        "Condition": others,
    }
    assert denied["DenyVerdictTagsOfOthers"] == {
        "Sid": "DenyVerdictTagsOfOthers",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
        "Resource": "<VideoBucket.Arn>/*",
        "Condition": others | {"ForAnyValue:StringLike": {"s3:RequestObjectTagKeys": f"{publisher.TAG}*"}},
    }


@pytest.fixture(scope="module")
def stack_with_key() -> Rendered:
    return Rendered(WITH_KEY | WITH_BATCH)
