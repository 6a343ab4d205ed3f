"""Which changes replace a resource: in AWS's schemas, in the documentation, and in the local cloud."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.template import RESOURCES, schema

TYPES = sorted({body["Type"] for body in RESOURCES.values()})
# Conditional in the schema ("conditionalCreateOnlyProperties"), but unconditional in the local cloud.
CONDITIONALLY = {"AWS::DynamoDB::Table": {"AttributeDefinitions", "KeySchema"}}
# Changed in place on AWS; here the policy would stay on the old resource. This does not happen.
HERE_ONLY = {"AWS::SNS::TopicPolicy": {"Topics"}, "AWS::SQS::QueuePolicy": {"Queues"}}


def replacing(kind: str) -> set[str]:
    """The properties of a type that require replacement."""
    found: Any = schema(kind).get("createOnlyProperties", [])
    return {path.removeprefix("/properties/") for path in found}


@pytest.mark.parametrize("kind", TYPES)
def test_the_local_cloud_replaces_what_aws_replaces(kind: str) -> None:
    from tools.localcloud.cloudformation import resource_types  # takes two seconds, in this test's process only

    known = resource_types.of(kind)
    assert known is not None
    expected = (replacing(kind) | CONDITIONALLY.get(kind, set()) | HERE_ONLY.get(kind, set())) & known.properties
    assert set(known.replaced_by) == expected


@pytest.fixture(scope="module")
def rows(project: Path) -> dict[str, str]:
    """Logical ID or type → the properties in docs/security.md that require replacement."""
    text = (project / "docs/security.md").read_text()
    section = text[text.index("\n## What a change replaces") :].split("\n## ")[1]
    cells = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {name: said for names, said, *_ in cells for name in re.findall(r"`([\w:]+)`", names)}


def test_the_documentation_lists_exactly_the_stacks_resources(rows: dict[str, str]) -> None:
    assert all(name in rows or body["Type"] in rows for name, body in RESOURCES.items())
    assert rows.keys() <= RESOURCES.keys() | set(TYPES)


@pytest.mark.parametrize("name", RESOURCES)
def test_the_documentation_lists_the_properties_that_require_replacement(rows: dict[str, str], name: str) -> None:
    kind, declared = RESOURCES[name]["Type"], RESOURCES[name]["Properties"]
    said = set(re.findall(r"`(\w+)`", rows.get(name) or rows[kind]))
    assert said == (replacing(kind) | CONDITIONALLY.get(kind, set())) & declared.keys()
