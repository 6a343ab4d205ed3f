"""Event patterns, which select the events of a rule.

Supported are exact texts, `prefix`, `suffix`, `wildcard` and `equals-ignore-case`. Everything else that EventBridge
supports (`anything-but`, `exists`, `numeric`, `$or` ...) is refused.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Test = Callable[[str], bool]
MAX_LENGTH = 2048  # characters: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html


class Unknown(ValueError):
    """A pattern that is invalid or not supported. The message names the part."""


def check(pattern: Any) -> None:
    """Raises Unknown."""
    if not isinstance(pattern, dict) or not pattern:
        raise Unknown(f"{pattern!r} must be an object with at least one field")
    for name, wanted in pattern.items():
        if name.startswith("$"):
            raise Unknown(f"the local cloud does not support {name}")
        if not isinstance(wanted, list):
            check(wanted)
        elif not wanted:
            raise Unknown(f"{name} must not be empty")
        else:
            _ = [_test(alternative) for alternative in wanted]


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Whether each field in the pattern has one of its values. Raises Unknown."""
    return all(_field_matches(wanted, event.get(name)) for name, wanted in pattern.items())


def _field_matches(wanted: Any, actual: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and matches(wanted, actual)
    values = actual if isinstance(actual, list) else [actual]
    return any(_test(each)(value) for each in wanted for value in values if isinstance(value, str))


def _test(wanted: Any) -> Test:
    match wanted:
        case str():
            return lambda actual: actual == wanted
        case {"prefix": {"equals-ignore-case": str(text)}, **rest} if not rest:
            return lambda actual: actual.lower().startswith(text.lower())
        case {"suffix": {"equals-ignore-case": str(text)}, **rest} if not rest:
            return lambda actual: actual.lower().endswith(text.lower())
        case {"prefix": str(text), **rest} if not rest:
            return lambda actual: actual.startswith(text)
        case {"suffix": str(text), **rest} if not rest:
            return lambda actual: actual.endswith(text)
        case {"equals-ignore-case": str(text), **rest} if not rest:
            return lambda actual: actual.lower() == text.lower()
        case {"wildcard": str(text), **rest} if not rest:
            expression = _wildcard(text)
            return lambda actual: expression.fullmatch(actual) is not None
    raise Unknown(f"the local cloud does not support {wanted!r}")


def _wildcard(text: str) -> re.Pattern[str]:
    r"""`*` matches any characters, or none; `\*` and `\\` match `*` and `\`."""
    if re.search(r"(?<!\\)(\\\\)*\*\*", text):
        raise Unknown(f"{text!r} has two wildcards in a row")
    parts = re.findall(r"\\.?|[^\\]", text, re.DOTALL)
    if invalid := [part for part in parts if part[0] == "\\" and part not in ("\\*", "\\\\")]:
        raise Unknown(f"{text!r} has an invalid escape: {invalid[0]}")
    return re.compile("".join(".*" if part == "*" else re.escape(part[-1]) for part in parts), re.DOTALL)
