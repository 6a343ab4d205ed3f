"""Whether a policy allows a request: IAM's grammar, as far as resources' policies need it here.

moto checks none. Denials are left out: those that stacks here have look at the transport only. What is not understood
is an error, never a guess.
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

    `service` is the principal who asks, of which only resources' policies speak; its own account's root admits none.
    """
    return [
        statement
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        and any(_matches(pattern, action, re.IGNORECASE) for pattern in _listed(statement["Action"]))
        and any(_matches(pattern, resource) for pattern in _listed(statement["Resource"]))
        and (service is None or _is(service, statement["Principal"]))
        and all(_holds(test, keys, context or {}) for test, keys in statement.get("Condition", {}).items())
    ]


def admits(
    document: dict[str, Any], service: str, action: str, resource: str, source_arn: str, source_account: str
) -> bool:
    """Whether a resource's policy lets a service act for another resource of the account."""
    context = {"aws:SourceArn": source_arn, "aws:SourceAccount": source_account}
    return bool(allowing(document, action, resource, context, service))


def _is(service: str, principal: Any) -> bool:
    return principal == "*" or service in _listed(principal.get("Service", [])) or principal.get("AWS") == "*"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(pattern: str, text: str, flags: int = 0) -> bool:
    """`*` and `?` are all that IAM knows."""
    translated = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(translated, text, flags | re.DOTALL) is not None


TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringLike": _matches,
    "ArnEquals": _matches,
    "ArnLike": _matches,
}


def _holds(test: str, keys: dict[str, Any], context: Mapping[str, str]) -> bool:
    """A key that the request does not carry fulfils nothing."""
    if test not in TESTS:
        raise ValueError(f"a condition that the local cloud does not know: {test}")
    known = {name.lower(): value for name, value in context.items()}
    return all(
        name.lower() in known and any(TESTS[test](wanted, known[name.lower()]) for wanted in _listed(values))
        for name, values in keys.items()
    )
