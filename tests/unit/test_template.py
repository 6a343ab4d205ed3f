"""Relations in template.yaml that cfn-lint does not check, and documented numbers."""

import json
import re
from graphlib import TopologicalSorter
from typing import Any

import pytest

from scripts import build_package
from scripts.replaying import batch_job
from tests.support.iam import allowing
from tests.support.template import (
    ABSENT,
    BUCKET_ARN,
    EVERYTHING,
    PSEUDO,
    RESOURCES,
    ROOT,
    SOURCES,
    TEMPLATE,
    TEXT,
    WITH_BATCH,
    WITH_EMAIL,
    WITH_EXISTING,
    Rendered,
    accepts,
    as_list,
    references,
    statements,
)
from tools.localcloud.eventbridge import patterns
from video_intake import uploads


@pytest.fixture(scope="module")
def stack() -> Rendered:
    return Rendered({})


@pytest.fixture(scope="module")
def permissions(stack: Rendered) -> dict[str, dict[str, Any]]:
    [policy] = stack["ProcessorRole"]["Policies"]
    return statements(policy["PolicyDocument"])


# ---------------------------------------------------------------- Parameters


@pytest.mark.parametrize("parameter", TEMPLATE["Parameters"])
def test_a_default_satisfies_its_own_constraints(parameter: str) -> None:
    declared = TEMPLATE["Parameters"][parameter]
    assert accepts(parameter, declared["Default"])
    assert declared["Description"]
    assert declared["ConstraintDescription"].startswith("must be ")


@pytest.mark.parametrize(
    ("parameter", "value", "accepted"),
    [
        ("NotificationEmail", "", True),
        ("NotificationEmail", "ops@example.com", True),
        ("NotificationEmail", "first.last+video@mail.example.co.uk", True),
        ("NotificationEmail", "o'hara@xn--bcher-kva.xn--p1ai", True),
        ("NotificationEmail", "ops", False),
        ("NotificationEmail", "ops@example", False),
        ("NotificationEmail", "ops@.com", False),
        ("NotificationEmail", "ops@example.com.", False),
        ("NotificationEmail", "ops@-example.com", False),
        ("NotificationEmail", "a@example.com,b@example.com", False),
        ("NotificationEmail", "a@b@example.com", False),
        ("NotificationEmail", "Ops <ops@example.com>", False),
        ("NotificationEmail", " ops@example.com", False),
        ("NotificationEmail", "ops@example.com\n", False),
        ("NotificationEmail", "a" * (254 - len("@example.com")) + "@example.com", True),
        ("NotificationEmail", "a" * (255 - len("@example.com")) + "@example.com", False),
        ("EnvironmentSuffix", "prod", True),
        ("EnvironmentSuffix", "pr-1234", True),
        ("EnvironmentSuffix", "7", True),
        ("EnvironmentSuffix", "a" * 20, True),
        ("EnvironmentSuffix", "a" * 21, False),
        ("EnvironmentSuffix", "", False),
        ("EnvironmentSuffix", "Prod", False),
        ("EnvironmentSuffix", "-prod", False),
        ("EnvironmentSuffix", "prod-", False),
        ("EnvironmentSuffix", "pro_d", False),
        ("EnvironmentSuffix", "pro.d", False),
        ("ReservedConcurrency", -1, True),
        ("ReservedConcurrency", 0, True),
        ("ReservedConcurrency", -2, False),
    ],
)
def test_valid_and_invalid_parameter_values(parameter: str, value: Any, accepted: bool) -> None:
    assert accepts(parameter, value) is accepted


def test_the_longest_names_give_a_valid_bucket_name() -> None:
    suffix = "a" * TEMPLATE["Parameters"]["EnvironmentSuffix"]["MaxLength"]
    longest = Rendered({"EnvironmentSuffix": suffix, "AWS::Region": "us-isof-south-1"})
    assert len(longest["VideoBucket"]["BucketName"]) <= 63


@pytest.mark.parametrize(("email", "subscriptions"), [({}, 0), (WITH_EMAIL, 2)])
def test_an_address_is_subscribed_to_outcomes_and_alarms(email: dict[str, str], subscriptions: int) -> None:
    subscribed = Rendered(email).of_type("AWS::SNS::Subscription").values()
    assert len(subscribed) == subscriptions
    assert {each["Endpoint"] for each in subscribed} == set(email.values())
    assert {each["Protocol"] for each in subscribed} <= {"email"}
    assert {each["TopicArn"] for each in subscribed} in (set(), {"<OutcomeTopic>", "<AlarmTopic>"})


@pytest.mark.parametrize(("which", "statuses"), [("failures", ["failure"]), ("everything", [{"exists": True}])])
def test_only_outcomes_are_filtered_and_alarms_never(which: str, statuses: list[Any]) -> None:
    stack = Rendered(WITH_EMAIL | {"EmailedOutcomes": which})
    assert stack["OutcomeEmailSubscription"]["FilterPolicy"] == {"status": statuses}
    assert stack["OutcomeEmailSubscription"]["FilterPolicyScope"] == "MessageAttributes"
    assert "FilterPolicy" not in stack["AlarmEmailSubscription"]


@pytest.mark.parametrize(
    ("parameters", "sound"),
    [({}, True), ({"EmailedOutcomes": "everything"}, False), (WITH_EMAIL | {"EmailedOutcomes": "everything"}, True)],
)
def test_everything_by_e_mail_needs_an_address(parameters: dict[str, str], sound: bool) -> None:
    rule, rendered = TEMPLATE["Rules"]["EverythingNeedsAnAddress"], Rendered(parameters)
    assert (not rendered.holds(rule["RuleCondition"]) or rendered.holds(rule["Assertions"][0]["Assert"])) is sound


@pytest.mark.parametrize(("given", "reserved"), [(-1, ABSENT), (0, 0), (20, 20)])
def test_concurrency_is_reserved_only_on_request(given: int, reserved: Any) -> None:
    function = Rendered({"ReservedConcurrency": given})["ProcessorFunction"]
    assert function.get("ReservedConcurrentExecutions", ABSENT) == reserved


# ---------------------------------------------------------------- Intake


def test_the_six_suffixes_trigger_the_function_and_are_all_it_may_read(
    stack: Rendered, permissions: dict[str, dict[str, Any]]
) -> None:
    rules = stack["VideoBucket"]["NotificationConfiguration"]["LambdaConfigurations"]
    filters = [test for rule in rules for test in rule["Filter"]["S3Key"]["Rules"]]
    assert {test["Name"] for test in filters} == {"suffix"}
    suffixes = [test["Value"] for test in filters]
    assert sorted(suffixes) == [".AVI", ".MOV", ".MP4", ".avi", ".mov", ".mp4"] == sorted(uploads.SUFFIXES)
    assert {rule["Event"] for rule in rules} == {"s3:ObjectCreated:*"}
    assert {rule["Function"] for rule in rules} == {"<ProcessorFunction.Arn>"}
    assert permissions["ReadAndTagUploadedVideos"]["Resource"] == [f"{BUCKET_ARN}/*{suffix}" for suffix in suffixes]


def test_only_the_stacks_bucket_may_invoke_the_function_and_waits_for_the_permission(stack: Rendered) -> None:
    permission = stack["ProcessorPermission"]
    assert permission["SourceArn"] == f"arn:aws:s3:::{stack['VideoBucket']['BucketName']}" == BUCKET_ARN
    assert permission["SourceAccount"] == PSEUDO["AWS::AccountId"]
    assert permission["FunctionName"] == "<ProcessorFunction>"
    assert (permission["Principal"], permission["Action"]) == ("s3.amazonaws.com", "lambda:InvokeFunction")
    assert set(RESOURCES["VideoBucket"]["DependsOn"]) == {"ProcessorPermission", "ProcessorEventInvokeConfig"}


# ---------------------------------------------------------------- A bucket that exists already


@pytest.fixture(scope="module")
def with_existing() -> Rendered:
    return Rendered(WITH_EXISTING)


def test_an_existing_bucket_only_adds_resources(stack: Rendered, with_existing: Rendered) -> None:
    """Permissions are added to the role and to the queue's policy; every other resource is unchanged."""
    added = with_existing.resources.keys() - stack.resources.keys()
    assert added == {"ExistingBucketRule", "ExistingBucketPermission"}
    changed = {name for name, body in stack.resources.items() if with_existing.resources[name] != body}
    assert changed == {"ProcessorRole", "FailedEventsQueuePolicy"}
    before, after = ([*one["ProcessorRole"]["Policies"][0]["PolicyDocument"]["Statement"],
                      *one["FailedEventsQueuePolicy"]["PolicyDocument"]["Statement"]]
                     for one in (stack, with_existing))  # fmt: skip
    assert [one for one in after if one in before] == before
    assert "example-videos" not in json.dumps(stack.resources)


def test_rule_and_role_are_limited_to_videos_below_the_prefix(with_existing: Rendered) -> None:
    rule, bucket = with_existing["ExistingBucketRule"], WITH_EXISTING["ExistingBucketName"]
    [policy] = with_existing["ProcessorRole"]["Policies"]
    role = [one for one in policy["PolicyDocument"]["Statement"] if bucket in json.dumps(one["Resource"])]
    for suffix in (*uploads.SUFFIXES, ".Mp4", ".mkv", ".json"):
        for folder in ("incoming/", "incoming/deeper/", "outgoing/", ""):
            key = f"{folder}Été 1{suffix}"
            event = {"source": "aws.s3", "detail-type": "Object Created",
                     "detail": {"bucket": {"name": bucket}, "object": {"key": key}}}  # fmt: skip
            wanted = folder.startswith("incoming/") and suffix in uploads.SUFFIXES
            assert patterns.matches(rule["EventPattern"], event) is wanted, key
            assert bool(allowing(role, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")) is wanted, key
            event["detail"]["bucket"]["name"] = f"{bucket}-2"
            assert not patterns.matches(rule["EventPattern"], event)
    for kind in ("Object Tags Added", "Object Deleted", "Object Restore Completed"):
        other = {"source": "aws.s3", "detail-type": kind,
                 "detail": {"bucket": {"name": bucket}, "object": {"key": "incoming/a.mp4"}}}  # fmt: skip
        assert not patterns.matches(rule["EventPattern"], other), "otherwise each outcome would be an upload"
    assert rule["State"] == "ENABLED"


def test_results_for_it_go_to_one_folder_in_the_stacks_bucket(with_existing: Rendered) -> None:
    [policy] = with_existing["ProcessorRole"]["Policies"]
    writing = [one for one in policy["PolicyDocument"]["Statement"] if one["Action"] == "s3:PutObject"]
    theirs = uploads.Upload(WITH_EXISTING["ExistingBucketName"], "a.mp4", "null", 1, "e1", "", "")
    home = with_existing["VideoBucket"]["BucketName"]
    assert allowing(writing, "s3:PutObject", f"arn:aws:s3:::{home}/{uploads.folder(theirs, home)}result.json")
    assert {bucket for one in writing for bucket in [one["Resource"].split(":::")[1].split("/")[0]]} == {home}
    assert with_existing["ProcessorFunction"]["Environment"]["Variables"]["RESULT_BUCKET"] == home
    uri = with_existing.outputs["ExistingBucketResultsUri"]["Value"]
    assert uploads.folder(theirs, home).startswith(uri.removeprefix("s3://<VideoBucket>/"))


def test_no_event_can_arrive_before_its_permissions_exist(with_existing: Rendered) -> None:
    """EventBridge does not retry without permission; it sends the event to the queue, which must be allowed too."""
    rule = with_existing.resources["ExistingBucketRule"]
    assert {"ExistingBucketPermission", "FailedEventsQueuePolicy"} <= set(rule["DependsOn"])
    [target] = rule["Properties"]["Targets"]
    assert target["Arn"] == "<ProcessorFunction.Arn>"
    assert target["DeadLetterConfig"] == {"Arn": "<FailedEventsQueue.Arn>"}
    arn = f"arn:aws:events:eu-west-1:{PSEUDO['AWS::AccountId']}:rule/{rule['Properties']['Name']}"
    keeping = statements(with_existing["FailedEventsQueuePolicy"]["PolicyDocument"])
    assert keeping["KeepEventsThatEventBridgeCannotDeliver"] == {
        "Sid": "KeepEventsThatEventBridgeCannotDeliver",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "<FailedEventsQueue.Arn>",
        "Condition": {"ArnEquals": {"aws:SourceArn": arn}},
    }
    assert with_existing["ExistingBucketPermission"] == {
        "FunctionName": "<ProcessorFunction>",
        "Principal": "events.amazonaws.com",
        "Action": "lambda:InvokeFunction",
        "SourceArn": arn,
    }


@pytest.mark.parametrize(
    ("parameters", "sound"),
    [
        ({}, True),
        (WITH_EXISTING, True),
        ({"ExistingBucketName": "b-1"}, True),
        ({"ExistingBucketPrefix": "in/"}, False),
    ],
)
def test_a_prefix_requires_a_bucket(parameters: dict[str, str], sound: bool) -> None:
    rule, rendered = TEMPLATE["Rules"]["PrefixNeedsABucket"], Rendered(parameters)
    assert (not rendered.holds(rule["RuleCondition"]) or rendered.holds(rule["Assertions"][0]["Assert"])) is sound


@pytest.mark.parametrize(
    ("value", "accepted"),
    [("", True), ("incoming/", True), ("a b/(1)+'&@=:,;.!_-/", True), ("/", True), ("x" * 200, True),
     ("x" * 201, False), ("a*", False), ("a?", False), ("${aws:username}/", False), ("a\\", False), ('a"', False),
     ("é/", False), ("a\n", False)],
)  # fmt: skip
def test_a_prefix_has_no_special_characters_in_patterns_and_policies(value: str, accepted: bool) -> None:
    assert accepts("ExistingBucketPrefix", value) is accepted


def test_the_longest_prefix_still_fits_the_pattern_and_the_policies_of_the_role() -> None:
    prefix = "x" * TEMPLATE["Parameters"]["ExistingBucketPrefix"]["MaxLength"]
    longest = Rendered(EVERYTHING | {"ExistingBucketName": "b" * 63, "ExistingBucketPrefix": prefix,
                                     "EnvironmentSuffix": "e" * 20})  # fmt: skip
    pattern = json.dumps(longest["ExistingBucketRule"]["EventPattern"], separators=(",", ":"))
    assert len(pattern) <= patterns.MAX_LENGTH
    patterns.check(json.loads(pattern))
    assert len(longest["ExistingBucketRule"]["Name"]) <= 64
    [policy] = longest["ProcessorRole"]["Policies"]
    assert len(json.dumps(policy["PolicyDocument"], separators=(",", ":"))) <= 10_240 - 500, (
        "IAM's limit, with room for ARNs"
    )


def test_there_are_no_circular_dependencies() -> None:
    assert list(TopologicalSorter({name: references(body) for name, body in RESOURCES.items()}).static_order())


@pytest.mark.parametrize(
    ("resource", "resources", "action"),
    [
        ("VideoBucketPolicy", ["<VideoBucket.Arn>", "<VideoBucket.Arn>/*"], "s3:*"),
        ("OutcomeTopicPolicy", ["<OutcomeTopic>"], "sns:Publish"),
        ("AlarmTopicPolicy", ["<AlarmTopic>"], "sns:Publish"),
        ("FailedEventsQueuePolicy", ["<FailedEventsQueue.Arn>"], "sqs:*"),
    ],
)
def test_plain_http_is_refused_everywhere(stack: Rendered, resource: str, resources: list[str], action: str) -> None:
    assert statements(stack[resource]["PolicyDocument"])["DenyPlainHttp"] == {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources if len(resources) > 1 else resources[0],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


# ---------------------------------------------------------------- Processing


def test_the_function_logs_to_its_group_and_may_write_to_no_other(
    stack: Rendered, permissions: dict[str, dict[str, Any]]
) -> None:
    assert stack["ProcessorFunction"]["LoggingConfig"]["LogGroup"] == "<ProcessorLogGroup>"
    logging = [each for each in permissions.values() if any("logs:" in action for action in as_list(each["Action"]))]
    assert [each["Resource"] for each in logging] == ["<ProcessorLogGroup.Arn>"]
    assert "logs:CreateLogGroup" not in logging[0]["Action"]  # it would recreate a deleted group


def test_the_role_names_each_action_and_each_resource(permissions: dict[str, dict[str, Any]]) -> None:
    for statement in permissions.values():
        assert statement["Effect"] == "Allow"
        assert not [action for action in as_list(statement["Action"]) if "*" in action]
        for resource in as_list(statement["Resource"]):
            assert resource.startswith((BUCKET_ARN, "<")), f"{statement['Sid']} reaches beyond the stack"
            assert resource != f"{BUCKET_ARN}/*"


def test_the_function_may_write_only_results(stack: Rendered, permissions: dict[str, dict[str, Any]]) -> None:
    assert permissions["WriteResults"]["Resource"] == f"{BUCKET_ARN}/{uploads.RESULTS}*"
    assert stack.outputs["ResultsUri"]["Value"] == f"s3://<VideoBucket>/{uploads.RESULTS}"
    assert [sid for sid, each in permissions.items() if "s3:PutObject" in as_list(each["Action"])] == ["WriteResults"]


def test_only_lambda_can_assume_the_role(stack: Rendered) -> None:
    [trust] = stack["ProcessorRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust == trusted("TrustLambda", "lambda.amazonaws.com")
    assert stack["ProcessorFunction"]["Role"] == "<ProcessorRole.Arn>"


def trusted(sid: str, service: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}


def test_the_function_is_given_exactly_the_environment_that_it_reads(stack: Rendered) -> None:
    given = set(stack["ProcessorFunction"]["Environment"]["Variables"])
    read = set(re.findall(r'environ\["(\w+)"\]', SOURCES))
    assert {name for name in given if not name.startswith(("POWERTOOLS_", "MALLOC_"))} == read


def test_the_handler_is_a_function_of_the_package(stack: Rendered) -> None:
    module, name = stack["ProcessorFunction"]["Handler"].split(".")
    assert re.search(rf"^def {name}\(", (ROOT / "src" / f"{module}.py").read_text(), re.MULTILINE)


def test_the_package_is_for_the_functions_python(stack: Rendered) -> None:
    assert stack["ProcessorFunction"]["Runtime"] == f"python{build_package.PYTHON_VERSION}"
    assert (ROOT / ".python-version").read_text().strip() == build_package.PYTHON_VERSION


def test_the_package_is_for_every_processor_that_the_function_may_have(stack: Rendered) -> None:
    declared = TEMPLATE["Parameters"]["Architecture"]
    assert set(declared["AllowedValues"]) == set(build_package.MACHINES)
    assert build_package.parse_arguments([]).architecture == declared["Default"]
    assert stack["ProcessorFunction"]["Architectures"] == [declared["Default"]]
    for architecture in declared["AllowedValues"]:
        assert Rendered({"Architecture": architecture})["ProcessorFunction"]["Architectures"] == [architecture]


def test_the_package_is_built_where_the_template_looks_for_it(stack: Rendered) -> None:
    assert build_package.parse_arguments([]).output == ROOT / stack["ProcessorFunction"]["Code"]


# ---------------------------------------------------------------- Safety net


def test_failed_events_are_kept_longer_than_lambda_retries(
    stack: Rendered, permissions: dict[str, dict[str, Any]]
) -> None:
    retries = stack["ProcessorEventInvokeConfig"]
    assert retries["FunctionName"] == "<ProcessorFunction>"
    assert retries["DestinationConfig"]["OnFailure"]["Destination"] == "<FailedEventsQueue.Arn>"
    assert permissions["KeepFailedEvents"]["Resource"] == "<FailedEventsQueue.Arn>"
    assert stack["FailedEventsQueue"]["MessageRetentionPeriod"] > 2 * retries["MaximumEventAgeInSeconds"]


@pytest.mark.parametrize(("parameters", "there"), [({}, False), (WITH_BATCH, True)])
def test_batch_operations_have_a_role_only_on_request(parameters: dict[str, str], there: bool) -> None:
    stack = Rendered(parameters)
    assert ("BatchRole" in stack.resources) is ("BatchRoleArn" in stack.outputs) is there


def test_a_batch_job_may_call_the_function_read_its_manifest_and_write_its_report() -> None:
    role = Rendered(WITH_BATCH)["BatchRole"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust == trusted("TrustBatchOperations", "batchoperations.s3.amazonaws.com")
    [policy] = role["Policies"]
    allowed = statements(policy["PolicyDocument"])
    folder = f"<VideoBucket.Arn>/{batch_job.FOLDER}*"
    assert {sid: (each["Action"], each["Resource"]) for sid, each in allowed.items()} == {
        "ProcessVideos": ("lambda:InvokeFunction", "<ProcessorFunction.Arn>"),
        "ReadManifests": (["s3:GetObject", "s3:GetObjectVersion"], folder),
        "WriteReports": ("s3:PutObject", folder),
    }


def test_the_stack_has_the_outputs_that_replay_needs() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "scripts/replaying").glob("*.py"))
    assert set(re.findall(r'output\("(\w+)"\)', code)) <= set(Rendered(WITH_BATCH).outputs)


# ---------------------------------------------------------------- The whole


def test_the_template_goes_through_s3_which_takes_a_megabyte() -> None:
    """Inline templates are limited to 51,200 bytes; the package must go to S3 anyway."""
    assert len(TEXT.encode()) < 1_000_000
    [deployment] = re.findall(r"aws cloudformation deploy .*\\\n.*", (ROOT / "scripts/deploy.sh").read_text())
    assert "--s3-bucket" in deployment
