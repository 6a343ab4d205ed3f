"""Values that must be the same in the template, the code, and other files."""

import inspect
import json
import re
from typing import Any, Final

import pytest
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

from tests.support.template import (
    EVERYTHING,
    PSEUDO,
    RESOURCES,
    SOURCES,
    TEMPLATE,
    Rendered,
    as_list,
    reference,
    references,
)
from video_intake import idempotency
from video_intake.media import storyboard
from video_intake.media.inspector import Limits

ALL: Final = Rendered(EVERYTHING)
RETRY_SECONDS: Final = 60  # Lambda's wait before its first retry of an event


# ---------------------------------------------------------------- The safety net and the code


def test_records_are_kept_longer_than_failed_events() -> None:
    assert ALL["FailedEventsQueue"]["MessageRetentionPeriod"] < idempotency.REMEMBERED_SECONDS


def test_a_crashs_lock_has_expired_when_lambda_retries() -> None:
    assert 0 < idempotency.LOCK_SECONDS < RETRY_SECONDS < ALL["ProcessorFunction"]["Timeout"]


def test_the_table_has_the_attributes_that_powertools_writes() -> None:
    attributes = inspect.signature(DynamoDBPersistenceLayer).parameters
    key = attributes["key_attr"].default
    assert ALL["IdempotencyTable"]["KeySchema"] == [{"AttributeName": key, "KeyType": "HASH"}]
    assert ALL["IdempotencyTable"]["AttributeDefinitions"] == [{"AttributeName": key, "AttributeType": "S"}]
    expires = {"AttributeName": attributes["expiry_attr"].default, "Enabled": True}
    assert ALL["IdempotencyTable"]["TimeToLiveSpecification"] == expires


# ---------------------------------------------------------------- The function's environment


def test_the_functions_limits_are_the_defaults_in_the_code() -> None:
    given, limits = Rendered({})["ProcessorFunction"]["Environment"]["Variables"], Limits()
    assert int(given["MAX_FRAME_PIXELS"]) == limits.max_pixels
    assert int(given["MAX_BYTES_READ"]) == limits.max_bytes
    assert int(given["POSTER_MAX_EDGE"]) == limits.poster_edge
    assert (given["STORYBOARD"] == "enabled") is limits.storyboard
    for chosen in ("enabled", "disabled"):
        function = Rendered({"Storyboard": chosen})["ProcessorFunction"]
        assert function["Environment"]["Variables"]["STORYBOARD"] == chosen


def test_the_price_of_a_storyboard_is_in_its_description() -> None:
    said = TEMPLATE["Parameters"]["Storyboard"]["Description"]
    assert f"up to {storyboard.FRAMES} thumbnails" in said
    assert f"up to {storyboard.MAX_BYTES >> 20} MB more" in said


def test_the_sender_of_an_email_names_the_environment() -> None:
    topics = Rendered({"EnvironmentSuffix": "prod"}).of_type("AWS::SNS::Topic")
    assert {topic["DisplayName"] for topic in topics.values()} == {"Video intake prod", "Video intake alarms prod"}


def test_the_environment_names_the_stacks_own_resources() -> None:
    given = ALL["ProcessorFunction"]["Environment"]["Variables"]
    assert given["OUTCOME_TOPIC_ARN"] == "<OutcomeTopic>"
    assert given["IDEMPOTENCY_TABLE"] == "<IdempotencyTable>"
    assert Rendered({"EnvironmentSuffix": "prod"})["ProcessorFunction"]["Environment"]["Variables"][
        "ENVIRONMENT_SUFFIX"
    ] == "prod"  # fmt: skip


def test_the_documented_metrics_are_those_that_the_function_emits() -> None:
    """Renaming a metric breaks other people's alarms and dashboards."""
    assert set(re.findall(r'add_metric\("(\w+)"', SOURCES)) == {
        "VideosProcessed", "SuccessfulProcessing", "ProcessingDuration", "DuplicateEvents",
    }  # fmt: skip
    given = ALL["ProcessorFunction"]["Environment"]["Variables"]
    assert (given["POWERTOOLS_METRICS_NAMESPACE"], given["POWERTOOLS_SERVICE_NAME"]) == ("VideoIntake", "video-intake")
    assert given["POWERTOOLS_LOG_LEVEL"] == "INFO"  # dashboard and saved queries count lines of this level
    assert given["MALLOC_ARENA_MAX"] == "1"


# ---------------------------------------------------------------- Policies and what they are attached to

ATTACHED: Final = {
    "AWS::S3::BucketPolicy": "Bucket",
    "AWS::SNS::TopicPolicy": "Topics",
    "AWS::SQS::QueuePolicy": "Queues",
}
POLICIES: Final = [name for name, body in RESOURCES.items() if body["Type"] in ATTACHED]


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_attached_to_the_resource_in_its_statements(name: str) -> None:
    body = RESOURCES[name]["Properties"]
    [attached_to] = references(body[ATTACHED[RESOURCES[name]["Type"]]])
    for declared in body["PolicyDocument"]["Statement"]:
        _, statement, *_ = declared.get("Fn::If", [None, declared])
        assert references(statement["Resource"]) == {attached_to}, statement["Sid"]


def test_every_bucket_topic_and_queue_has_a_policy() -> None:
    kinds = {kind.removesuffix("Policy") for kind in ATTACHED}
    attached = {
        target
        for name in POLICIES
        for target in references(RESOURCES[name]["Properties"][ATTACHED[RESOURCES[name]["Type"]]])
    }
    assert {name for name, body in RESOURCES.items() if body["Type"] in kinds} == attached


# ---------------------------------------------------------------- What is kept when it leaves the stack, or is replaced

KEPT: Final = {  # DeletionPolicy, UpdateReplacePolicy
    "VideoBucket": ("RetainExceptOnCreate", "Retain"),  # a failed first deployment leaves nothing that blocks the next
    "VideoBucketPolicy": ("RetainExceptOnCreate", "Retain"),  # the kept bucket refuses plain HTTP
    "ProcessorLogGroup": ("Delete", "Delete"),
    "IdempotencyTable": ("Delete", "Delete"),
    "FailedEventsQueue": ("Delete", "Retain"),  # its events belong to videos without a result
}


def test_every_stateful_resource_has_a_deletion_policy_and_no_other_is_kept() -> None:
    stateful = set(reference("StatefulResources")["ResourceTypes"])
    declared = {
        name: (body.get("DeletionPolicy"), body.get("UpdateReplacePolicy"))
        for name, body in RESOURCES.items()
        if body["Type"] in stateful or {"DeletionPolicy", "UpdateReplacePolicy"} & body.keys()
    }
    assert declared == KEPT


# ---------------------------------------------------------------- Outputs

SUBJECTS: Final = {
    "Bucket": "VideoBucket", "Results": "VideoBucket", "Function": "ProcessorFunction", "Role": "ProcessorRole",
    "LogGroup": "ProcessorLogGroup", "Logs": "ProcessorLogGroup", "OutcomeTopic": "OutcomeTopic",
    "AlarmTopic": "AlarmTopic", "IdempotencyTable": "IdempotencyTable", "FailedEventsQueue": "FailedEventsQueue",
    "BatchRole": "BatchRole", "Dashboard": "IntakeDashboard", "ExistingBucketResults": "VideoBucket",
    "ExistingBucketRule": "ExistingBucketRule",
}  # fmt: skip
REF_IS_THE_ARN: Final = {"AWS::SNS::Topic"}
REF_IS_THE_URL: Final = {"AWS::SQS::Queue"}
# The schema's version is of no resource, and the console lists all queues of a Region.
OTHERS: Final = {"ResultSchemaVersion", "FailedEventsConsoleUrl"}


@pytest.mark.parametrize("name", [name for name in ALL.outputs if name not in OTHERS])
def test_an_outputs_value_matches_its_name(name: str) -> None:
    subject, what = re.fullmatch(r"(\w+?)(Name|Arn|ConsoleUrl|Url|Uri)", name).groups()  # type: ignore[union-attr]
    logical_id, value = SUBJECTS[subject], ALL.outputs[name]["Value"]
    kind = RESOURCES[logical_id]["Type"]
    match what:
        case "Name":
            assert value == f"<{logical_id}>"
        case "Arn":
            assert value == (f"<{logical_id}>" if kind in REF_IS_THE_ARN else f"<{logical_id}.Arn>")
        case "Url" if kind in REF_IS_THE_URL:
            assert value == f"<{logical_id}>"
        case "Uri":
            assert value.startswith(f"s3://<{logical_id}>/")
        case _:
            assert re.fullmatch(rf"https://[^<]+<{logical_id}>[^<]*", value)
            assert f"region={PSEUDO['AWS::Region']}" in value


def test_the_outputs_are_those_that_others_rely_on() -> None:
    """Removing an output breaks the stacks that import it."""
    subjects = {name for name in ALL.outputs if name not in OTHERS}
    assert {re.sub(r"(Name|Arn|ConsoleUrl|Url|Uri)$", "", name) for name in subjects} == SUBJECTS.keys()
    assert ALL.outputs.keys() >= OTHERS


# ---------------------------------------------------------------- Whole rules, with their switches


def rules(which: dict[str, Any]) -> list[dict[str, Any]]:
    return list(Rendered(which)["VideoBucket"]["LifecycleConfiguration"]["Rules"])


def test_the_buckets_lifecycle_as_a_whole() -> None:
    always = [
        {"Id": "DeleteNoncurrentVersions", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
        {
            "Id": "AbortIncompleteUploads",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {"Id": "DeleteExpiredDeleteMarkers", "Status": "Enabled", "ExpiredObjectDeleteMarker": True},
    ]
    moving = {
        "Id": "TransitionPlayableVideos",
        "Status": "Enabled",
        "TagFilters": [{"Key": "video-intake:status", "Value": "success"}],
    }
    assert rules({}) == always
    for storage, days in (("GLACIER_IR", 90), ("STANDARD_IA", 30)):
        given = {"OriginalsStorageClass": storage, "OriginalsTransitionInDays": days}
        transition = {"StorageClass": storage, "TransitionInDays": days}
        assert rules(given) == [*always, moving | {"Transitions": [transition]}]


WHOLE: Final[list[tuple[str, str, Any]]] = [
    ("VideoBucket", "VersioningConfiguration", {"Status": "Enabled"}),
    ("VideoBucket", "OwnershipControls", {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}),
    (
        "VideoBucket",
        "BucketEncryption",
        {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
            ]
        },
    ),
    (
        "VideoBucket",
        "PublicAccessBlockConfiguration",
        dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True),
    ),
    ("IdempotencyTable", "PointInTimeRecoverySpecification", {"PointInTimeRecoveryEnabled": True}),
    ("IdempotencyTable", "BillingMode", "PAY_PER_REQUEST"),
    ("FailedEventsQueue", "MessageRetentionPeriod", 14 * 24 * 3600),
    ("ProcessorFunction", "MemorySize", 1024),
    ("ProcessorFunction", "Timeout", 300),
    ("ProcessorFunction", "LoggingConfig", {"LogFormat": "Text", "LogGroup": "<ProcessorLogGroup>"}),
    ("ProcessorEventInvokeConfig", "Qualifier", "$LATEST"),
    ("ProcessorEventInvokeConfig", "MaximumRetryAttempts", 2),
    ("ProcessorEventInvokeConfig", "MaximumEventAgeInSeconds", 6 * 3600),
    ("ProcessorEventInvokeConfig", "DestinationConfig", {"OnFailure": {"Destination": "<FailedEventsQueue.Arn>"}}),
]


@pytest.mark.parametrize(("resource", "property_", "promised"), WHOLE, ids=[f"{one[0]}.{one[1]}" for one in WHOLE])
def test_settings_are_exactly_as_documented(resource: str, property_: str, promised: Any) -> None:
    assert Rendered({})[resource][property_] == promised


def test_logs_are_kept_as_long_as_the_parameter_says() -> None:
    kept = [Rendered(given)["ProcessorLogGroup"]["RetentionInDays"] for given in ({}, {"LogRetentionInDays": 30})]
    assert kept == [14, 30]


def test_complete_rules_do_not_depend_on_defaults() -> None:
    """Every notification invokes the function, for every way to create an object, and filters only by suffix."""
    notifications = Rendered({})["VideoBucket"]["NotificationConfiguration"]
    assert notifications.keys() == {"LambdaConfigurations"}
    for rule in as_list(notifications["LambdaConfigurations"]):
        assert rule.keys() == {"Event", "Filter", "Function"}
        assert json.dumps(rule["Filter"]).count('"Name"') == 1
