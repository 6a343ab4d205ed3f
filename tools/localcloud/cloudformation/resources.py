"""The live resources of one stack, and their update from one template to the next.

moto ignores unsupported types and properties. Here a class in `resource_types` creates, updates and deletes each
resource, in dependency order; an unsupported type or property fails the change set before anything is changed.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection
from graphlib import CycleError, TopologicalSorter
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.utilities.utils import get_partition

from tools.localcloud.account import Account
from tools.localcloud.cloudformation import resource_types
from tools.localcloud.cloudformation.resource_types.base import Resource
from tools.localcloud.cloudformation.template import (
    conditions_of,
    drop_empty,
    if_resolved,
    parameter_values,
    references,
    violated_rule,
)

Event = Callable[..., None]  # logical id, type, physical id or None, status, reason

log = logging.getLogger(__name__)


class StackResources(parsing.ResourceMap):  # type: ignore[misc]  # moto's class is untyped to mypy
    """The live resources of one stack, and their update from one template to the next."""

    account: Account
    event: Event  # records events of resources
    live: dict[str, Resource]
    rolling_back = False  # resources that are removed then were just created

    def __init__(self, *args: Any, **kwargs: Any):
        self.live = {}
        super().__init__(*args, **kwargs)
        self._parsed_resources["AWS::Partition"] = get_partition(self._region_name)

    def __getitem__(self, key: str) -> Any:
        if key in self.live:
            return self.live[key]
        if key in self._parsed_resources:
            return self._parsed_resources[key]
        raise ValidationError(message=f"Template error: this stack has nothing named {key}")

    def __iter__(self) -> Any:
        return iter(self.live)

    def __len__(self) -> int:
        return len(self.live)

    def load(self) -> None:
        if self._template:
            self.read(self._template, self.input_parameters)

    def read(self, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        """Uses the template's parameters, mappings and conditions from now on."""
        self._template, self.input_parameters = template, parameters
        self._resource_json_map = template["Resources"]
        self.no_echo_parameter_keys: list[str] = []
        self.resolved_parameters = parameter_values(template, parameters)
        self._parsed_resources.update(self.resolved_parameters)
        self._parsed_resources.update(template.get("Mappings", {}))
        self.lazy_condition_map = conditions_of(template, lambda value: parsing.clean_json(value, self))

    def check(self, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        """Refuses, before anything is created, everything that would otherwise be silently ignored."""
        trial = StackResources(
            self.stack_id,
            self["AWS::StackName"],
            parameters,
            {},
            self._region_name,
            self._account_id,
            template,
            {},
        )
        trial.load()
        broken = violated_rule(template, trial.lazy_condition_map.values_of)
        if broken:
            raise ValidationError(message=f"Template validation error: {broken}")
        for logical_id in trial.wanted():
            declared = template["Resources"][logical_id]
            kind = resource_types.of(declared["Type"])
            if kind is None:
                raise ValidationError(
                    message=f"{logical_id}: the local cloud does not apply resources of type {declared['Type']}"
                )
            for name, value in declared.get("Properties", {}).items():
                chosen = if_resolved(value, trial.lazy_condition_map)
                if name not in kind.properties and chosen != {"Ref": "AWS::NoValue"}:
                    raise ValidationError(
                        message=f"{logical_id}: the local cloud does not apply property {name} of {declared['Type']}"
                    )
        trial.in_order()

    def wanted(self) -> list[str]:
        return [
            name
            for name, declared in self._resource_json_map.items()
            if "Condition" not in declared or self.lazy_condition_map[declared["Condition"]]
        ]

    def in_order(self) -> list[str]:
        wanted = self.wanted()
        graph = {}
        for name in wanted:
            declared = if_resolved(self._resource_json_map[name], self.lazy_condition_map)
            depends = declared.get("DependsOn", [])
            named = {depends} if isinstance(depends, str) else set(depends)
            graph[name] = [other for other in wanted if other in named | references(declared.get("Properties", {}))]
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise ValidationError(message=f"Circular dependency between resources: {error.args[1]}") from error

    def apply(self) -> None:
        """Updates the live resources to the template; after a failure, `rollback` handles the rest."""
        wanted = self.in_order()
        retired: list[Resource] = []
        for logical_id in wanted:
            declared = self._resource_json_map[logical_id]
            try:
                properties = drop_empty(parsing.clean_json(declared.get("Properties", {}), self))
                retired += self._bring(logical_id, declared, properties)
            except Exception as error:
                log.warning("%s failed", logical_id, exc_info=True)
                verb = "UPDATE" if logical_id in self.live else "CREATE"
                self.event(logical_id, declared["Type"], None, f"{verb}_FAILED", str(error))
                raise
        retired += [self.live.pop(name) for name in reversed(list(self.live)) if name not in wanted]
        for resource in retired:
            self.remove(resource)

    def _bring(self, logical_id: str, declared: dict[str, Any], properties: dict[str, Any]) -> list[Resource]:
        """Creates, updates or replaces one resource; returns the one that it replaced."""
        kind = resource_types.of(declared["Type"])
        assert kind is not None, "checked when the change set was created"
        old = self.live.get(logical_id)
        if old is not None:
            old.deletion_policy = declared.get("DeletionPolicy", "Delete")
            retagged = "Tags" in kind.properties and old.stack_tags != self.tags
            if isinstance(old, kind) and old.declared == properties and not retagged:
                return []
            if isinstance(old, kind) and not old.needs_replacement(properties):
                self.event(logical_id, kind.type, old.physical_resource_id, "UPDATE_IN_PROGRESS")
                before, old.declared, old.stack_tags = old.declared, properties, dict(self.tags)
                try:
                    old.update(before)
                except Exception:
                    old.declared = before
                    with contextlib.suppress(Exception):
                        old.update(properties)  # undo a partial update
                    raise
                self.event(logical_id, kind.type, old.physical_resource_id, "UPDATE_COMPLETE")
                return []
        self.event(logical_id, kind.type, None, "CREATE_IN_PROGRESS")
        new = kind(self.account, self._region_name, self["AWS::StackName"], logical_id, properties, dict(self.tags))
        new.deletion_policy = declared.get("DeletionPolicy", "Delete")
        new.create()
        self.live[logical_id] = new
        self.event(logical_id, kind.type, new.physical_resource_id, "CREATE_COMPLETE")
        if old is None:
            return []
        old.deletion_policy = declared.get("UpdateReplacePolicy", "Delete")
        return [old]

    def remove(self, resource: Resource) -> None:
        name = resource.logical_resource_id
        policy = resource.deletion_policy
        if policy == "Retain" or (policy == "RetainExceptOnCreate" and not self.rolling_back):
            self.event(name, resource.type, resource.physical_resource_id, "DELETE_SKIPPED")
            return
        try:
            resource.delete()
        except Exception as error:
            self.event(name, resource.type, resource.physical_resource_id, "DELETE_FAILED", str(error))
            raise
        self.event(name, resource.type, resource.physical_resource_id, "DELETE_COMPLETE")

    def remove_all(self, retained: Collection[str] = ()) -> None:
        for name in reversed(list(self.live)):
            if name in retained:
                self.live[name].deletion_policy = "Retain"
            self.remove(self.live[name])
            del self.live[name]
