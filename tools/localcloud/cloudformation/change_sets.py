"""Computes the changes in a change set, with the same comparison as `resources` when it executes one.

moto only compares templates, and lists logical IDs without details. Here each resource is resolved against the live
ones. Values that depend on a new resource, or on an attribute of a changing one, are not known in advance: AWS calls
that a dynamic evaluation, and a replacement that depends on it "Conditional".
"""

from __future__ import annotations

from typing import Any

from moto.cloudformation import parsing

from tools.localcloud.cloudformation.resource_types.base import Resource
from tools.localcloud.cloudformation.resources import StackResources
from tools.localcloud.cloudformation.template import drop_empty, if_resolved, references

Change = dict[str, Any]
TAGS: Change = {"Attribute": "Tags", "RequiresRecreation": "Never"}


class NotYet:
    """A placeholder for a resource that the change set would create."""

    def __init__(self, logical_id: str):
        self.physical_resource_id = f"{{{logical_id}, known after it was created}}"

    def get_cfn_attribute(self, attribute: str) -> str:
        return f"{self.physical_resource_id}.{attribute}"


def changes(current: StackResources, template: dict[str, Any], parameters: dict[str, Any], tags: Any) -> list[Change]:
    """In the shape of DescribeChangeSet, in the order of execution."""
    trial = StackResources(
        current.stack_id, current["AWS::StackName"], parameters, {}, current._region_name, current._account_id,
        template, current.cross_stack_resources,
    )  # fmt: skip
    trial.load()
    trial.live = {name: current.live.get(name) or NotYet(name) for name in template["Resources"]}  # type: ignore[misc]
    changed: dict[str, Change] = {}
    for name in (wanted := trial.in_order()):
        declared = template["Resources"][name]
        old = current.live.get(name)
        if old is None:
            changed[name] = {"Action": "Add", "LogicalResourceId": name, "ResourceType": declared["Type"]}
        elif details := _details(old, if_resolved(declared, trial.lazy_condition_map), trial, changed, tags or {}):
            changed[name] = _modification(old, details, declared.get("UpdateReplacePolicy", "Delete"))
    for name, gone in reversed(current.live.items()):
        if name not in wanted:
            changed[name] = _of(gone, "Remove") | {"PolicyAction": _kept_or("Delete", gone.deletion_policy)}
    return [{"Type": "Resource", "ResourceChange": change} for change in changed.values()]


def _details(
    old: Resource, declared: dict[str, Any], trial: StackResources, changed: dict[str, Change], tags: dict[str, str]
) -> list[Change]:
    written = declared.get("Properties", {})
    resolved = drop_empty(parsing.clean_json(written, trial))
    found: list[Change] = []
    for name in sorted({*old.declared, *resolved}):
        recreation = "Always" if name in old.replaced_by else "Never"
        target: Change = {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation}
        if name == "Tags":
            target = TAGS
        if old.declared.get(name) != resolved.get(name):
            found.append({"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"})
        elif cause := _cause(written.get(name), changed):
            found.append({"Target": target, "Evaluation": "Dynamic", **cause})
    if (
        "Tags" in old.properties
        and old.stack_tags != tags
        and not any(d["Target"]["Attribute"] == "Tags" for d in found)
    ):
        target = {"Attribute": "Tags", "RequiresRecreation": "Never"}
        found.append({"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"})
    return found


def _cause(written: Any, changed: dict[str, Change]) -> Change | None:
    """Why a value that is the same now may change."""
    for name in sorted(references(written)):
        change = changed.get(name)
        if change and change["Action"] == "Modify":
            if attribute := _attribute(written, name):
                return {"ChangeSource": "ResourceAttribute", "CausingEntity": f"{name}.{attribute}"}
            if change["Replacement"] != "False":
                return {"ChangeSource": "ResourceReference", "CausingEntity": name}
    return None


def _attribute(written: Any, name: str) -> str | None:
    """The attribute of the resource `name` that a value refers to, if any."""
    if isinstance(written, dict):
        for key, inner in written.items():
            if key == "Fn::GetAtt":
                resource, attribute = inner if isinstance(inner, list) else inner.split(".", 1)
                if resource == name:
                    return str(attribute)
            elif key == "Fn::Sub" and f"${{{name}." in str(inner):
                return str(inner).split(f"${{{name}.", 1)[1].split("}", 1)[0]
            elif found := _attribute(inner, name):
                return found
    if isinstance(written, list):
        return next((found for inner in written if (found := _attribute(inner, name))), None)
    return None


def _modification(old: Resource, details: list[Change], policy: str) -> Change:
    recreating = {detail["Evaluation"] for detail in details if detail["Target"]["RequiresRecreation"] == "Always"}
    replacement = "True" if "Static" in recreating else "Conditional" if recreating else "False"
    change = _of(old, "Modify") | {"Replacement": replacement, "Details": details}
    change["Scope"] = sorted({detail["Target"]["Attribute"] for detail in details})
    if replacement != "False":
        change["PolicyAction"] = f"ReplaceAnd{_kept_or('Delete', policy)}"
    return change


def _of(resource: Resource, action: str) -> Change:
    return {
        "Action": action,
        "LogicalResourceId": resource.logical_resource_id,
        "PhysicalResourceId": resource.physical_resource_id,
        "ResourceType": resource.type,
    }


def _kept_or(fate: str, policy: str) -> str:
    return "Retain" if policy.startswith("Retain") else fate
