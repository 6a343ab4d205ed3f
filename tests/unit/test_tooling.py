"""What is written down twice, because each tool reads a file of its own, stays the same."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
from cfn_flip import load

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
WORKFLOWS = {path.name: load(path.read_text())[0] for path in (ROOT / ".github/workflows").glob("*.yml")}
HOOKS = load((ROOT / ".pre-commit-config.yaml").read_text())[0]["repos"][0]["hooks"]
ROLE = load((ROOT / ".github/deploy-role.yaml").read_text())[0]
TEMPLATE = load((ROOT / "template.yaml").read_text())[0]

# CloudFormation's own verb, for the CLI's that are spelt otherwise or do several things; None asks for no permission
ACTIONS = {
    "cloudformation deploy": "cloudformation:ExecuteChangeSet",
    "cloudformation package": "s3:PutObject",
    "cloudformation wait": "cloudformation:DescribeStacks",
    "cloudformation delete-stack": None,  # of the empty one that comes with a first change set; it may as well stay
    "cloudformation continue-update-rollback": None,  # named in a sentence that tells people what to do
    "s3 rm": "s3:DeleteObject",
    "s3api head-bucket": "s3:ListBucket",
    "s3api put-bucket-encryption": "s3:PutEncryptionConfiguration",
    "s3api put-bucket-lifecycle-configuration": "s3:PutLifecycleConfiguration",
    "s3api put-public-access-block": "s3:PutBucketPublicAccessBlock",
    "sts get-caller-identity": None,  # needs none
}
# Of whole ARNs, for the resources of the template that have no name of their own to begin with the stack's
NAMELESS = {"AWS::Logs::QueryDefinition"}


def runs(workflow) -> list[str]:
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


def makes(text: str) -> set[str]:
    return set(re.findall(r"\bmake ([a-z-]+)", text))


def pins(path: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+(?:\[\w+\])?)==([\w.]+)", (ROOT / path).read_text(), re.MULTILINE))


def statements(role) -> dict[str, dict]:
    [policy] = role["Resources"]["DeployRole"]["Properties"]["Policies"]
    return {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}


def test_pre_commit_runs_the_versions_that_people_call_by_hand():
    installed = pins("requirements.txt")
    hooked = dict(pin.split("==") for hook in HOOKS for pin in hook["additional_dependencies"])
    assert {"cfn-lint", "ruff", "shfmt-py"} <= set(installed) & set(hooked)
    assert {name: hooked[name] for name in set(installed) & set(hooked)}.items() <= installed.items()


def test_every_hook_is_pinned_and_comes_from_pypi_cfn_lint_first():
    assert HOOKS[0]["id"] == "cfn-lint"
    for hook in HOOKS:
        assert hook["language"] == "python", hook["id"]
        assert all(re.fullmatch(r"[\w-]+==[\w.]+", pin) for pin in hook["additional_dependencies"]), hook["id"]


def test_the_workflow_does_all_that_ci_does():
    ours = makes((ROOT / ".ci/run").read_text())
    assert ours
    assert ours <= makes("\n".join(runs(WORKFLOWS["ci.yml"])))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_call_targets_that_there_are(name):
    for line in runs(WORKFLOWS[name]):
        assert makes(line), f"{line}: a make target fails the same way at home"
        assert makes(line) <= TARGETS


def test_an_action_is_the_same_commit_everywhere():
    used = defaultdict(set)
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        for action, commit, version in re.findall(
            r"uses: (\S+)@([0-9a-f]{40}) # (v[\d.]+)$", path.read_text(), re.MULTILINE
        ):
            used[action].add((commit, version))
    assert used
    assert all(len(pinned) == 1 for pinned in used.values()), used


def test_the_workflow_tests_the_python_of_the_function_and_the_next():
    runtime = TEMPLATE["Resources"]["ProcessorFunction"]["Properties"]["Runtime"].removeprefix("python")
    tested = WORKFLOWS["ci.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    major, minor = runtime.split(".")
    assert tested == [runtime, f"{major}.{int(minor) + 1}"]


def test_the_workflow_packages_for_every_architecture():
    matrix = WORKFLOWS["ci.yml"]["jobs"]["package"]["strategy"]["matrix"]["architecture"]
    assert matrix == TEMPLATE["Parameters"]["Architecture"]["AllowedValues"]


def test_dependabot_looks_wherever_versions_are_pinned():
    updates = load((ROOT / ".github/dependabot.yml").read_text())[0]["updates"]
    watched = defaultdict(set)
    for update in updates:
        watched[update["package-ecosystem"]] |= set(update.get("directories", [update.get("directory")]))
    kinds = {"pip": "requirements*.txt", "npm": "package.json"}
    there = {
        kind: {
            "/" + path.parent.relative_to(ROOT).as_posix().removeprefix(".")
            for path in ROOT.rglob(name)
            if not {".venv", "build", "node_modules"} & set(path.relative_to(ROOT).parts)
        }
        for kind, name in kinds.items()
    }
    assert watched == {kind: folders for kind, folders in there.items() if folders} | {"github-actions": {"/"}}


# The role that deploys


def test_the_role_is_for_one_environment_of_one_repository():
    [trust] = ROLE["Resources"]["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    [(operator, conditions)] = trust["Condition"].items()
    assert operator == "StringEquals"  # a wildcard in `sub` is how such roles are stolen
    subject = conditions["token.actions.githubusercontent.com:sub"]
    assert subject == {"Fn::Sub": "repo:${Repository}:environment:${EnvironmentSuffix}"}
    assert conditions["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    assert "*" not in re.sub(r"\[[^]]*\][+*]", "", ROLE["Parameters"]["Repository"]["AllowedPattern"])


def test_the_role_may_what_deploy_sh_asks_for():
    script = (ROOT / "scripts/deploy.sh").read_text()
    for name in re.findall(r'^\. "\$\(dirname "\$0"\)/(.+)"$', script, re.MULTILINE):
        script += (ROOT / "scripts" / name).read_text()
    by_hand = [s for s in statements(ROLE).values() if "aws:CalledVia" not in str(s.get("Condition"))]
    allowed = {action for s in by_hand for action in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}
    called = set(re.findall(r"\baws (cloudformation|s3api|s3|sns|sts) ([a-z-]+)", script))
    assert len(called) > 15
    for service, verb in called:
        spelt = f"{service.removesuffix('api')}:{''.join(word.title() for word in verb.split('-'))}"
        action = ACTIONS.get(f"{service} {verb}", spelt)
        assert action is None or action in allowed, f"{action}, for aws {service} {verb}"


def test_the_role_may_make_and_remove_every_resource_of_the_template():
    actions = statements(ROLE)["ChangeResourcesOfTheStack"]["Action"]
    made = {action.split(":")[0] for action in actions if re.search(r":(Create|Put)", action)}
    kinds = {body["Type"] for body in TEMPLATE["Resources"].values()} - NAMELESS
    assert {kind.split("::")[1].lower() for kind in kinds} == made
    nameless = statements(ROLE)["WhatHasNoNarrowerResource"]["Action"]
    assert {action.split(":")[0] for action in nameless} == {kind.split("::")[1].lower() for kind in NAMELESS}


def test_the_role_reaches_nothing_but_the_stack():
    [wide] = [sid for sid, statement in statements(ROLE).items() if statement["Resource"] == "*"]
    assert wide == "WhatHasNoNarrowerResource"
    assert not any(
        action.endswith(":*") for statement in statements(ROLE).values() for action in [*statement["Action"]]
    )
    for sid, statement in statements(ROLE).items():
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for resource in resources:
            assert sid == wide or "video-intake-" in resource["Fn::Sub"], resource
        if sid in ("ChangeResourcesOfTheStack", wide):
            assert "aws:CalledVia" in statement["Condition"]["ForAnyValue:StringEquals"]
    own_name = ROLE["Resources"]["DeployRole"]["Properties"]["RoleName"]["Fn::Sub"]
    assert not own_name.startswith("video-intake-"), "it could give itself more"
