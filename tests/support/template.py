"""Renders template.yaml like CloudFormation, and provides AWS's schemas of its resources."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from cfn_flip import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "template.yaml").read_text()
TEMPLATE = json.loads(json.dumps(load(TEXT)[0], default=str))
DEPLOY_ROLE = json.loads(json.dumps(load((ROOT / ".github/deploy-role.yaml").read_text())[0], default=str))
RESOURCES = TEMPLATE["Resources"]
SOURCES = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackId": "stack-id",
    "AWS::StackName": "the-stack",
}
ABSENT = object()
BUCKET_ARN = "arn:aws:s3:::video-intake-dev-111122223333-eu-west-1"
WITH_EMAIL = {"NotificationEmail": "ops@example.com"}
WITH_BATCH = {"BatchOperations": "enabled"}
WITH_EXISTING = {"ExistingBucketName": "example-videos", "ExistingBucketPrefix": "incoming/"}


class Rendered:
    """A resolved template, in which references to resources become <LogicalId> or <LogicalId.Arn>."""

    def __init__(self, parameters: dict[str, Any], template: dict[str, Any] = TEMPLATE) -> None:
        self._template = template
        defaults = {name: one["Default"] for name, one in template["Parameters"].items() if "Default" in one}
        self._values = PSEUDO | defaults | parameters
        self.resources = self._there(template["Resources"])
        self.outputs = self._there(template["Outputs"])

    def _there(self, section: dict[str, Any]) -> dict[str, Any]:
        conditions = self._template["Conditions"]
        return {
            name: self._resolve(body)
            for name, body in section.items()
            if "Condition" not in body or self.holds(conditions[body["Condition"]])
        }

    def __getitem__(self, logical_id: str) -> Any:
        return self.resources[logical_id]["Properties"]

    def of_type(self, kind: str) -> dict[str, Any]:
        return {name: each["Properties"] for name, each in self.resources.items() if each["Type"] == kind}

    def holds(self, condition: Any) -> bool:
        [(function, arguments)] = condition.items()
        if function == "Fn::Not":
            return not self.holds(arguments[0])
        assert function == "Fn::Equals"
        left, right = (str(self._resolve(each)) for each in arguments)
        return left == right

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [each for each in map(self._resolve, value) if each is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref":
                return ABSENT if argument == "AWS::NoValue" else self._values.get(argument, f"<{argument}>")
            if function == "Fn::GetAtt":
                return f"<{'.'.join(argument)}>"
            if function == "Fn::Sub":
                text, given = (argument, {}) if isinstance(argument, str) else argument
                known = self._values | self._resolve(given)
                return re.sub(r"\$\{([^}]+)}", lambda match: str(known.get(match[1], f"<{match[1]}>")), text)
            if function == "Fn::If":
                condition, yes, no = argument
                return self._resolve(yes if self.holds(self._template["Conditions"][condition]) else no)
            if function == "Fn::FindInMap":
                name, first, second = map(self._resolve, argument)
                return self._template["Mappings"][name][first][second]
            if function == "Fn::Split":
                return self._resolve(argument[1]).split(argument[0])
            if function == "Fn::Select":
                return self._resolve(argument[1])[int(argument[0])]
        resolved = {key: self._resolve(each) for key, each in value.items()}
        return {key: each for key, each in resolved.items() if each is not ABSENT}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def accepts(parameter: str, value: Any) -> bool:
    declared = TEMPLATE["Parameters"][parameter]
    return (
        re.fullmatch(declared.get("AllowedPattern", ".*"), str(value)) is not None
        and len(str(value)) <= declared.get("MaxLength", 4096)
        and value in declared.get("AllowedValues", [value])
        and declared.get("MinValue", value) <= value <= declared.get("MaxValue", value)
    )


def statements(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def references(value: Any) -> set[str]:
    """Every resource that a value depends on."""
    if isinstance(value, list):
        return {name for each in value for name in references(each)}
    if not isinstance(value, dict):
        return set()
    found = {name for each in value.values() for name in references(each)}
    found |= set(as_list(value.get("DependsOn", []))) | {value.get("Ref")}
    found |= {as_list(value.get("Fn::GetAtt", [None]))[0]}
    found |= set(re.findall(r"\$\{(\w+)", json.dumps(value.get("Fn::Sub", ""))))
    return found & set(RESOURCES)


KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
WITH_KEY = {"KmsKeyArn": KEY}
# Parameters that make each condition true; with the defaults, none is.
SIDES: dict[str, dict[str, Any]] = {
    "HasAccessLogBucket": {"AccessLogBucket": "example-access-logs"},
    "HasBatchOperations": WITH_BATCH,
    "HasExistingBucket": WITH_EXISTING,
    "HasKmsKey": WITH_KEY,
    "HasNotificationEmail": WITH_EMAIL,
    "HasOriginalsTransition": {"OriginalsStorageClass": "GLACIER_IR"},
    "HasReservedConcurrency": {"ReservedConcurrency": 7},
    "IsEveryOutcomeEmailed": {"EmailedOutcomes": "everything"},
}
EVERYTHING: dict[str, Any] = {name: value for side in SIDES.values() for name, value in side.items()}


def schema(kind: str) -> dict[str, Any]:
    """AWS's own schema of a resource type, from the copies that cfn-lint carries."""
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # takes a second, which every test process would wait for

    found: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-west-1", kind).schema
    return found


@cache
def reference(name: str) -> dict[str, Any]:
    """A table of AWS's resource types or actions that cfn-lint carries."""
    from cfnlint.data import AdditionalSpecs
    from cfnlint.helpers import load_resource

    found: dict[str, Any] = load_resource(AdditionalSpecs, f"{name}.json")
    return found
