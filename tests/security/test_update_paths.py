"""Changes every parameter on a live stack and back: only the affected resources change."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from scripts.stack import Uploaded
from tests.support.secured import Secured
from tests.support.template import TEMPLATE, Rendered
from tools.videos import video

PARAMETERS: Final = TEMPLATE["Parameters"]
# What a parameter affects, by the names in `state`. All others are thresholds.
GOVERNS: Final = {
    "NotificationEmail": {"subscriptions"},
    "EmailedOutcomes": {"subscriptions"},
    "Storyboard": {"function"},
    "Architecture": {"function"},
    "ReservedConcurrency": {"concurrency"},
    "BatchOperations": {"batch role", "outputs"},
    "LogRetentionInDays": {"log group"},
    "ExistingBucketName": {"function policy", "outputs", "queue", "role", "rule"},
    "ExistingBucketPrefix": {"role", "rule"},
    "OriginalsStorageClass": {"lifecycle"},
    "OriginalsTransitionInDays": {"lifecycle"},
    "AccessLogBucket": {"access log"},
    "KmsKeyArn": {"encryption", "function", "log group", "role", "table", "topics", "queue"},
}
THRESHOLDS: Final = [name for name in PARAMETERS if name not in {*GOVERNS, "EnvironmentSuffix"}]
# Parameters that affect how a video is processed; all others are tested together
PROCESSING: Final = {"function", "role", "concurrency", "encryption"}
# A parameter that has no effect alone is changed together with these.
BESIDE: Final[dict[str, dict[str, str]]] = {
    "EmailedOutcomes": {"NotificationEmail": "you@example.com"},
    "ExistingBucketPrefix": {"ExistingBucketName": "videos-from-before"},
    "OriginalsTransitionInDays": {"OriginalsStorageClass": "STANDARD_IA"},
}


def without(answer: dict[str, Any], *names: str) -> dict[str, Any]:
    """An AWS response without values that change over time."""
    return {name: value for name, value in answer.items() if name not in {"ResponseMetadata", *names}}


def state(world: Secured) -> dict[str, Any]:
    """Everything that parameters affect, from AWS's APIs."""
    client, outputs = world.intake.client, world.intake.outputs
    s3, sns, bucket = client("s3"), client("sns"), {"Bucket": world.intake.bucket}
    function, group = {"FunctionName": outputs["FunctionName"]}, outputs["LogGroupName"]
    topics = {name: outputs[f"{name}TopicArn"] for name in ("Outcome", "Alarm")}
    subscriptions = [one for arn in topics.values() for one in subscribed(sns, arn) if one["Protocol"] == "email"]
    queue = {"QueueUrl": outputs["FailedEventsQueueUrl"], "AttributeNames": ["All"]}
    return {
        "encryption": without(s3.get_bucket_encryption(**bucket)),
        "lifecycle": without(s3.get_bucket_lifecycle_configuration(**bucket)),
        "access log": without(s3.get_bucket_logging(**bucket)),
        "function": without(
            client("lambda").get_function_configuration(**function), "LastModified", "RevisionId", "LastUpdateStatus"
        ),
        "function policy": json.loads(client("lambda").get_policy(**function)["Policy"])["Statement"],
        "rule": [
            without(client("events").describe_rule(Name=one["Name"]))
            | without(client("events").list_targets_by_rule(Rule=one["Name"]))
            for one in client("events").list_rules()["Rules"]
        ],
        "concurrency": without(client("lambda").get_function_concurrency(**function)),
        "log group": [without(one, "storedBytes")
                      for one in client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]],
        "topics": {
            name: {key: value for key, value in sns.get_topic_attributes(TopicArn=arn)["Attributes"].items()
                   if not key.startswith("Subscriptions")}
            for name, arn in topics.items()
        },
        "subscriptions": sorted(
            json.dumps(
                sns.get_subscription_attributes(SubscriptionArn=one["SubscriptionArn"])["Attributes"]
                | {"SubscriptionArn": ""},
                sort_keys=True,
            )
            for one in subscriptions
        ),
        "queue": without(client("sqs").get_queue_attributes(**queue)["Attributes"], "LastModifiedTimestamp"),
        "table": without(
            client("dynamodb").describe_table(TableName=outputs["IdempotencyTableName"])["Table"],
            "ItemCount", "TableSizeBytes",
        ),
        "role": world.statements(outputs["RoleArn"]),
        "batch role": world.statements(outputs["BatchRoleArn"]) if "BatchRoleArn" in outputs else None,
        "alarms": [without(alarm, *(name for name in alarm if "Updated" in name or name.startswith("State")))
                   for alarm in world.intake.alarms()],
        "outputs": outputs,
    }  # fmt: skip


def subscribed(sns: Any, topic: str) -> list[dict[str, Any]]:
    return list(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"])


def differences(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one if one[name] != other[name]}


def another(world: Secured, name: str) -> str:
    """Another value for the parameter."""
    now, declared = world.parameters()[name], PARAMETERS[name]
    if name in world.everything:
        return world.everything[name]
    if "AllowedValues" in declared:
        return next(str(value) for value in declared["AllowedValues"] if str(value) != now)
    return f"{float(now) + 1:g}"


@pytest.fixture
def processes(stack: Secured) -> Callable[[str], None]:
    """Uploads a file, and checks that it gets its outcome."""

    def process(key: str) -> None:
        uploaded: Uploaded = stack.upload(key, b"no video")
        assert stack.intake.outcome(uploaded)["status"] == "failure"

    return process


@pytest.mark.parametrize("name", GOVERNS)
def test_a_parameter_changes_only_its_resources_and_back(stack: Secured, processes, name: str) -> None:
    defaults = stack.parameters()
    if name in BESIDE:
        assert stack.change(**BESIDE[name]) == "UPDATE_COMPLETE"
    before = state(stack)
    assert stack.change(**{name: another(stack, name)}) == "UPDATE_COMPLETE"
    assert differences(before, state(stack)) == GOVERNS[name]
    if GOVERNS[name] & PROCESSING:
        processes(f"{name}.mp4")
    assert stack.change(**{name: defaults[name]}) == "UPDATE_COMPLETE"
    assert differences(before, state(stack)) == set()
    if name in BESIDE:
        assert stack.change(**defaults) == "UPDATE_COMPLETE"


def test_thresholds_change_their_alarms_and_back(stack: Secured) -> None:
    """All in one update, because the next test checks that none changes anything else."""
    defaults, before = stack.parameters(), state(stack)
    assert stack.change(**{name: another(stack, name) for name in THRESHOLDS}) == "UPDATE_COMPLETE"
    assert differences(before, state(stack)) == {"alarms"}
    assert stack.change(**defaults) == "UPDATE_COMPLETE"
    assert differences(before, state(stack)) == set()


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_threshold_affects_only_its_alarm(name: str) -> None:
    usual, changed = Rendered({}).resources, Rendered({name: "4711"}).resources
    different = {usual[each]["Type"] for each in usual if usual[each] != changed[each]}
    assert "AWS::CloudWatch::Alarm" in different
    assert different <= {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"}, "which draws a line there"


@pytest.mark.parametrize(
    ("storyboard", "files"),
    [
        ("disabled", {"poster.jpg", "result.json"}),
        ("enabled", {"poster.jpg", "result.json", "storyboard.jpg", "storyboard.vtt"}),
    ],
)
def test_a_video_has_exactly_the_files_that_the_parameter_requests(stack: Secured, storyboard, files) -> None:
    before = stack.parameters()
    stack.change(Storyboard=storyboard)
    assert stack.parameters()["Storyboard"] == storyboard
    uploaded = stack.upload(f"storyboard {storyboard}.mp4", video(seconds=0.4))
    result = stack.intake.outcome(uploaded)
    listed = stack.intake.client("s3").list_objects_v2(Bucket=stack.intake.bucket, Prefix=uploaded.folder)["Contents"]
    assert {each["Key"].removeprefix(uploaded.folder) for each in listed} == files
    assert (result["storyboard"] is not None) is ("storyboard.jpg" in files)
    stack.change(**before)
    assert stack.parameters() == before


def test_uploads_work_with_all_parameters_set_and_afterwards(stack: Secured, processes) -> None:
    defaults, before = stack.parameters(), state(stack)
    assert stack.change(**stack.everything) == "UPDATE_COMPLETE"
    assert differences(before, state(stack)) >= set.union(*GOVERNS.values()) - {"concurrency"}
    processes("with everything.mp4")
    assert stack.change(**defaults) == "UPDATE_COMPLETE"
    assert differences(before, state(stack)) == set()
    processes("with defaults.mp4")


@pytest.fixture
def environment(stack: Secured) -> Iterator[str]:
    """The stack's environment, restored afterwards, for which the old bucket must be deleted."""
    name, old, s3 = stack.parameters()["EnvironmentSuffix"], stack.intake.bucket, stack.intake.client("s3")
    yield name
    if stack.intake.bucket != old:
        versions = s3.list_object_versions(Bucket=old)["Versions"]
        objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions]
        s3.delete_objects(Bucket=old, Delete={"Objects": objects})
        s3.delete_bucket(Bucket=old)
        assert stack.change(EnvironmentSuffix=name) == "UPDATE_COMPLETE"


def test_another_environment_has_another_bucket_and_cannot_be_undone(stack, processes, environment: str) -> None:
    old = stack.intake.bucket
    kept = stack.upload("kept.mp4", b"no video")
    stack.intake.outcome(kept)
    assert stack.change(EnvironmentSuffix="renamed") == "UPDATE_COMPLETE"
    assert stack.intake.bucket != old
    processes("in the new bucket.mp4")
    s3 = stack.intake.client("s3")
    assert s3.get_object(Bucket=old, Key=kept.key, VersionId=kept.version_id)["Body"].read() == kept.content
    assert stack.change(EnvironmentSuffix=environment) == "UPDATE_ROLLBACK_COMPLETE", "the old bucket has the name"
    processes("still in the new bucket.mp4")
