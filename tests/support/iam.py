"""Evaluates IAM policies, with the part of the grammar that this repository uses."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.template import as_list


def allowing(
    statements: Iterable[dict[str, Any]], action: str, resource: str = "*", context: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The statements that allow an action on a resource ("*" if the action has none). Raises for unsupported
    elements."""
    return [
        statement
        for statement in statements
        if statement["Effect"] == "Allow"
        and any(_matches(pattern, action) for pattern in as_list(statement["Action"]))
        and any(_matches(pattern, resource) for pattern in as_list(statement.get("Resource", "*")))
        and all(_holds(test, keys, context or {}) for test, keys in statement.get("Condition", {}).items())
    ]


def _matches(pattern: str, text: str) -> bool:
    translated = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(translated, text, re.DOTALL) is not None


def _holds(test: str, keys: dict[str, Any], context: Mapping[str, str]) -> bool:
    """Each key of the request has one value here, so "for any value" refers to that one."""
    if test.removeprefix("ForAnyValue:").removesuffix("IfExists") != "StringEquals":
        raise ValueError(f"an unsupported condition: {test}")
    return all(
        context[name] in as_list(wanted) if name in context else test.endswith("IfExists")
        for name, wanted in keys.items()
    )
