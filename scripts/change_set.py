#!/usr/bin/env python3
"""Describe a change set: one line per resource, in capitals if something may be lost.

Reads the output of `aws cloudformation describe-change-set` from stdin. Exits with status 3 if something is or may be
replaced or deleted, which requires confirmation. Runs with Python 3.10, because scripts/deploy.sh does.
"""

import json
import sys
from typing import Any

ASK = 3  # the exit status

# Consequences of replacing a resource. Types that lose nothing are omitted.
CONSEQUENCES = {
    "AWS::DynamoDB::Table": "an event that is delivered again causes a second message",
    "AWS::S3::Bucket": "the new one is empty, and uploads to the old one are no longer processed",
    "AWS::SNS::Topic": "subscribers other than the stack's must subscribe again",
    "AWS::SQS::Queue": "events in the old one stay there",
}
ORDER = ("added", "imported", "may change", "changed", "MAY BE REPLACED", "REPLACED", "REMOVED", "DELETED")


def main() -> int:
    changes = [change["ResourceChange"] for change in json.load(sys.stdin)["Changes"] if "ResourceChange" in change]
    lines = sorted((described(change) for change in changes), key=lambda line: ORDER.index(line[0]))
    for what, text in lines:
        print(f"  {what:<15}  {text}")
    if not lines:
        print("  no resources: only outputs, conditions or descriptions")
    return ASK if any(what.isupper() for what, _ in lines) else 0


def described(change: dict[str, Any]) -> tuple[str, str]:
    """The kind of change, in capitals if something may be lost; and the resource, with the reasons."""
    kind = str(change["ResourceType"])
    what, after = fate(change, kind)
    name = f"{change['LogicalResourceId']} ({kind.removeprefix('AWS::').replace('::', ' ')})"
    why = "; ".join(filter(None, [reasons(change), after]))
    return what, f"{name}: {why}" if why else name


def fate(change: dict[str, Any], kind: str) -> tuple[str, str]:
    policy = str(change.get("PolicyAction", ""))
    if change["Action"] == "Add":
        return "added", ""
    if change["Action"] == "Import":
        return "imported", ""
    if change["Action"] == "Remove":
        if "Retain" in policy:
            return "REMOVED", "from the stack only: the resource is kept"
        return "DELETED", ""
    if change["Action"] == "Dynamic":
        return "MAY BE REPLACED", "CloudFormation cannot predict the change"
    replacement = str(change.get("Replacement", "False"))
    if replacement == "False":
        certain = any(detail.get("Evaluation") == "Static" for detail in change.get("Details", []))
        return ("changed" if certain else "may change"), ""
    old = "the old one is kept outside the stack" if "Retain" in policy else "the old one is deleted"
    after = "; ".join(filter(None, [old, CONSEQUENCES.get(kind, "")]))
    return ("REPLACED" if replacement == "True" else "MAY BE REPLACED"), after


def reasons(change: dict[str, Any]) -> str:
    """The properties that change, and those that may change because they refer to something that changes."""
    certain: list[str] = []
    dependent: dict[str, str] = {}
    for detail in change.get("Details", []):
        target = detail["Target"]
        name = str(target.get("Name") or target["Attribute"])
        if target.get("RequiresRecreation", "Never") != "Never":
            name += ", which requires replacement"
        if detail.get("Evaluation") == "Static":
            if name not in certain:
                certain.append(name)
        else:
            dependent[name] = str(detail.get("CausingEntity", "another change"))
    uncertain = [f"{name} (depends on {cause})" for name, cause in dependent.items() if name not in certain]
    return ", ".join(certain + uncertain)


if __name__ == "__main__":
    sys.exit(main())
