"""Compares the recorded calls of deploy.sh, verify.sh and destroy.sh with the role in deploy-role.yaml."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.iam import allowing
from tests.support.recorded import ACCOUNT, Request, recorder
from tests.support.scripts import FOR_THIS_MACHINE, ROOT
from tests.support.template import DEPLOY_ROLE, Rendered, as_list
from tools import localcloud
from tools.localcloud.deployment import Session, environ_of

ENVIRONMENT: Final = "role"
STACK: Final = f"video-intake-{ENVIRONMENT}"
REPOSITORY: Final = {"Repository": "octo-org/video-intake", "OwnerId": "65", "RepositoryId": "4711"}
THEIRS: Final = "videos-from-before"
# Calls that may fail: deleting an empty stack after a plan, and reading the policy of a key.
MAY_FAIL: Final = {"cloudformation:DeleteStack", "kms:GetKeyPolicy"}
# Permissions for calls that are not recorded here.
UNSEEN: Final = {
    "cloudformation:TagResource": "CloudFormation, for a change set with tags",
    "cloudformation:UntagResource": "CloudFormation, for one without a tag that the stack has",
    "iam:PassRole": "CloudFormation, on behalf of the deployer",
}


@dataclass
class Recorded:
    """Each script's requests to AWS."""

    region: str
    deploy: set[Request] = field(default_factory=set)
    verify: set[Request] = field(default_factory=set)
    destroy: set[Request] = field(default_factory=set)

    def statements(self, **options: str) -> list[dict[str, Any]]:
        """The statements of the role with these parameters."""
        pseudo = {"AWS::Region": self.region, "AWS::AccountId": ACCOUNT}
        role = Rendered(REPOSITORY | {"EnvironmentSuffix": ENVIRONMENT} | pseudo | options, DEPLOY_ROLE)
        policies = [*role["DeployRole"]["Policies"], *role.of_type("AWS::IAM::RolePolicy").values()]
        return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


@pytest.fixture(scope="module")
def recorded(request, local_cloud, warm_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    if request.config.getoption("--stack"):
        pytest.skip("the calls of the scripts are the same everywhere")
    with (
        local_cloud(tmp_path_factory.mktemp("role") / "state", retry_delay=0.1) as cloud,
        recorder(cloud.endpoint) as (endpoint, seen),
    ):
        environ = environ_of(cloud, warm_cli) | {"AWS_ENDPOINT_URL": endpoint}
        found = Recorded(cloud.environ["AWS_REGION"])

        def run(into: set[Request], script: str, *arguments: str) -> None:
            seen.clear()
            done = subprocess.run(
                [str(ROOT / "scripts" / script), "--env", ENVIRONMENT, *arguments],
                env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            into |= set(seen)

        everything(run, found, cloud)
        yield found


def everything(run: Callable[..., None], found: Recorded, cloud: localcloud.LocalCloud) -> None:
    """Everything that the scripts do on a stack from creation to removal."""
    s3 = Session(cloud).client("s3")
    deploy = (found.deploy, "deploy.sh", *FOR_THIS_MACHINE)
    run(*deploy, "--plan")
    run(*deploy, "--email", "unread@example.com", "--tag", "Team=Video")
    cloud.control("POST", "stack", name=STACK, drift={"VideoBucket": ["/Tags"]})
    run(*deploy, "--plan", "--parameter", "Storyboard=enabled")
    s3.create_bucket(Bucket=THEIRS, CreateBucketConfiguration={"LocationConstraint": found.region})
    key = Session(cloud).client("kms").create_key()["KeyMetadata"]["Arn"]
    with_key = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=THEIRS, ServerSideEncryptionConfiguration={"Rules": [with_key]})
    existing = ["--bucket", THEIRS, "--bucket-prefix", "incoming/"]
    run(*deploy, "--yes", "--email", "", "--parameter", "LogRetentionInDays=7", *existing)
    run(*deploy)
    run(found.verify, "verify.sh")
    s3.put_object(Bucket=f"{STACK}-{ACCOUNT}-{found.region}", Key="a.txt", Body=b"")
    s3.delete_object(Bucket=f"{STACK}-{ACCOUNT}-{found.region}", Key="a.txt")
    run(found.destroy, "destroy.sh", "--yes")
    run(found.destroy, "destroy.sh", "--yes", "--delete-videos")


def denied(requests: set[Request], statements: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted(
        need
        for request in requests
        for need in request.needs
        if not allowing(statements, *need, dict(request.context)) and need[0] not in MAY_FAIL
    )


def test_every_call_of_deploy_sh_is_allowed(recorded: Recorded) -> None:
    assert len({request.operation for request in recorded.deploy}) > 20
    assert denied(recorded.deploy, recorded.statements(ExistingBucketName=THEIRS)) == []
    assert {arn for _, arn in denied(recorded.deploy, recorded.statements())} == {f"arn:aws:s3:::{THEIRS}"}


def test_every_call_of_verify_sh_is_allowed_with_verification(recorded: Recorded) -> None:
    assert denied(recorded.verify, recorded.statements(Verification="enabled", ExistingBucketName=THEIRS)) == []
    assert denied(recorded.verify, recorded.statements()), "and not by the way"


def test_every_call_of_destroy_sh_is_allowed_with_removal(recorded: Recorded) -> None:
    with_removal = recorded.statements(Removal="enabled")
    assert denied(recorded.destroy, with_removal) == []
    stack = f"arn:aws:cloudformation:{recorded.region}:{ACCOUNT}:stack/{STACK}/id"
    assert allowing(with_removal, "cloudformation:DeleteStack", stack)
    for deleting in ("cloudformation:DeleteStack", "s3:DeleteBucket", "s3:DeleteObjectVersion"):
        needed = {arn for request in recorded.destroy for action, arn in request.needs if action == deleting}
        assert needed, deleting
        assert not [arn for arn in needed if allowing(recorded.statements(), deleting, arn)], deleting


def test_no_direct_permission_is_unused_by_the_scripts(recorded: Recorded) -> None:
    statements = recorded.statements(Verification="enabled", Removal="enabled", ExistingBucketName=THEIRS)
    by_hand = [one for one in statements if "aws:CalledVia" not in str(one.get("Condition"))]
    asked = recorded.deploy | recorded.verify | recorded.destroy
    used = {action for request in asked for action, _ in request.needs}
    allowed = {action for one in by_hand for action in as_list(one["Action"])}
    assert allowed - used == UNSEEN.keys()
    for one in by_hand:
        if set(as_list(one["Action"])) & used:
            assert any(allowing([one], *need, dict(request.context)) for request in asked for need in request.needs), (
                f"{one['Sid']} names resources that nobody asks for"
            )


def test_a_change_set_is_named_with_its_stack(recorded: Recorded) -> None:
    """IAM checks one of two ARNs, so the request always has the stack's, and the role has both."""
    changes = [one for one in recorded.deploy if one.operation.endswith("ChangeSet")]
    named = {one.operation: {arn.split(":")[5].split("/")[0] for _, arn in one.needs} for one in changes}
    assert named == {
        "cloudformation:CreateChangeSet": {"stack"},
        **{f"cloudformation:{verb}ChangeSet": {"stack", "changeSet"} for verb in ("Describe", "Execute", "Delete")},
    }


def test_the_role_of_one_environment_has_no_direct_access_to_another(recorded: Recorded) -> None:
    statements = recorded.statements(Verification="enabled", Removal="enabled")
    shared = {"sts:GetCallerIdentity", "cloudwatch:GetMetricStatistics", "sns:Unsubscribe"}
    for request in recorded.deploy | recorded.verify | recorded.destroy:
        for action, arn in request.needs:
            other = arn.replace(STACK, f"{STACK}-2")
            if action not in shared and other != arn and "changeSet" not in other:
                assert not allowing(statements, action, other, dict(request.context)), f"{action} on {other}"
