"""The role in .github/deploy-role.yaml: who can assume it, and what CloudFormation needs.

tests/security/test_scripts_calls.py records the scripts' calls.
"""

import json
import re
from typing import Any, Final

import pytest

from tests.support.iam import allowing
from tests.support.provider_schemas import (
    FOR_OTHERS,
    called_for,
    set_properties,
    takes_a_resource,
)
from tests.support.template import DEPLOY_ROLE, PSEUDO, RESOURCES, ROOT, Rendered, as_list, schema

GIVEN: Final = {
    "Repository": "octo-org/video-intake", "OwnerId": "65", "RepositoryId": "4711", "EnvironmentSuffix": "prod",
}  # fmt: skip
ROLE: Final = Rendered(GIVEN, DEPLOY_ROLE)
STATEMENTS: Final[dict[str, dict[str, Any]]] = {
    statement["Sid"]: statement
    for policy in ROLE["DeployRole"]["Policies"]
    for statement in policy["PolicyDocument"]["Statement"]
}
BY_CLOUDFORMATION: Final = {"aws:CalledVia": "cloudformation.amazonaws.com"}
REGION, ACCOUNT = PSEUDO["AWS::Region"], PSEUDO["AWS::AccountId"]
KINDS: Final = sorted({body["Type"] for body in RESOURCES.values()})


# ---------------------------------------------------------------- Who gets it

ISSUER: Final = "token.actions.githubusercontent.com:"
TOKEN: Final = {
    "aud": "sts.amazonaws.com",
    "sub": "repo:octo-org@65/video-intake@4711:environment:prod",
    "repository_id": "4711",
}
OLD: Final = TOKEN | {"sub": "repo:octo-org/video-intake:environment:prod"}


def trusted(token: dict[str, str], **given: str) -> bool:
    [statement] = Rendered(GIVEN | given, DEPLOY_ROLE)["DeployRole"]["AssumeRolePolicyDocument"]["Statement"]
    context = {ISSUER + name: value for name, value in token.items()}
    return bool(allowing([statement], "sts:AssumeRoleWithWebIdentity", context=context))


@pytest.mark.parametrize(
    "token",
    [TOKEN, OLD, *({name: value for name, value in one.items() if name != "repository_id"} for one in (TOKEN, OLD))],
    ids=["with ids", "without ids", "with ids, IAM ignores the claim", "without ids, IAM ignores the claim"],
)
def test_both_forms_of_the_subject_get_the_role(token: dict[str, str]) -> None:
    assert trusted(token)


@pytest.mark.parametrize(
    "stranger",
    [
        TOKEN
        | {"sub": "repo:octo-org@65/video-intake@4712:environment:prod", "repository_id": "4712"},  # the name again
        TOKEN | {"sub": "repo:octo-org@66/video-intake@4711:environment:prod"},
        OLD | {"repository_id": "4712"},  # somebody has taken the old name
        OLD | {"sub": "repo:octo-org/video-intake-2:environment:prod"},
        OLD | {"sub": "repo:octo-org/video-intake:environment:prod-2"},
        OLD | {"sub": "repo:octo-org/video-intake:environment:dev"},
        OLD | {"sub": "repo:octo-org/video-intake:pull_request"},
        OLD | {"sub": "repo:octo-org/video-intake:ref:refs/heads/main"},
        OLD | {"sub": "repo:octo-org/video-intake:environment:*"},
        OLD | {"aud": "https://github.com/octo-org"},
        {"aud": "sts.amazonaws.com"},
        {},
    ],
    ids=lambda token: f"{token.get('sub')} {token.get('repository_id')}",
)
def test_no_stranger_gets_the_role(stranger: dict[str, str]) -> None:
    assert not trusted(stranger)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("Repository", "octo-org/*"), ("Repository", "*/video-intake"), ("Repository", "a/b/c"), ("Repository", "x"),
        ("OwnerId", ""), ("OwnerId", "*"), ("OwnerId", "octo-org"), ("RepositoryId", "47?1"), ("RepositoryId", ""),
        ("EnvironmentSuffix", "*"), ("EnvironmentSuffix", "prod:x"),
        ("ProviderArn", "arn:aws:iam::111122223333:oidc-provider/gitlab.com"),
    ],
)  # fmt: skip
def test_nothing_that_would_widen_the_trust_is_accepted(parameter: str, value: str) -> None:
    assert not re.fullmatch(DEPLOY_ROLE["Parameters"][parameter]["AllowedPattern"], value)


def test_the_trust_has_no_wildcard_and_no_other_way_in() -> None:
    [statement] = DEPLOY_ROLE["Resources"]["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"].keys() == {
        "StringEquals",
        "StringEqualsIfExists",
    }  # StringLike would allow wildcards
    assert "*" not in json.dumps(statement["Condition"])


@pytest.mark.parametrize(
    ("provider", "trusted_one"),
    [("", "<GitHubProvider>"), (f"arn:aws:iam::111122223333:oidc-provider/{ISSUER[:-1]}",) * 2],
    ids=["new", "existing"],
)
def test_the_trusted_provider_is_created_unless_there_is_one(provider: str, trusted_one: str) -> None:
    role = Rendered(GIVEN | {"ProviderArn": provider}, DEPLOY_ROLE)
    [statement] = role["DeployRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Federated": trusted_one}
    created = {"Url": f"https://{ISSUER[:-1]}", "ClientIdList": [TOKEN["aud"]]}
    assert [*role.of_type("AWS::IAM::OIDCProvider").values()] == ([] if provider else [created])
    declared = DEPLOY_ROLE["Resources"]["GitHubProvider"]
    assert declared["DeletionPolicy"] == declared["UpdateReplacePolicy"] == "Retain", "other repositories may use it"
    assert role["DeployRole"]["MaxSessionDuration"] == 3600
    assert role.outputs["RoleArn"]["Value"] == "<DeployRole.Arn>"


# ---------------------------------------------------------------- What it gets on request

EVERYTHING: Final = {"Verification": "enabled", "Removal": "enabled", "ExistingBucketName": "theirs"}
BUCKET: Final = f"arn:aws:s3:::video-intake-prod-{ACCOUNT}-{REGION}"
AS_QUEUE: Final = {"sns:Protocol": "sqs"}


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ({}, set()),
        ({"Verification": "enabled"}, {"VerificationPolicy"}),
        ({"Removal": "enabled"}, {"RemovalPolicy"}),
        ({"ExistingBucketName": "theirs"}, {"ExistingBucketPolicy"}),
        (EVERYTHING, {"VerificationPolicy", "RemovalPolicy", "ExistingBucketPolicy"}),
    ],
    ids=["nothing", "verification", "removal", "existing bucket", "everything"],
)
def test_each_additional_policy_is_there_only_on_request(given: dict[str, str], there: set[str]) -> None:
    role = Rendered(GIVEN | given, DEPLOY_ROLE)
    policies = role.of_type("AWS::IAM::RolePolicy")
    assert policies.keys() == there
    assert {each["RoleName"] for each in policies.values()} <= {"<DeployRole>"}
    names = [each["PolicyName"] for each in [*role["DeployRole"]["Policies"], *policies.values()]]
    assert len(set(names)) == len(names), "a policy replaces another one with its name"


@pytest.mark.parametrize(
    ("action", "allowed", "refused", "context"),
    [
        ("s3:PutObject", f"{BUCKET}/verify/a.mp4", f"{BUCKET}/a.mp4", {}),
        ("s3:PutObject", "arn:aws:s3:::theirs/in/verify/a.mp4", "arn:aws:s3:::theirs/in/a.mp4", {}),
        ("s3:GetObject", f"{BUCKET}/results/verify/a.mp4/v1/result.json", f"{BUCKET}/results/a.mp4/v1/result.json", {}),
        (
            "s3:GetObject",
            f"{BUCKET}/results-of/theirs/in/verify/a.mp4/v1/result.json",
            f"{BUCKET}/results-of/theirs/in/a.mp4/v1/result.json",
            {},
        ),
        ("s3:DeleteObjectVersion", f"{BUCKET}/a.mp4", f"{BUCKET}/a.mp4".replace("prod", "prod-2"), {}),
        ("s3:PutBucketNotification", "arn:aws:s3:::theirs", "arn:aws:s3:::theirs-2", {}),
        (
            "sqs:ReceiveMessage",
            f"arn:aws:sqs:{REGION}:{ACCOUNT}:video-intake-inbox-1",
            f"arn:aws:sqs:{REGION}:{ACCOUNT}:video-intake-prod-FailedEventsQueue-1",
            {},
        ),
        (
            "sns:Subscribe",
            f"arn:aws:sns:{REGION}:{ACCOUNT}:video-intake-prod-OutcomeTopic-1",
            f"arn:aws:sns:{REGION}:{ACCOUNT}:video-intake-prod-AlarmTopic-1",
            AS_QUEUE,
        ),
        (
            "cloudformation:ExecuteChangeSet",
            f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/awscli-cloudformation-package-deploy-1/id",
            f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/by-hand/id",
            {},
        ),
    ],
)
def test_additional_permissions_end_where_they_are_not_needed(
    action: str, allowed: str, refused: str, context: dict[str, str]
) -> None:
    role = Rendered(GIVEN | EVERYTHING, DEPLOY_ROLE)
    policies = [*role["DeployRole"]["Policies"], *role.of_type("AWS::IAM::RolePolicy").values()]
    granted = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
    assert allowing(granted, action, allowed, context)
    assert not allowing(granted, action, refused, context)
    assert not context or not allowing(granted, action, allowed, {"sns:Protocol": "https"}), "messages to anyone"


# ---------------------------------------------------------------- What CloudFormation calls


def arns(kind: str) -> list[str]:
    """The ARNs of a type's resources, with CloudFormation's names; for a policy, of what it is attached to."""
    services = {
        "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{{}}",
        "AWS::CloudWatch::Dashboard": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/video-intake-prod-{REGION}",
        "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{}}",
        "AWS::Events::Rule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/video-intake-prod-existing-bucket",
        "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{}}",
        "AWS::Lambda": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{}}",
        "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}",
        "AWS::S3": f"arn:aws:s3:::video-intake-prod-{ACCOUNT}-{REGION}",
        "AWS::SNS": f"arn:aws:sns:{REGION}:{ACCOUNT}:{{}}",
        "AWS::SQS": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}",
    }
    form = next(form for prefix, form in services.items() if kind.startswith(prefix))
    return [
        form.format(f"video-intake-prod-{name}-1A2B3C4D5E6F") for name in RESOURCES if RESOURCES[name]["Type"] == kind
    ]


def elsewhere(arn: str) -> str:
    """The same ARN in a stack of another environment."""
    return arn.replace("video-intake-prod", "video-intake-production")


PASSED: Final = BY_CLOUDFORMATION | {"iam:PassedToService": "lambda.amazonaws.com"}
OF_THE_KEY: Final = "kms:"  # allowed by the key's policy: the role cannot know which key
OF_THE_PACKAGE: Final = "s3:GetObject"


@pytest.mark.parametrize("kind", KINDS)
def test_actions_in_the_provider_schemas_are_allowed_only_on_the_stacks_resources(kind: str) -> None:
    for action in called_for(kind):
        if action.startswith(OF_THE_KEY) or (kind, action) == ("AWS::Lambda::Function", OF_THE_PACKAGE):
            continue
        if not takes_a_resource(action):
            assert allowing(STATEMENTS.values(), action, "*", PASSED), action
            continue
        for arn in arns("AWS::IAM::Role" if action == "iam:PassRole" else kind):
            assert allowing(STATEMENTS.values(), action, arn, PASSED), f"{action} on {arn}"
            assert not allowing(STATEMENTS.values(), action, elsewhere(arn), PASSED), f"{action} on {elsewhere(arn)}"


def test_lambda_can_read_the_package_of_this_stack_with_the_role() -> None:
    bucket = f"arn:aws:s3:::video-intake-artifacts-{ACCOUNT}-{REGION}"
    folder = f"{bucket}/video-intake/video-intake-prod"
    assert allowing(STATEMENTS.values(), OF_THE_PACKAGE, f"{folder}/0123")
    assert not allowing(STATEMENTS.values(), OF_THE_PACKAGE, f"{folder}-2/0123")


def test_nothing_is_allowed_through_cloudformation_that_no_schema_lists() -> None:
    called = {action for kind in KINDS for action in called_for(kind)}
    through = [one for one in STATEMENTS.values() if "aws:CalledVia" in json.dumps(one.get("Condition", {}))]
    allowed = {action for one in through for action in as_list(one["Action"])}
    assert allowed - called == set()
    assert {action for one in through if one["Resource"] == "*" for action in as_list(one["Action"])} == {
        action for action in called if not takes_a_resource(action) and not action.startswith(OF_THE_KEY)
    }
    assert not any("*" in action for one in STATEMENTS.values() for action in as_list(one["Action"]))


def test_exceptions_from_the_schemas_are_for_properties_that_are_not_set() -> None:
    """If such a property is set later, its actions are required, and the tests above fail until the role has them."""
    for kind, spared in FOR_OTHERS.items():
        described = schema(kind)
        listed = {action for name in ("create", "update") for action in described["handlers"][name]["permissions"]}
        for of, actions in spared.items():
            assert actions <= listed, f"{kind}: {actions - listed} is not listed"
            assert of in described["properties"] or " " in of, of
            assert of not in set_properties(kind), of


def test_resources_can_be_changed_only_through_cloudformation() -> None:
    for kind in KINDS:
        for arn in arns(kind) if kind != "AWS::Logs::QueryDefinition" else ["*"]:
            for action in called_for(kind):
                by_hand = allowing(STATEMENTS.values(), action, arn)
                assert not by_hand or {one["Sid"] for one in by_hand} <= {
                    "ReportSubscriptions", "CheckWhetherTheBucketExists",
                }, f"{action} on {arn}"  # fmt: skip


def test_the_role_cannot_change_itself_and_passes_roles_only_to_lambda() -> None:
    own = f"arn:aws:iam::{ACCOUNT}:role/{ROLE['DeployRole']['RoleName']}"
    for action in called_for("AWS::IAM::Role") | {"iam:PassRole"}:
        assert not allowing(STATEMENTS.values(), action, own, PASSED), action
    [role, *_] = arns("AWS::IAM::Role")
    to_ec2 = PASSED | {"iam:PassedToService": "ec2.amazonaws.com"}
    assert not allowing(STATEMENTS.values(), "iam:PassRole", role, to_ec2)


def test_the_roles_policies_are_within_the_size_limit() -> None:
    """IAM counts 10,240 characters for all inline policies of a role together, without white space."""
    everything = Rendered(
        GIVEN
        | {"Verification": "enabled", "Removal": "enabled", "EnvironmentSuffix": "e" * 20}
        | {"ExistingBucketName": "b" * 63},
        DEPLOY_ROLE,
    )
    documents = [policy["PolicyDocument"] for policy in everything["DeployRole"]["Policies"]]
    documents += [each["PolicyDocument"] for each in everything.of_type("AWS::IAM::RolePolicy").values()]
    assert sum(len(json.dumps(document, separators=(",", ":"))) for document in documents) <= 10_240


# ---------------------------------------------------------------- A key of one's own


def test_both_pages_list_all_key_permissions_of_the_schemas() -> None:
    pages = [(ROOT / "docs" / name).read_text() for name in ("ci.md", "security.md")]
    rows = [
        next(line for line in page.splitlines() if line.startswith("|") and "`kms:CreateGrant`" in line)
        for page in pages
    ]
    told = [set(re.findall(r"`(kms:\w+)`", row)) for row in rows]
    called = {action for kind in KINDS for action in called_for(kind) if action.startswith(OF_THE_KEY)}
    assert told[0] == told[1] == called
    assert "kms:" not in json.dumps(STATEMENTS)
