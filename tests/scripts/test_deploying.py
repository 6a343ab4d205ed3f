"""scripts/deploy.sh as a user runs it: output, effects, and failures."""

import json
import os
import shutil
import subprocess

import pytest
from botocore.exceptions import ClientError

STACK = "video-intake-made"


@pytest.fixture(scope="module")
def artifacts(scripts, made):
    return f"video-intake-artifacts-{scripts.stack(STACK)['StackId'].split(':')[4]}-{scripts.environ['AWS_REGION']}"


def test_a_first_deployment_asks_nothing_and_lists_the_outputs(scripts, made):
    assert "  added            VideoBucket (S3 Bucket)" in made.told
    outputs = {output["OutputKey"]: output["OutputValue"] for output in made.stack["Outputs"]}
    assert dict(line.split() for line in made.out.splitlines()) == outputs
    assert f"Dashboard: {outputs['DashboardUrl']}" in made.told
    assert "Confirm the 2 e-mails that AWS sent to unread@example.com" in made.told
    tags = {tag["Key"]: tag["Value"] for tag in made.stack["Tags"]}
    assert tags == {"Project": "video-intake", "Environment": "made", "CostCenter": "4711"}


def test_packages_are_in_a_private_bucket_that_expires_only_unused_ones(scripts, artifacts):
    s3, bucket = scripts.client("s3"), {"Bucket": artifacts}
    assert all(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values())
    [encryption] = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    [statement] = json.loads(s3.get_bucket_policy(**bucket)["Policy"])["Statement"]
    assert statement == {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{artifacts}", f"arn:aws:s3:::{artifacts}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    [rule] = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    assert rule == {  # and no Days: a package in use never expires, however old
        "ID": "ExpireOldPackages",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(**bucket)["TagSet"]}
    assert tags == {"Project": "video-intake", "Purpose": "video-intake-packages"}


def test_deployed_again_nothing_changes_as_the_same_inputs_give_the_same_package(scripts, made):
    (scripts.project / "build/function.zip").unlink()
    os.utime(scripts.project / "src/handler.py", (0, 0))
    before = scripts.left(STACK)
    again = scripts.deploy()
    assert again.status == 0, again.told
    assert f"{STACK} is up to date" in again.told
    assert again.out == made.out
    assert scripts.left(STACK) == before
    assert before[2] == []


def test_a_plan_shows_changes_and_drift_and_changes_nothing(scripts, made):
    scripts.put(name=STACK, drift={"VideoBucket": ["/LifecycleConfiguration/Rules/0"], "AlarmTopic": None})
    before = scripts.left(STACK)
    plan = scripts.deploy("--plan", "--parameter", "Storyboard=enabled", "--email", "")
    assert plan.status == 0, plan.told
    first, *lines = plan.out.splitlines()
    assert STACK in first
    assert "  changed          ProcessorFunction (Lambda Function): Environment" in lines
    assert "  DELETED          AlarmEmailSubscription (SNS Subscription)" in lines
    assert [line for line in lines if "may change" in line and "(depends on ProcessorFunction.Arn)" in line]
    assert "VideoBucket (AWS::S3::Bucket): LifecycleConfiguration/Rules/0" in plan.told
    assert "AlarmTopic (AWS::SNS::Topic): was deleted" in plan.told
    assert "within the last hour" in plan.told
    assert "nothing was changed" in plan.told
    assert scripts.left(STACK) == before
    scripts.put(name=STACK, drift={})


def test_a_plan_for_a_stack_that_does_not_exist_creates_none(scripts, made):
    plan = scripts.deploy("--plan", env="planned")
    assert plan.status == 0, plan.told
    assert "  added            ProcessorFunction (Lambda Function)" in plan.out
    assert not scripts.exists("video-intake-planned")


def test_a_change_set_that_cannot_be_described_is_not_executed(scripts, made, tmp_path):
    path = scripts.with_cli(tmp_path)
    real = shutil.which("python3", path=scripts.environ["PATH"])
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\ncase "$1" in *change_set.py) exit 9 ;; esac\nexec "{real}" "$@"\n')
    python.chmod(0o755)
    before = scripts.left(STACK)
    failed = scripts.deploy("--yes", "--parameter", "LogRetentionInDays=3", PATH=path)
    assert (failed.status, "the change set could not be read" in failed.told) == (1, True), failed.told
    assert scripts.left(STACK) == before


def test_a_deployment_does_what_it_announces_and_deletes_old_packages(scripts, made, artifacts, tmp_path):
    s3, prefix = scripts.client("s3"), f"video-intake/{STACK}/"
    listed = [each["Key"] for each in s3.list_objects_v2(Bucket=artifacts, Prefix=prefix)["Contents"]]
    (scripts.project / "src/handler.py").write_text("def handler(event, context): return 2\n")
    s3.put_object(Bucket=artifacts, Key="video-intake/video-intake-other/0ld", Body=b"of another stack")
    known = {event["EventId"] for event in scripts.events(STACK)}
    before = scripts.parameters(STACK)
    path = scripts.with_cli(tmp_path, "cloudformation\\ delete-change-set) echo 'not this one' >&2 ;;")
    changed = scripts.deploy(
        "--parameter", "LogRetentionInDays=7", "--tag", "Team=Video Intake", "--tag", "CostCenter=0815", PATH=path
    )
    assert changed.status == 0, changed.told
    assert "not this one" not in changed.told, "it was executed"
    happened = {
        event["LogicalResourceId"]
        for event in scripts.events(STACK)
        if event["EventId"] not in known and event["ResourceType"] != "AWS::CloudFormation::Stack"
    }
    said = {line.split()[1] for line in changed.told.splitlines() if line.startswith("  changed  ")}
    assert said == happened
    assert "ProcessorLogGroup (Logs LogGroup): RetentionInDays, Tags" in changed.told
    assert scripts.parameters(STACK) == before | {"LogRetentionInDays": "7"}, "what is not given stays"
    tags = {tag["Key"]: tag["Value"] for tag in scripts.stack(STACK)["Tags"]}
    assert tags == {
        "Project": "video-intake",
        "Environment": "made",
        "CostCenter": "0815",
        "Team": "Video Intake",
    }, "one has another value, one is new, the others stay"
    assert "  changed          ProcessorFunction (Lambda Function): Code" in changed.told
    kept = [each["Key"] for each in s3.list_objects_v2(Bucket=artifacts)["Contents"]]
    [code] = [key for key in kept if key.startswith(prefix)]
    assert code not in listed
    assert code in str(scripts.client("cloudformation").get_template(StackName=STACK)["TemplateBody"])
    assert "video-intake/video-intake-other/0ld" in kept
    versions = s3.list_object_versions(Bucket=artifacts, Prefix=prefix)["Versions"]
    assert {each["Key"] for each in versions} > set(listed), "restorable until the lifecycle rule takes them"


TALKATIVE = "s3api\\ put-* | s3api\\ create-* | cloudformation\\ delete-* | cloudformation\\ execute-*) echo '{}' ;;"


def test_a_first_deployment_prints_the_outputs_and_nothing_else_whatever_the_cli_prints(scripts, tmp_path):
    """Newer versions of the CLI print JSON for commands that used to print nothing."""
    path = scripts.with_cli(tmp_path, TALKATIVE)
    options = ["--env", "talk", "--artifact-bucket", "packages-of-talk"]
    first = scripts.run("deploy.sh", *options, "--architecture", "x86_64", PATH=path)
    assert first.status == 0, first.told
    outputs = {output["OutputKey"] for output in scripts.stack("video-intake-talk")["Outputs"]}
    assert {line.split()[0] for line in first.out.splitlines()} == outputs
    again = scripts.run("deploy.sh", *options, PATH=path)
    assert (again.status, again.out) == (0, first.out)
    assert "is up to date" in again.told, "the processor stays, though arm64 is the template's default"
    assert scripts.parameters("video-intake-talk")["Architecture"] == "x86_64"


def test_an_empty_change_set_that_cannot_be_deleted_is_a_warning(scripts, made, tmp_path):
    path = scripts.with_cli(tmp_path, "cloudformation\\ delete-change-set) echo 'An error occurred' >&2 && exit 254 ;;")
    again = scripts.deploy(PATH=path)
    assert again.status == 0, again.told
    assert "Warning: the change set awscli-cloudformation-package-deploy-" in again.told
    assert scripts.left(STACK)[2], "it is there"
    assert scripts.deploy().status == 0
    assert not scripts.left(STACK)[2], "until the next time"


@pytest.mark.parametrize("answer", ["n", ""])
def test_any_answer_but_yes_changes_nothing(scripts, made, artifacts, answer):
    s3 = scripts.client("s3")

    def packages():
        return {(one["Key"], one["VersionId"]) for one in s3.list_object_versions(Bucket=artifacts)["Versions"]}

    assert scripts.deploy("--plan", "--email", "asked@example.com").status == 0, "what is uploaded is there now"
    before, kept = scripts.left(STACK), packages()
    refused = scripts.deploy("--email", "asked@example.com", answer=answer)
    assert refused.status == 1
    assert "Continue? [y/N]" in refused.told
    assert "nothing was changed" in refused.told
    assert scripts.left(STACK) == before
    assert packages() == kept


def test_replacements_and_deletions_are_asked_for(scripts, made):
    before = scripts.left(STACK)
    alone = scripts.deploy("--email", "other@example.com")
    assert alone.status == 1
    assert "REPLACED         AlarmEmailSubscription (SNS Subscription): Endpoint, which requires" in alone.told
    assert "There is no terminal to confirm on. Pass --yes to proceed." in alone.told
    assert scripts.left(STACK) == before
    unattended = scripts.deploy("--email", "other@example.com", "--yes")
    assert unattended.status == 0, unattended.told
    assert "other@example.com is confirmed and receives e-mails." in unattended.told
    assert scripts.parameters(STACK)["NotificationEmail"] == "other@example.com"


@pytest.mark.parametrize("time", ["first", "second"])  # what failed before is not reported again
def test_a_failed_update_reports_its_cause_and_is_rolled_back(scripts, made, time):
    before = scripts.parameters(STACK)
    failed = scripts.deploy("--parameter", "ReservedConcurrency=5000")
    assert failed.status == 1
    _, _, told = failed.told.partition("Failures:\n")
    assert told.splitlines()[0].startswith("  ProcessorFunction (AWS::Lambda::Function): ")
    assert "UnreservedConcurrentExecution" in told.splitlines()[0]
    assert told.splitlines()[1:] == [f"deploy: {STACK} was not changed: the update failed and was rolled back."]
    assert scripts.stack(STACK)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert scripts.parameters(STACK) == before


def test_a_failed_first_deployment_is_explained_and_removed_and_then_it_works(scripts, made):
    failed = scripts.deploy("--parameter", "ReservedConcurrency=5000", env="broken")
    assert failed.status == 1
    assert "ProcessorFunction (AWS::Lambda::Function)" in failed.told
    again = scripts.deploy(env="broken")
    assert again.status == 1
    assert "ROLLBACK_COMPLETE, which cannot be updated" in again.told
    advice = again.told.splitlines()[-1].split()
    assert advice[0] == "scripts/destroy.sh"
    assert scripts.run(*[advice[0].removeprefix("scripts/"), *advice[1:], "--yes"]).status == 0
    assert not scripts.exists("video-intake-broken")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("UPDATE_IN_PROGRESS", "is in progress (UPDATE_IN_PROGRESS)"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("DELETE_FAILED", "only partly removed (DELETE_FAILED)"),
        ("ROLLBACK_FAILED", "only partly removed (ROLLBACK_FAILED)"),
    ],
)
def test_a_stack_that_cannot_be_updated_is_explained_and_not_changed(scripts, made, status, sentence):
    usual = scripts.stack(STACK)["StackStatus"]
    scripts.put(name=STACK, status=status)
    before = scripts.left(STACK)
    refused = scripts.deploy()
    assert (refused.status, refused.out) == (1, "")
    assert sentence in refused.told
    assert scripts.left(STACK) == before
    scripts.put(name=STACK, status=usual)


@pytest.mark.parametrize(
    ("arguments", "without", "sentence"),
    [
        (["--env", "made"], ["AWS_REGION", "AWS_DEFAULT_REGION"], "no Region is set"),
        (["--env", "made"], ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "AWS did not accept your credentials"),
        (["--env", "prod", "--stack-name", STACK], [], f'{STACK} is the environment "made"'),
    ],
)
def test_missing_or_wrong_settings_are_reported_immediately(scripts, made, arguments, without, sentence):
    refused = scripts.run("deploy.sh", *arguments, without=without)
    assert (refused.status, refused.out) == (1, "")
    assert sentence in refused.told


def test_a_stack_that_cannot_be_looked_at_is_not_treated_as_missing(scripts, made, tmp_path):
    told = "An error occurred (Throttling)"
    path = scripts.with_cli(tmp_path, f"cloudformation\\ describe-stacks) echo '{told}' >&2 && exit 254 ;;")
    refused = scripts.deploy(PATH=path)
    assert (refused.status, refused.out) == (1, "")
    assert told in refused.told


def test_subscriptions_that_cannot_be_listed_are_a_warning(scripts, made, tmp_path):
    path = scripts.with_cli(tmp_path, "sns\\ list-subscriptions-by-topic) echo AccessDenied >&2 && exit 254 ;;")
    again = scripts.deploy(PATH=path)
    assert again.status == 0, again.told
    email = scripts.parameters(STACK)["NotificationEmail"]
    assert f"Warning: whether e-mails reach {email} could not be checked: AccessDenied" in again.told
    assert "Dashboard: https://" in again.told


def test_a_change_set_that_was_never_executed_does_not_block_a_deployment(scripts, made, tmp_path):
    """An interrupted first deployment leaves a stack in REVIEW_IN_PROGRESS."""
    path = scripts.with_cli(tmp_path, "cloudformation\\ delete-*) exit 254 ;;")
    plan = scripts.deploy("--plan", env="reviewed", PATH=path)
    assert (plan.status, "Warning: the empty stack" in plan.told) == (0, True)
    assert scripts.stack("video-intake-reviewed")["StackStatus"] == "REVIEW_IN_PROGRESS"
    done = scripts.deploy(env="reviewed")
    assert done.status == 0, done.told
    assert scripts.stack("video-intake-reviewed")["StackStatus"] == "CREATE_COMPLETE"


def test_the_templates_constraints_are_reported_and_leave_no_stack(scripts, made):
    refused = scripts.deploy("--email", "nobody", env="refused")
    assert refused.status == 1
    assert "must be a single e-mail address such as ops@example.com" in refused.told
    assert not scripts.exists("video-intake-refused")
    before = scripts.left(STACK)
    assert scripts.deploy("--email", "nobody").status == 1
    assert scripts.left(STACK) == before, "nor a change set of one that is there"


def test_the_users_artifact_bucket_is_not_changed(scripts, made):
    s3, theirs = scripts.client("s3"), "packages-of-ours-in-another-bucket"
    s3.create_bucket(Bucket=theirs, CreateBucketConfiguration={"LocationConstraint": scripts.environ["AWS_REGION"]})
    s3.put_object(Bucket=theirs, Key=f"video-intake/{STACK}/theirs", Body=b"")
    plan = scripts.deploy("--plan", "--artifact-bucket", theirs)
    assert plan.status == 0, plan.told
    assert f"Packages go to {theirs}; its settings are not changed" in plan.told
    assert "  changed          ProcessorFunction (Lambda Function): Code" in plan.out
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=theirs)
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=theirs)


def test_the_users_artifact_bucket_loses_nothing_in_deployments(scripts):
    s3 = scripts.client("s3")
    s3.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": scripts.environ["AWS_REGION"]})
    mine = {"theirs.txt", "video-intake/video-intake-guest/theirs", "video-intake/video-intake-guest/0123456789abcdef"}
    for key in mine:
        s3.put_object(Bucket="theirs", Key=key, Body=b"")
    handler = scripts.project / "src/handler.py"
    before = handler.read_text()
    for content in (f"{before}# changed\n", before):  # other tests deploy it, too
        handler.write_text(content)
        done = scripts.deploy("--artifact-bucket", "theirs", env="guest")
        assert done.status == 0, done.told
    removed = scripts.run("destroy.sh", "--env", "guest", "--delete-videos", "--yes")
    assert removed.status == 0, removed.told
    listed = {each["Key"] for each in s3.list_objects_v2(Bucket="theirs")["Contents"]}
    assert mine <= listed
    packages = [key for key in listed - mine if not key.endswith(".template")]
    assert len(packages) == 2, "the packages of both deployments"


def test_a_bucket_of_another_account_or_region_is_refused(scripts, made):
    other = scripts.client("sts").assume_role(RoleArn="arn:aws:iam::111122223333:role/other", RoleSessionName="them")
    keys = other["Credentials"]
    theirs = {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"]}
    theirs["AWS_SESSION_TOKEN"] = keys["SessionToken"]
    make = ["aws", "s3", "mb", "s3://packages-of-somebody-else"]
    subprocess.run(make, env=scripts.environ | theirs, capture_output=True, check=True)
    refused = scripts.deploy("--plan", "--artifact-bucket", "packages-of-somebody-else")
    assert refused.status == 1
    assert "belongs to another account" in refused.told
    make = ["aws", "s3", "mb", "s3://packages-far-away", "--region", "eu-west-1"]
    subprocess.run(make, env=scripts.environ, capture_output=True, check=True)
    refused = scripts.deploy("--plan", "--artifact-bucket", "packages-far-away")
    assert refused.status == 1
    assert "is in eu-west-1" in refused.told
