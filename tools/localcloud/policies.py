"""Evaluates resource policies, with a subset of IAM's grammar.

moto does not check them. Unsupported elements are an error, never a guess.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Statement = dict[str, Any]


def allowing(
    document: dict[str, Any],
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
    service: str | None = None,
) -> list[Statement]:
    """The statements of a policy that allow `action` on `resource` in this context.

    `service` is the principal; the account's root does not include services.
    """
    return _applying("Allow", document, action, resource, context or {}, service)


def denying(document: dict[str, Any], action: str, resource: str, context: Mapping[str, str]) -> list[Statement]:
    """The statements of a resource policy that deny `action` on `resource` to everyone in this context."""
    return _applying("Deny", document, action, resource, context, None)


def _applying(
    effect: str, document: dict[str, Any], action: str, resource: str, context: Mapping[str, str], service: str | None
) -> list[Statement]:
    return [
        statement
        for statement in document["Statement"]
        if statement["Effect"] == effect
        and any(_matches(pattern, action, re.IGNORECASE) for pattern in _listed(statement["Action"]))
        and any(_matches(pattern, resource) for pattern in _listed(statement["Resource"]))
        and (service is None or _is(service, statement["Principal"]))
        and all(_holds(test, keys, context) for test, keys in statement.get("Condition", {}).items())
    ]


def admits(
    document: dict[str, Any], service: str, action: str, resource: str, source_arn: str, source_account: str
) -> bool:
    """Whether a resource policy lets a service act on behalf of another resource in the account."""
    context = {"aws:SourceArn": source_arn, "aws:SourceAccount": source_account}
    return bool(allowing(document, action, resource, context, service))


def _is(service: str, principal: Any) -> bool:
    return principal == "*" or service in _listed(principal.get("Service", [])) or principal.get("AWS") == "*"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(pattern: str, text: str, flags: int = 0) -> bool:
    """IAM's wildcards are `*` and `?`."""
    translated = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(translated, text, flags | re.DOTALL) is not None


TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringLike": _matches,
    "ArnEquals": _matches,
    "ArnLike": _matches,
    "Bool": lambda wanted, actual: wanted == actual,
    "ForAnyValue:StringLike": _matches,  # each key has one value here, which "any" refers to
    "NumericLessThan": lambda wanted, actual: float(actual) < float(wanted),
}
NEGATED = {"ArnNotEquals": "ArnEquals"}  # which are true if the request does not have the key


def _holds(test: str, keys: dict[str, Any], context: Mapping[str, str]) -> bool:
    """A condition is false if the request does not have the key."""
    if test in NEGATED:
        return not any(_holds(NEGATED[test], {name: values}, context) for name, values in keys.items())
    if test not in TESTS:
        raise ValueError(f"a condition that the local cloud does not support: {test}")
    known = {name.lower(): value for name, value in context.items()}
    return all(
        name.lower() in known and any(TESTS[test](wanted, known[name.lower()]) for wanted in _listed(values))
        for name, values in keys.items()
    )
