"""The deployment scripts' descriptions of AWS responses that the local cloud never returns."""

import io
import json
import sys
from datetime import UTC, datetime

import pytest

from scripts import change_set, stack_report


def told(monkeypatch, capsys, *changes) -> tuple[int, list[str]]:
    answer = {"Changes": [{"HookInvocationCount": 1}, *({"ResourceChange": change} for change in changes)]}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(answer)))
    return change_set.main(), capsys.readouterr().out.splitlines()


def modified(**change) -> dict:
    bucket = {"Action": "Modify", "LogicalResourceId": "VideoBucket", "ResourceType": "AWS::S3::Bucket"}
    return bucket | {"Replacement": "False", "Details": []} | change


def detail(name: str, evaluation: str, recreation: str = "Never", **more) -> dict:
    target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation}
    return {"Target": target, "Evaluation": evaluation, **more}


def test_a_change_that_aws_lists_twice_is_shown_once(monkeypatch, capsys):
    details = [
        detail("Tier", "Static", ChangeSource="ParameterReference", CausingEntity="Tier"),
        detail("Tier", "Dynamic", ChangeSource="DirectModification"),
    ]
    status, [line] = told(monkeypatch, capsys, modified(Details=details))
    assert (status, line.split()) == (0, ["changed", "VideoBucket", "(S3", "Bucket):", "Tier"])


@pytest.mark.parametrize(
    ("change", "words", "asks"),
    [
        ({"Replacement": "True", "PolicyAction": "ReplaceAndRetain"}, ["REPLACED", "old one is kept", "empty"], True),
        ({"Replacement": "True"}, ["REPLACED", "the old one is deleted"], True),
        (
            {"Replacement": "Conditional", "Details": [detail("Name", "Dynamic", "Always", CausingEntity="Other.Arn")]},
            ["MAY BE REPLACED", "Name, which requires replacement (depends on Other.Arn)"],
            True,
        ),
        ({"Replacement": "True", "PolicyAction": "ReplaceAndDelete"}, ["REPLACED", "the old one is deleted"], True),
        ({"Replacement": "True", "ResourceType": "AWS::SQS::Queue"}, ["events in the old one stay there"], True),
        ({"Replacement": "True", "ResourceType": "AWS::SNS::Topic"}, ["must subscribe again"], True),
        ({"Replacement": "True", "ResourceType": "AWS::DynamoDB::Table"}, ["a second message"], True),
        ({"Details": [detail("Tags", "Dynamic")]}, ["may change", "Tags (depends on another change)"], False),
        ({"Action": "Remove", "PolicyAction": "Retain"}, ["REMOVED", "the resource is kept"], True),
        ({"Action": "Remove", "PolicyAction": "Delete"}, ["DELETED"], True),
        ({"Action": "Remove"}, ["DELETED"], True),
        ({"Action": "Dynamic"}, ["MAY BE REPLACED", "cannot predict"], True),
        ({"Action": "Import"}, ["imported"], False),
        ({"Action": "Add"}, ["added"], False),
        (
            {"Details": [detail("Tags", "Dynamic", CausingEntity="A.Arn")]},
            ["may change", "Tags (depends on A.Arn)"],
            False,
        ),
        ({"Details": [{"Target": {"Attribute": "DeletionPolicy"}, "Evaluation": "Static"}]}, ["DeletionPolicy"], False),
    ],
)
def test_losses_are_in_capitals_and_need_confirmation(monkeypatch, capsys, change, words, asks):
    status, [line] = told(monkeypatch, capsys, modified(**change))
    assert (status == change_set.ASK) == asks
    assert [word for word in words if word not in line] == []


def test_losses_are_listed_last_next_to_the_question(monkeypatch, capsys):
    removed, added = modified(Action="Remove"), modified(Action="Add", LogicalResourceId="Zone")
    kept = modified(Action="Remove", PolicyAction="Retain")
    status, lines = told(monkeypatch, capsys, removed, kept, added)
    assert (status, [line.split()[0] for line in lines]) == (change_set.ASK, ["added", "REMOVED", "DELETED"])


def test_a_change_of_only_outputs_is_shown_too(monkeypatch, capsys):
    assert told(monkeypatch, capsys) == (0, ["  no resources: only outputs, conditions or descriptions"])


def event(number: int, status: str, reason: str | None, resource: str = "Role") -> dict:
    return {
        "EventId": str(number), "StackId": "arn", "PhysicalResourceId": "arn" if resource == "stack" else "x",
        "LogicalResourceId": resource, "ResourceType": "T", "ResourceStatus": status,
    } | ({"ResourceStatusReason": reason} if reason else {})  # fmt: skip


def test_only_new_causes_are_reported_oldest_first():
    events = [
        event(6, "UPDATE_ROLLBACK_COMPLETE", None, "stack"),
        event(5, "UPDATE_FAILED", "Resource update cancelled", "Queue"),
        event(4, "DELETE_FAILED", "The following resource(s) failed to delete: [Role].", "stack"),
        event(3, "UPDATE_FAILED", "second", "Topic"),
        event(2, "CREATE_FAILED", "first"),
        event(1, "CREATE_FAILED", "of yesterday"),
    ]
    assert list(stack_report.failures(events, {"1"})) == ["  Role (T): first", "  Topic (T): second"]


NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "ago"),
    [
        ("2026-07-01T11:30:00.000Z", "within the last hour"),  # as version 1 of the CLI writes it
        ("2026-07-01T11:00:00+00:00", "1 h ago"),
        ("2026-06-30T12:00:00.000000+00:00", "24 h ago"),  # version 2
        ("2026-06-29T13:00:00+00:00", "47 h ago"),
        ("2026-06-29T12:00:00+00:00", "2 days ago"),
        ("2026-06-01T12:00:00+00:00", "30 days ago"),
    ],
)
def test_drift_has_the_age_of_its_detection(when, ago):
    first, *_ = stack_report.drift([], when, NOON)
    assert f"({ago})" in first


def test_drift_names_what_was_deleted_or_changed():
    queue = {"LogicalResourceId": "Queue", "ResourceType": "T", "StackResourceDriftStatus": "DELETED"}
    paths = [{"PropertyPath": "/Timeout"}, {"PropertyPath": "/Environment/Variables/A"}]
    changed = {"LogicalResourceId": "Function", "ResourceType": "T", "StackResourceDriftStatus": "MODIFIED"}
    _, *lines, _, _ = stack_report.drift(
        [queue, changed | {"PropertyDifferences": paths}], "2026-07-01T11:30:00.000Z", NOON
    )
    assert lines == ["  Queue (T): was deleted", "  Function (T): Timeout, Environment/Variables/A"]


def test_consecutive_documents_are_parsed():
    assert stack_report.several('{"a": 1}\n[2]\n\n{}\n') == [{"a": 1}, [2], {}]
    assert stack_report.several("") == []


def subscription(arn: str, endpoint: str = "Ops@example.com", protocol: str = "email") -> dict:
    return {"SubscriptionArn": arn, "Endpoint": endpoint, "Protocol": protocol}


@pytest.mark.parametrize(
    ("topics", "words"),
    [
        ([[subscription("PendingConfirmation")]] * 2, ["Confirm the 2 e-mails", "SNS stopped them"]),
        ([[subscription("PendingConfirmation")], [subscription("arn:aws:sns:x")]], ["Confirm the e-mail that"]),
        ([[subscription("pending confirmation")], [subscription("arn:aws:sns:x")]], ["Confirm the e-mail that"]),
        ([[subscription("arn:aws:sns:x"), subscription("PendingConfirmation", "a@b.c")]] * 2, ["is confirmed"]),
        ([[subscription("arn:aws:sns:x"), subscription("PendingConfirmation", "Ops@example.com")]], ["is confirmed"]),
        ([[], [subscription("arn:aws:sns:x")]], ["no longer subscribed to 1 of 2"]),
        ([[subscription("Deleted")], [subscription("arn:aws:sns:x")]], ["no longer subscribed to 1 of 2"]),
        ([[subscription("arn", protocol="email-json")], []], ["no longer subscribed to 2 of 2"]),
        ([[subscription("PendingConfirmation")], []], ["Confirm the e-mail that", "no longer subscribed to 1 of 2"]),
    ],
)
def test_missing_confirmations_are_reported(topics, words):
    said = "\n".join(stack_report.emails(topics, "ops@example.com"))
    assert [word for word in words if word not in said] == []
    assert ("is confirmed" in said) == (words == ["is confirmed"])


TEMPLATE = """Parameters:
  Kept:
    DeletionPolicy: Retain
Resources:
  Bucket:
    DeletionPolicy: RetainExceptOnCreate
    Type: AWS::S3::Bucket
  Queue:
    DeletionPolicy: Delete
    UpdateReplacePolicy: Retain
    Type: AWS::SQS::Queue
  Role:
    Type: AWS::IAM::Role
Outputs:
  Role:
    DeletionPolicy: Retain
"""


@pytest.mark.parametrize(
    ("retained", "role"), [(set(), "  deleted  Role (IAM Role)"), ({"Role"}, "  kept     Role (IAM Role): role-1")]
)
def test_a_removal_lists_deleted_before_kept_resources_without_removed_ones(retained, role):
    kinds = {"Bucket": "S3::Bucket", "Queue": "SQS::Queue", "Role": "IAM::Role", "Gone": "SNS::Topic"}
    listed = [
        {
            "LogicalResourceId": name, "ResourceType": f"AWS::{kind}", "PhysicalResourceId": f"{name.lower()}-1",
            "ResourceStatus": "DELETE_COMPLETE" if name == "Gone" else "CREATE_COMPLETE",
        }
        for name, kind in kinds.items()
    ]  # fmt: skip
    lines = list(stack_report.fates(listed, TEMPLATE, retained))
    assert sorted(lines) == lines, "what goes comes first"
    assert set(lines) == {"  deleted  Queue (SQS Queue)", "  kept     Bucket (S3 Bucket): bucket-1", role}
