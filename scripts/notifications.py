#!/usr/bin/env python3
"""Describe, change and compare a bucket's notification configuration, for scripts/shell/existing_bucket.sh.

Reads the JSON of the S3 API from stdin.

  show             print a line for each destination; exit status 3 if EventBridge is not one
  with | without   print the configuration with or without EventBridge
  differs FILE     exit status 3 unless it is equivalent to the one in FILE
  admits ROLE      read a key policy instead; exit status 3 unless it lets ROLE decrypt
"""

import fnmatch
import json
import sys
from pathlib import Path
from typing import Any, Final

BRIDGE: Final = "EventBridgeConfiguration"
KINDS: Final = {
    "TopicConfigurations": ("topic", "TopicArn"),
    "QueueConfigurations": ("queue", "QueueArn"),
    "LambdaFunctionConfigurations": ("function", "LambdaFunctionArn"),
}
NO: Final = 3


def main(arguments: list[str]) -> int:
    given = json.loads(sys.stdin.read() or "{}")  # the CLI prints nothing for a bucket that has no configuration
    match arguments:
        case ["show"]:
            print("\n".join(described(given)))
            return 0 if BRIDGE in given else NO
        case ["with"]:
            print(json.dumps(settings(given) | {BRIDGE: {}}))
        case ["without"]:
            print(json.dumps(settings(given)))
        case ["differs", file]:
            return 0 if comparable(given) == comparable(json.loads(Path(file).read_text() or "{}")) else NO
        case ["admits", role]:
            return 0 if admits(given, role) else NO
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def settings(given: dict[str, Any]) -> dict[str, Any]:
    """The configuration without EventBridge, and without other fields of the response."""
    return {name: value for name, value in given.items() if name in KINDS}


def described(given: dict[str, Any]) -> list[str]:
    """A line for each destination."""
    lines = []
    for kind, (noun, arn) in KINDS.items():
        for each in given.get(kind, []):
            edges = dict(_rules(each))
            keys = f"{edges.get('prefix', '')}*{edges.get('suffix', '')}"
            lines.append(f"{', '.join(each['Events'])} for {keys} to the {noun} {each[arn]}")
    return [*lines, *["all events to EventBridge"][: BRIDGE in given]] or ["none"]


def comparable(given: dict[str, Any]) -> dict[str, Any]:
    """A form that is equal for equivalent configurations: S3 returns `Prefix` for `prefix`, adds IDs, and changes the
    order."""
    same: dict[str, Any] = {BRIDGE: BRIDGE in given}
    for kind, (_, arn) in KINDS.items():
        found = [(each[arn], sorted(each["Events"]), sorted(_rules(each))) for each in given.get(kind, [])]
        same[kind] = sorted(found)
    return same


def _rules(one: dict[str, Any]) -> list[tuple[str, str]]:
    rules = one.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    return [(rule["Name"].lower(), rule["Value"]) for rule in rules]


def admits(policy: dict[str, Any], role: str) -> bool:
    """Whether the policy itself lets `role` decrypt. Delegating to IAM is not enough: the role's own policy does not
    name the key."""
    return any(
        each["Effect"] == "Allow"
        and isinstance(each.get("Principal"), dict)
        and role in _listed(each["Principal"].get("AWS", []))
        and any(fnmatch.fnmatchcase("kms:decrypt", action.lower()) for action in _listed(each.get("Action", [])))
        for each in _listed(policy["Statement"])
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
