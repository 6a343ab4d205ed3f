"""Mistakes in template.yaml: of every resource each switch turned, each number one more, each entry left out."""

from collections.abc import Iterator
from typing import Final

import yaml

from tools.mutations.mutation import ROOT, Mutation

TESTS: Final = (
    "tests/unit/test_template.py tests/unit/test_relations.py tests/unit/test_parameters.py "
    "tests/unit/test_outputs.py tests/unit/test_replacement.py tests/unit/test_watch.py tests/unit/test_partitions.py "
    "tests/unit/test_deploy_role.py"
)
# Not changed: texts for people, scanner suppressions, and tags, which are all the same
WORDS: Final = {
    "Description",
    "AlarmDescription",
    "Metadata",
    "Tags",
    "Label",
    "DisplayName",
    "Sid",
    "PolicyName",
    "Id",
}
OPPOSITES: Final = {
    "true": "false",
    "false": "true",
    "enabled": "disabled",
    "Enabled": "Disabled",
    "Allow": "Deny",
    "Deny": "Allow",
    "Retain": "Delete",
    "Delete": "Retain",
    "RetainExceptOnCreate": "Delete",
}


def template() -> Iterator[Mutation]:
    """In every resource: each switch flipped, each number increased by one, each entry left out."""
    text = (ROOT / "template.yaml").read_text()
    top = dict(pairs(yaml.compose(text, Loader=yaml.SafeLoader)))
    for _, resource in pairs(top["Resources"]):
        yield from within(resource, text)


def within(node: yaml.Node, text: str) -> Iterator[Mutation]:
    """The mistakes below a node."""
    if isinstance(node, yaml.ScalarNode):
        if (changed := other(node)) is not None:
            yield at(node, text, changed)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from within(each, text)
    else:
        for key, value in node.value:
            if key.value in WORDS:
                continue
            if not node.flow_style and key.value not in ("Type", "Properties", "Version") and len(node.value) > 1:
                start, end = key.start_mark.index, value.end_mark.index
                yield Mutation("template.yaml", text[start:end], "", TESTS, start)
            yield from within(value, text)


def other(node: yaml.ScalarNode) -> str | None:
    """A plausible wrong value; None if there is none."""
    if node.value in OPPOSITES:
        return OPPOSITES[node.value]
    if node.value.isdecimal() and not node.value.startswith("2012"):
        return str(int(node.value) + 1)
    return None


def at(node: yaml.ScalarNode, text: str, value: str) -> Mutation:
    """Replaces the node's value, in the same quotes."""
    before = text[node.start_mark.index : node.end_mark.index]
    after = before.replace(node.value, value)
    return Mutation("template.yaml", before, after, TESTS, node.start_mark.index)


def pairs(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """Names and values of a mapping."""
    for key, value in node.value:
        yield key.value, value
