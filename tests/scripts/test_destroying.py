"""scripts/destroy.sh as a user runs it: what it deletes, what it keeps, and what it asks."""

import json

import pytest

STACK = "video-intake-gone"


@pytest.fixture
def bucket(scripts):
    """The bucket of a stack with videos, an event in the queue, and a role that cannot be deleted.

    Another one if a test has removed the stack.
    """
    if not scripts.exists(STACK):
        destroy(scripts, "--delete-videos", "--yes")  # the bucket that stayed
        deploy(scripts)
    return output(scripts, "BucketName")


@pytest.fixture
def kept(scripts):
    """The bucket of such a stack, which was removed."""
    if not [name for name in buckets(scripts) if name.startswith(f"{STACK}-")]:
        deploy(scripts)
    if scripts.exists(STACK):
        role = output(scripts, "RoleArn").rpartition("/")[2]
        scripts.client("iam").delete_role_policy(RoleName=role, PolicyName="ByHand")
        assert destroy(scripts, "--yes").status == 0
    [name] = [name for name in buckets(scripts) if name.startswith(f"{STACK}-")]
    return name


def deploy(scripts):
    made = scripts.deploy(env="gone")
    assert made.status == 0, made.told
    s3, bucket = scripts.client("s3"), output(scripts, "BucketName")
    for key in ("a.txt", "a.txt", 'Été (1) & "2" <🎬>.txt', "results/a.txt"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    s3.delete_object(Bucket=bucket, Key="a.txt")
    scripts.client("sqs").send_message(QueueUrl=output(scripts, "FailedEventsQueueUrl"), MessageBody="{}")
    for key in OF_OTHERS:
        s3.put_object(Bucket=packages_of(bucket), Key=key, Body=b"")
    role = output(scripts, "RoleArn").rpartition("/")[2]
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'
    scripts.client("iam").put_role_policy(RoleName=role, PolicyName="ByHand", PolicyDocument=policy)


def output(scripts, name):
    return next(each["OutputValue"] for each in scripts.stack(STACK)["Outputs"] if each["OutputKey"] == name)


OF_OTHERS = ("video-intake/video-intake-gone-2/0123", "video-intake/video-intake-go/0123", "video-intake/0123", "0123")


def packages_of(bucket):
    return bucket.replace("video-intake-gone", "video-intake-artifacts")


def destroy(scripts, *arguments, env="gone", **options):
    return scripts.run("destroy.sh", "--env", env, *arguments, **options)


def versions(scripts, bucket):
    listed = scripts.client("s3").list_object_versions(Bucket=bucket)
    return len(listed["Versions"]) + len(listed["DeleteMarkers"])


def buckets(scripts):
    return [bucket["Name"] for bucket in scripts.client("s3").list_buckets()["Buckets"]]


def test_it_lists_what_is_deleted_and_kept_and_waits_for_an_answer(scripts, bucket):
    sqs, queue = scripts.client("sqs"), {"QueueUrl": output(scripts, "FailedEventsQueueUrl")}
    [hidden] = sqs.receive_message(**queue, VisibilityTimeout=600)["Messages"]  # as while someone looks at it
    before = scripts.left(STACK)
    alone = destroy(scripts)
    sqs.change_message_visibility(**queue, ReceiptHandle=hidden["ReceiptHandle"], VisibilityTimeout=0)
    assert alone.status == 1
    assert "  deleted  ProcessorFunction (Lambda Function)" in alone.told
    assert f"  kept     VideoBucket (S3 Bucket): {bucket}" in alone.told
    assert "Uploads without a result in the failed-events queue: 1." in alone.told
    assert "Pass --yes to proceed" in alone.told
    assert scripts.left(STACK) == before


@pytest.mark.parametrize("answer", ["n", ""])
def test_any_answer_but_yes_removes_nothing(scripts, bucket, answer):
    before = scripts.left(STACK)
    refused = destroy(scripts, answer=answer)
    assert refused.status == 1
    assert f"Remove {STACK}? [y/N]" in refused.told
    assert "nothing was removed" in refused.told
    assert scripts.left(STACK) == before
    assert versions(scripts, bucket) == 5


@pytest.mark.parametrize("answer", ["", "y", "video-intake-gene"])
def test_anything_but_the_stacks_name_deletes_no_video(scripts, bucket, answer):
    before = scripts.left(STACK)
    refused = destroy(scripts, "--delete-videos", answer=answer)
    assert refused.status == 1
    assert f"PERMANENTLY DELETED: {bucket}" in refused.told
    assert "nothing was removed" in refused.told
    assert scripts.left(STACK) == before
    assert versions(scripts, bucket) == 5


def test_a_stuck_removal_names_the_resource_and_can_be_resumed(scripts, bucket):
    stuck = destroy(scripts, answer="y")
    assert stuck.status == 1
    assert "Failures:\n  ProcessorRole (AWS::IAM::Role): " in stuck.told
    assert "DeleteConflict" in stuck.told
    *_, advice = stuck.told.splitlines()
    assert scripts.stack(STACK)["StackStatus"] == "DELETE_FAILED"
    again = scripts.deploy(env="gone")
    assert "only partly removed (DELETE_FAILED)" in again.told
    _, *arguments = advice.split()
    assert arguments[-2:] == ["--retain", "ProcessorRole"]
    done = scripts.run("destroy.sh", *arguments, "--yes")
    assert done.status == 0, done.told
    assert "An earlier removal failed:\n  ProcessorRole" in done.told
    assert "  kept     ProcessorRole (IAM Role)" in done.told
    assert not scripts.exists(STACK)
    assert f"{bucket} and its contents were kept" in done.told
    assert versions(scripts, bucket) == 5, "not one of them is lost"
    packages = scripts.client("s3").list_objects_v2(Bucket=packages_of(bucket))
    assert {each["Key"] for each in packages["Contents"]} >= set(OF_OTHERS)
    assert not [each["Key"] for each in packages["Contents"] if each["Key"].startswith(f"video-intake/{STACK}/")]


def test_the_bucket_that_stayed_refuses_plain_http(scripts, kept):
    s3 = scripts.client("s3")
    policy = json.loads(s3.get_bucket_policy(Bucket=kept)["Policy"])
    denied = {statement["Sid"]: statement for statement in policy["Statement"]}
    assert denied["DenyPlainHttp"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert denied["DenyPlainHttp"]["Resource"] == [f"arn:aws:s3:::{kept}", f"arn:aws:s3:::{kept}/*"]
    assert all(s3.get_public_access_block(Bucket=kept)["PublicAccessBlockConfiguration"].values())


def test_the_bucket_that_stayed_blocks_a_new_stack_until_it_is_deleted(scripts, kept):
    again = scripts.deploy(env="gone")
    assert again.status == 1
    assert f"bucket {kept} already exists" in again.told
    still = destroy(scripts, "--yes")
    assert (still.status, kept in still.told) == (0, True)
    done = destroy(scripts, "--delete-videos", answer=STACK)
    assert done.status == 0, done.told
    assert "5 versions deleted" in done.told
    assert kept not in buckets(scripts)
    nothing = destroy(scripts, "--delete-videos", "--yes")
    assert (nothing.status, nothing.told.splitlines()[-1]) == (0, "There is no such stack.")


def test_a_stack_that_is_changing_is_not_removed(scripts, made):
    name, usual = "video-intake-made", scripts.stack("video-intake-made")["StackStatus"]
    scripts.put(name=name, status="UPDATE_IN_PROGRESS")
    try:
        refused = scripts.run("destroy.sh", "--stack-name", name, "--yes")
    finally:
        scripts.put(name=name, status=usual)
    assert refused.status == 1
    assert "another operation on" in refused.told
    early = scripts.run("destroy.sh", "--stack-name", name, "--retain", "ProcessorRole", "--yes")
    assert early.status == 1
    assert f"only after a removal has failed (DELETE_FAILED); the status is {usual}" in early.told
    assert scripts.exists(name)


def test_a_locked_version_stops_the_deletion_with_a_reason(scripts, made):
    account, region = scripts.stack("video-intake-made")["StackId"].split(":")[4], scripts.environ["AWS_REGION"]
    s3, bucket = scripts.client("s3"), {"Bucket": f"video-intake-locked-{account}-{region}"}
    place = {"LocationConstraint": region}
    s3.create_bucket(**bucket, ObjectLockEnabledForBucket=True, CreateBucketConfiguration=place)
    for key in ("a.mp4", "locked.mp4", "z.mp4"):
        s3.put_object(**bucket, Key=key, Body=b"")
    s3.put_object_legal_hold(**bucket, Key="locked.mp4", LegalHold={"Status": "ON"})
    stuck = destroy(scripts, "--delete-videos", "--yes", env="locked")
    assert stuck.status == 1
    assert "this version could not be deleted: locked.mp4\tAccessDenied" in stuck.told
    assert [each["Key"] for each in s3.list_object_versions(**bucket)["Versions"]] == ["locked.mp4"]
    s3.put_object_legal_hold(**bucket, Key="locked.mp4", LegalHold={"Status": "OFF"})
    assert destroy(scripts, "--delete-videos", "--yes", env="locked").status == 0
    assert bucket["Bucket"] not in buckets(scripts)
