#!/usr/bin/env python3
"""Describe a stack's state. Each command reads responses of the AWS CLI from stdin, as JSON.

  failures BEFORE   describe-stack-events: failures since the events in the file BEFORE, except resources only canceled
  drift WHEN        describe-stack-resource-drifts: manual changes; WHEN is the time of the detection
  emails ADDRESS    list-subscriptions-by-topic, one response per topic: whether e-mails reach ADDRESS
  fates [NAME ...]  list-stack-resources, "---" and the template: what a removal deletes and keeps (NAME is kept too)

Runs with Python 3.10, because scripts/deploy.sh does.
"""

import json
import re
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

PENDING = {"pendingconfirmation", "pending confirmation"}  # what SNS returns instead of an ARN


def main() -> int:
    command, *arguments = sys.argv[1:]
    text = sys.stdin.read()
    match command:
        case "failures":
            known = json.loads(Path(arguments[0]).read_text())["StackEvents"]
            lines = failures(json.loads(text)["StackEvents"], {event["EventId"] for event in known})
        case "drift":
            lines = drift(json.loads(text)["StackResourceDrifts"], arguments[0], datetime.now(timezone.utc))  # noqa: UP017  # 3.10
        case "emails":
            lines = emails([each["Subscriptions"] for each in several(text)], arguments[0])
        case "fates":
            listed, _, template = text.partition("\n---\n")
            lines = fates(json.loads(listed)["StackResourceSummaries"], template, set(arguments))
        case _:
            raise SystemExit(f"stack_report: unknown command: {command}")
    for line in lines:
        print(line)
    return 0


def several(text: str) -> list[Any]:
    """Consecutive JSON documents, as the AWS CLI prints them."""
    decoder, documents, text = json.JSONDecoder(), [], text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        documents.append(document)
        text = text[end:].lstrip()
    return documents


def failures(events: list[dict[str, Any]], known: set[str]) -> Iterable[str]:
    """The causes, oldest first, without the resources that were canceled because of them."""
    for event in reversed(events):
        reason = event.get("ResourceStatusReason") or ""
        is_stack = event["PhysicalResourceId"] == event["StackId"]  # which only summarizes its resources
        failed = event["ResourceStatus"].endswith("_FAILED") and not is_stack
        if failed and event["EventId"] not in known and "cancelled" not in reason:
            yield f"  {event['LogicalResourceId']} ({event['ResourceType']}): {reason}"


def drift(drifts: list[dict[str, Any]], when: str, now: datetime) -> Iterable[str]:
    age = now - datetime.fromisoformat(re.sub(r"Z$", "+00:00", when))
    hours = int(age.total_seconds() // 3600)
    ago = "within the last hour" if hours < 1 else f"{hours} h ago" if hours < 48 else f"{hours // 24} days ago"
    yield f"According to the last drift detection ({ago}), the stack was changed manually:"
    for found in drifts:
        paths = [difference["PropertyPath"].lstrip("/") for difference in found.get("PropertyDifferences", [])]
        what = "was deleted" if found["StackResourceDriftStatus"] == "DELETED" else ", ".join(paths)
        yield f"  {found['LogicalResourceId']} ({found['ResourceType']}): {what}"
    yield "A deployment compares templates, not resources: it overwrites manual changes only in what it updates, and"
    yield "fails on a deleted resource. To detect drift again: `aws cloudformation detect-stack-drift`."


def emails(topics: list[list[dict[str, Any]]], address: str) -> Iterable[str]:
    """What to do if the address is not confirmed for every topic; otherwise, one line that it is."""
    found = []
    for subscriptions in topics:
        arns = {s["SubscriptionArn"].lower() for s in subscriptions if is_for(s, address)} - {"deleted"}
        found.append("none" if not arns else "pending" if arns <= PENDING else "confirmed")
    waiting, gone = found.count("pending"), found.count("none")
    if waiting:
        mails = "the e-mail" if waiting == 1 else f"the {waiting} e-mails"
        yield f"Confirm {mails} that AWS sent to {address}: no outcomes or alarms arrive until the link is clicked."
        yield "The link is valid for two days. After that, deploy with --email '' and then with the address again."
        yield "If e-mails arrived before, SNS stopped them because there were more than ten a second: confirm again."
    if gone:
        yield f"{address} is no longer subscribed to {gone} of {len(found)} topics: unsubscribed, or never confirmed."
        yield 'See "E-mails do not arrive" in docs/operations.md.'
    if not waiting and not gone:
        yield f"{address} is confirmed and receives e-mails."


def is_for(subscription: dict[str, Any], address: str) -> bool:
    return str(subscription["Protocol"]) == "email" and str(subscription["Endpoint"]).lower() == address.lower()


def fates(resources: list[dict[str, Any]], template: str, retained: set[str]) -> Iterable[str]:
    """A line for each resource, those that are kept last. The template is from `aws cloudformation package`, and is
    parsed without a YAML library, which may not be installed."""
    _, _, body = template.partition("\nResources:\n")
    kept = set(retained)
    name = ""
    for line in body.splitlines():
        if re.match(r"\S", line):
            break
        if found := re.fullmatch(r"  (\w+):", line):
            name = found[1]
        elif re.match(r"    DeletionPolicy: Retain", line):
            kept.add(name)
    there = [resource for resource in resources if resource["ResourceStatus"] != "DELETE_COMPLETE"]
    for resource in sorted(there, key=lambda each: each["LogicalResourceId"] in kept):
        name, kind = resource["LogicalResourceId"], resource["ResourceType"].removeprefix("AWS::").replace("::", " ")
        if name in kept:
            yield f"  kept     {name} ({kind}): {resource.get('PhysicalResourceId', '')}"
        else:
            yield f"  deleted  {name} ({kind})"


if __name__ == "__main__":
    sys.exit(main())
