"""The role allows every call of the function, and the function needs every permission of the role."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.support.boxes import padded
from tests.support.secured import Secured
from tests.support.world import Version
from tools.localcloud.policies import allowing, denying
from tools.videos import video

# Permissions that no call of the function uses, with the service that does.
ON_ITS_BEHALF: Final = {
    "logs:CreateLogStream": "Lambda, for each execution environment",
    "logs:PutLogEvents": "Lambda, with what the function prints",
    "s3:ListBucket": "no call: with it, S3 returns 404 instead of 403 (DistinguishDeletedFromForbidden)",
    "s3:GetObject": "no call: S3 may require it for version null, in buckets without versioning",
    "s3:GetObjectTagging": "no call, for the same reason",
    "s3:PutObjectTagging": "no call, for the same reason",
    "sqs:SendMessage": "Lambda, when the retries are used up",
}
# A service's use of the key during a call, which the caller must be allowed.
# S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
# SNS: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
# DynamoDB: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
KEY_USE: Final = {
    "s3:GetObjectVersion": ["kms:Decrypt"],
    "s3:PutObject": ["kms:GenerateDataKey"],
    "sns:Publish": ["kms:Decrypt", "kms:GenerateDataKey"],
    "dynamodb:PutItem": ["kms:Decrypt"],
    "dynamodb:UpdateItem": ["kms:Decrypt"],
    "dynamodb:DeleteItem": ["kms:Decrypt"],
    "sqs:SendMessage": ["kms:Decrypt", "kms:GenerateDataKey"],
}
# Other services that may use the key, with their use.
KEY_SERVICES: Final = {
    "lambda": "decrypts the environment at a cold start",
    "logs": "CloudWatch Logs calls KMS on behalf of the writer: see its documentation, encrypt-log-data-kms.html",
}


@dataclass
class Seen:
    """The function's calls on every path, and its role."""

    calls: Counter[tuple[str, str]]  # action and ARN
    role: dict[str, Any]
    key: str
    region: str

    def allowing(self, action: str, resource: str, **context: str) -> list[dict[str, Any]]:
        return allowing(self.role, action, resource, {name.replace("_", ":"): value for name, value in context.items()})


def batch(version: Version, bucket: str) -> dict[str, Any]:
    """An invocation by S3 Batch Operations."""
    task = {"taskId": "1", "s3Bucket": bucket, "s3Key": version.key, "s3VersionId": version.version_id}
    job = {"id": "j", "userArguments": {"videoIntakeAttempt": "batch"}}
    return {"invocationSchemaVersion": "2.0", "invocationId": "i", "job": job, "tasks": [task]}


@pytest.fixture(scope="module")
def seen(everything: Secured) -> Seen:
    """Success, with one range and with many, rejection, an empty file, deletion, duplicates, permanent failure,
    replays."""
    world, s3 = everything, everything.intake.client("s3")
    before, earlier = world.completed().total(), len(world.calls())
    film = video(seconds=0.4, size=(320, 180))
    for number in (1, 2, 3):
        world.fault("deny", event="dead.mp4", operation="s3:PutObject", attempt=number)
    good = world.upload("folder/Été 2026.mp4", film, tags="customer=4711")
    world.upload("large.MOV", padded(film))
    world.upload("rejected.avi", b"no video")
    world.upload("dead.mp4", film)
    empty = world.upload("empty.mov", b"")
    world.upload(f"{world.theirs.prefix}theirs.mp4", film, "customer=4711", world.theirs.bucket)
    gone = [world.upload("gone.mp4", film), world.upload("gone empty.mp4", b"")]
    world.settle()
    assert len(world.letters()) == 1
    world.well()
    for version in gone:
        s3.delete_object(Bucket=world.intake.bucket, Key=version.key, VersionId=version.version_id)
        event = {"Records": [version.event | {"videoIntakeAttempt": "late"}]}
        event["Records"][0]["s3"]["bucket"] = {"name": world.intake.bucket}
        world.deliver(event)
    world.announce(empty)  # a duplicate
    assert world.replay("dead-letters", "--yes")[0] == 0
    assert world.replay("reprocess", "--key", empty.key, "--yes")[0] == 0
    world.deliver(batch(good, world.intake.bucket))
    world.settle()
    assert world.letters() == []
    # Five, and one in the existing bucket; two, before and after their deletion; one reprocessed, one in a batch.
    assert world.completed().total() - before == 5 + 1 + 2 * 2 + 2
    role = {"Statement": world.statements(world.intake.outputs["RoleArn"])}
    calls = Counter((call["action"], call["resource"]) for call in world.calls()[earlier:])
    return Seen(calls, role, world.key, world.region)


def test_every_call_is_allowed_by_a_statement_of_the_deployed_role(seen: Seen) -> None:
    assert seen.calls
    assert not [call for call in seen.calls if not seen.allowing(*call)]


def test_every_action_of_the_role_was_used_or_is_used_on_the_functions_behalf(seen: Seen) -> None:
    allowed = {action for each in seen.role["Statement"] for action in listed(each["Action"])}
    used = {action for action, _ in seen.calls}
    assert allowed - used - ON_ITS_BEHALF.keys() == {"kms:Decrypt", "kms:GenerateDataKey"}, "see the next test"
    assert not used & ON_ITS_BEHALF.keys(), "used permissions need no reason"
    assert ON_ITS_BEHALF.keys() <= allowed


def test_the_role_may_use_the_key_only_through_services(seen: Seen) -> None:
    done = {action for action, _ in seen.calls} | {"sqs:SendMessage"}
    assert done - KEY_USE.keys() == {"s3:GetObjectVersionTagging", "s3:PutObjectVersionTagging"}, "tags are not content"
    assert KEY_USE.keys() <= done
    for action in done & KEY_USE.keys():
        service = f"{action.split(':')[0]}.{seen.region}.amazonaws.com"
        for use in KEY_USE[action]:
            assert seen.allowing(use, seen.key, kms_ViaService=service), f"{use} for {action}"
    [statement] = seen.allowing("kms:Decrypt", seen.key, kms_ViaService=f"s3.{seen.region}.amazonaws.com")
    open_to = {service.split(".")[0] for service in statement["Condition"]["StringLike"]["kms:ViaService"]}
    assert open_to == {action.split(":")[0] for action in KEY_USE} | KEY_SERVICES.keys()
    for use in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert not seen.allowing(use, seen.key), "directly"
        assert not seen.allowing(use, seen.key, kms_ViaService=f"ec2.{seen.region}.amazonaws.com")
        assert not seen.allowing(use, seen.key, kms_ViaService="s3.us-west-2.amazonaws.com")
        another = seen.key.rpartition("/")[0] + "/another"
        assert not seen.allowing(use, another, kms_ViaService=f"s3.{seen.region}.amazonaws.com")


def test_every_resource_in_a_statement_was_used(seen: Seen) -> None:
    """The function uses every resource pattern, except some suffixes."""
    for statement in seen.role["Statement"]:
        actions = set(listed(statement["Action"])) - ON_ITS_BEHALF.keys()
        if actions and statement["Sid"] != "UseKeyThroughServices":
            used = [call for call in seen.calls if allowing({"Statement": [statement]}, *call)]
            assert {action for action, _ in used} == actions, statement["Sid"]


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", "a.mp4"),
        ("s3:GetObjectVersion", "notes.txt"),
        ("s3:GetObjectVersion", "a.Mp4"),
        ("s3:PutObject", "a.mp4"),
        ("s3:PutObject", "resultsx/a"),
        ("s3:DeleteObject", "a.mp4"),
        ("s3:DeleteObjectVersion", "a.mp4"),
        ("s3:PutBucketPolicy", ""),
    ],
)
def test_the_function_may_do_only_what_it_does(seen: Seen, everything: Secured, action: str, resource: str) -> None:
    arn = everything.intake.outputs["BucketArn"]
    assert not seen.allowing(action, f"{arn}/{resource}" if resource else arn)


def test_only_the_function_may_write_verdicts(everything: Secured) -> None:
    """The policy of the deployed bucket, regardless of a principal's other permissions."""
    intake, bucket = everything.intake, everything.intake.outputs["BucketArn"]
    policy = json.loads(intake.client("s3").get_bucket_policy(Bucket=intake.bucket)["Policy"])
    secure = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
    tagged = {"s3:RequestObjectTagKeys": "video-intake:status"}
    administrator = secure | {"aws:PrincipalArn": f"arn:aws:iam::{everything.account}:role/Administrator"}
    function = secure | {"aws:PrincipalArn": intake.outputs["RoleArn"]}
    for who, is_denied in ((administrator, True), (function, False), (secure, True)):
        written = denying(policy, "s3:PutObject", f"{bucket}/results/a.mp4/v/result.json", who)
        assert bool(written) is is_denied, who
        assert bool(denying(policy, "s3:PutObject", f"{bucket}/results-of/theirs/a.mp4/v/poster.jpg", who)) is is_denied
        for action in ("s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"):
            assert bool(denying(policy, action, f"{bucket}/notes.txt", who | tagged)) is is_denied, (who, action)
        assert not denying(policy, "s3:PutObject", f"{bucket}/a.mp4", who | {"s3:RequestObjectTagKeys": "customer"})
        assert not denying(policy, "s3:DeleteObjectVersion", f"{bucket}/results/a.mp4/v/result.json", who)
    for key in ("a.mp4", "results/a"):
        assert denying(policy, "s3:GetObject", f"{bucket}/{key}", function | {"aws:SecureTransport": "false"})
        assert denying(policy, "s3:GetObject", f"{bucket}/{key}", function | {"s3:TlsVersion": "1.1"})


@pytest.mark.parametrize(
    ("action", "key", "is_allowed"),
    [
        ("s3:PutObject", "holiday/a.mp4", True),
        ("s3:PutObject", "A.AVI", True),
        ("s3:AbortMultipartUpload", "a.mov", True),
        ("s3:PutObject", "notes.txt", False),
        ("s3:PutObject", "results/a.mp4", False),
        ("s3:PutObject", "results-of/theirs/a.mp4", False),
        ("s3:PutObject", "batch/a.mov", False),
        ("s3:GetObject", "a.mp4", False),
        ("s3:DeleteObject", "a.mp4", False),
        ("s3:PutObjectVersionTagging", "a.mp4", False),
    ],
)
def test_the_documented_policy_allows_only_uploads(everything: Secured, action, key, is_allowed) -> None:
    arn = f"{everything.intake.outputs['BucketArn']}/{key}"
    allowed = allowing(everything.uploaders, action, arn) and not denying(everything.uploaders, action, arn, {})
    assert bool(allowed) is is_allowed


@pytest.mark.parametrize(
    ("action", "key"),
    [
        ("s3:GetObject", "renditions/a.mp4"),
        ("s3:PutObjectTagging", "renditions/a.mp4"),
        ("s3:GetObjectVersion", "incoming/notes.txt"),
        ("s3:GetObjectVersion", "incoming/a.Mp4"),
        ("s3:PutObject", "incoming/a.mp4"),
        ("s3:PutObject", "results-of/videos-from-before/a/result.json"),
        ("s3:DeleteObject", "incoming/a.mp4"),
        ("s3:DeleteObjectVersion", "incoming/a.mp4"),
        ("s3:PutBucketNotification", ""),
    ],
)
def test_in_the_existing_bucket_it_may_do_only_what_it_does(
    seen: Seen, everything: Secured, action: str, key: str
) -> None:
    arn = f"arn:aws:s3:::{everything.theirs.bucket}"
    assert not seen.allowing(action, f"{arn}/{key}" if key else arn)
    assert not seen.allowing("s3:GetObject", f"{arn}-2/incoming/a.mp4")
    assert not seen.allowing("s3:PutObject", f"{everything.intake.outputs['BucketArn']}/results-of/another/a.json")


def test_a_batch_job_has_exactly_the_permissions_that_it_needs(everything: Secured) -> None:
    outputs = everything.intake.outputs
    role, bucket = {"Statement": everything.statements(outputs["BatchRoleArn"])}, outputs["BucketArn"]
    through_s3 = {"kms:ViaService": f"s3.{everything.region}.amazonaws.com"}
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-iam-role-policies.html
    must = [
        ("lambda:InvokeFunction", outputs["FunctionArn"]),
        ("s3:GetObject", f"{bucket}/batch/one/manifest.csv"),
        ("s3:GetObjectVersion", f"{bucket}/batch/one/manifest.csv"),
        ("s3:PutObject", f"{bucket}/batch/one/job-1/report.csv"),
        ("kms:Decrypt", everything.key),
        ("kms:GenerateDataKey", everything.key),
    ]
    used = {id(statement): statement for one in must for statement in allowing(role, *one, through_s3)}
    assert all(allowing(role, *one, through_s3) for one in must)
    assert len(used) == len(role["Statement"])
    assert {action for each in role["Statement"] for action in listed(each["Action"])} == {one for one, _ in must}
    assert not allowing(role, "s3:GetObject", f"{bucket}/a.mp4")
    assert not allowing(role, "s3:PutObject", f"{bucket}/a.mp4")


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
