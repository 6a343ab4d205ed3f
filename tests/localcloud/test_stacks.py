"""CloudFormation: unsupported elements are errors, failures roll back, updates and deletions are complete."""

import shutil

import pytest
from botocore.exceptions import ClientError

from tests.support.deployed import TEMPLATE

TEXT = TEMPLATE.read_text()


def described(deployed, stack):
    [found] = deployed.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return found


def reasons(deployed, stack):
    events = deployed.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return "\n".join(event.get("ResourceStatusReason") or "" for event in events)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("{ RetentionInDays: 14 }", "{ LogGroupClass: STANDARD }", "property LogGroupClass of AWS::Logs::LogGroup"),
        ("Type: AWS::Logs::QueryDefinition", "Type: AWS::Logs::Destination", "type AWS::Logs::Destination"),
        ("Suffix: { Type: String, Default: one", "Suffix: { Type: String, Default: ONE", "small letters only"),
        ("Suffix: { Type: String, Default: one", "Suffix: { Type: String, Default: loud", "needs its greeting"),
        ("DependsOn: InvokePermission", "DependsOn: BucketPolicy", "Circular dependency"),
        ("Greeting: { Type: String", "Greeting: { Type: CommaDelimitedList", "the type CommaDelimitedList"),
        ("Greeting: { Type: String, Default: hello", "Greeting: { Type: Number, Default: 5", "'hello' is not accepted"),
        ("Greeting: { Type: String", "Greeting: { Type: String, AllowedValues: [hi]", "'hello' is not accepted"),
        ("Greeting: { Type: String", "Greeting: { Type: String, MaxLength: 4", "'hello' is not accepted"),
        ('Email: { Type: String, Default: "" }', "Email: { Type: String }", "['Email'] must have values"),
        ("!Not [!Equals [!Ref Email", "!Contains [[x], [!Ref Email", "does not support the condition Fn::Contains"),
    ],
)
def test_what_cannot_be_applied_is_refused_by_name(deployed, tmp_path, before, after, complaint):
    assert before in TEXT
    template = tmp_path / "changed.yaml"
    template.write_text(TEXT.replace(before, after))
    shutil.copytree(
        TEMPLATE.with_name("function"), tmp_path / "function"
    )  # which the template names relative to itself
    refused = deployed.deploy(template, "refused", "Greeting=hello")
    assert refused.returncode != 0
    assert complaint in refused.stderr
    with pytest.raises(ClientError, match="does not exist"):
        described(deployed, "refused")


def test_a_parameter_that_the_template_does_not_have_is_refused(deployed):
    template = '{"Parameters": {"One": {"Type": "String"}}, "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    given = [{"ParameterKey": name, "ParameterValue": "x"} for name in ("One", "Two")]
    with pytest.raises(ClientError, match=r"\['Two'\] do not exist"):
        deployed.client("cloudformation").create_stack(StackName="refused", TemplateBody=template, Parameters=given)


def test_a_failure_rolls_back_with_a_reason(deployed):
    # The bucket's name is taken by the other stack.
    failed = deployed.deploy(TEMPLATE, "rolled-back", "Suffix=one")
    assert failed.returncode != 0
    assert described(deployed, "rolled-back")["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "BucketAlreadyOwnedByYou" in reasons(deployed, "rolled-back")
    functions = deployed.client("lambda").list_functions()["Functions"]
    assert not any(function["FunctionName"].startswith("rolled-back") for function in functions)
    again = deployed.deploy(TEMPLATE, "rolled-back", "Suffix=one")
    assert "ROLLBACK_COMPLETE state and can not be updated" in again.stderr


def test_a_stack_is_updated_in_place_and_deleted_except_for_retained_resources(deployed):
    assert deployed.deploy(TEMPLATE, "second", "Suffix=two").returncode == 0
    outputs = {output["OutputKey"]: output for output in described(deployed, "second")["Outputs"]}
    assert outputs["Bucket"]["ExportName"] == "second-Bucket"
    assert "Email" not in outputs
    name = outputs["Function"]["OutputValue"]
    updated = deployed.deploy(TEMPLATE, "second", "Suffix=two", "Greeting=goodbye", "Reserved=1", "Email=a@example.com")
    assert updated.returncode == 0, updated.stderr
    function = deployed.client("lambda").get_function(FunctionName=name)
    assert function["Configuration"]["Environment"]["Variables"]["GREETING"] == "goodbye"
    assert function["Configuration"]["Environment"]["Variables"]["NUMBER"] == "5"
    assert function["Concurrency"]["ReservedConcurrentExecutions"] == 1
    subscribed = deployed.client("sns").list_subscriptions()["Subscriptions"]
    assert [s["Protocol"] for s in subscribed if s["Endpoint"] == "a@example.com"] == ["email", "email"]
    unchanged = deployed.aws("cloudformation", "deploy", "--template-file", str(deployed.folder / "second.yaml"),
                             "--stack-name", "second", "--capabilities", "CAPABILITY_IAM")  # fmt: skip
    assert "No changes to deploy" in unchanged.stdout + unchanged.stderr

    assert deployed.aws("cloudformation", "delete-stack", "--stack-name", "second").returncode == 0
    with pytest.raises(ClientError, match="does not exist"):
        described(deployed, "second")
    buckets = [bucket["Name"] for bucket in deployed.client("s3").list_buckets()["Buckets"]]
    assert outputs["Bucket"]["OutputValue"] in buckets  # DeletionPolicy: RetainExceptOnCreate
    assert outputs["Table"]["OutputValue"] in deployed.client("dynamodb").list_tables()["TableNames"]  # Retain
    functions = [function["FunctionName"] for function in deployed.client("lambda").list_functions()["Functions"]]
    assert name not in functions


def test_the_bucket_has_the_settings_of_the_template(deployed):
    s3, bucket = deployed.client("s3"), {"Bucket": deployed.outputs["Bucket"]}
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    [rule] = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert all(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values())
    assert "aws:SecureTransport" in s3.get_bucket_policy(**bucket)["Policy"]
    rules = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    assert rules[0]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
    assert rules[1]["Expiration"]["ExpiredObjectDeleteMarker"] is True
    assert s3.get_bucket_tagging(**bucket)["TagSet"] == [{"Key": "Project", "Value": "test"}]
