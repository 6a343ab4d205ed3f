"""CloudFormation: moto reads the template, this module carries it out.

moto skips types and properties it does not know, never rolls back, and forgets the outputs of a stack
made through a change set. Here every resource is created, updated and deleted by a class of
`resource_types`, in dependency order, with events, rollback and retention as on AWS; a type or a property
that nobody applies fails the change set before anything is touched.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection
from graphlib import CycleError, TopologicalSorter
from typing import Any

from moto.cloudformation import models, parsing
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

log = logging.getLogger(__name__)


class StackResources(parsing.ResourceMap):  # type: ignore[misc]  # moto's class is untyped to mypy
    """The live resources of one stack, and the way from one template to the next."""

    account: Account
    stack: Stack
    live: dict[str, Resource]
    rolling_back = False  # what is removed then was made a moment ago

    def __init__(self, *args: Any, **kwargs: Any):
        self.live = {}
        super().__init__(*args, **kwargs)
        self._parsed_resources["AWS::Partition"] = get_partition(self._region_name)

    def __getitem__(self, key: str) -> Any:
        if key in self.live:
            return self.live[key]
        if key in self._parsed_resources:
            return self._parsed_resources[key]
        raise ValidationError(message=f"Template error: nothing in this stack is called {key}")

    def __iter__(self) -> Any:
        return iter(self.live)

    def __len__(self) -> int:
        return len(self.live)

    def load(self) -> None:
        if self._template:
            self.read(self._template, self.input_parameters)

    def read(self, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        """Take the template's parameters, mappings and conditions as those that count from now on."""
        self._template, self.input_parameters = template, parameters
        self._resource_json_map = template["Resources"]
        self.no_echo_parameter_keys: list[str] = []
        self.resolved_parameters = parameter_values(template, parameters)
        self._parsed_resources.update(self.resolved_parameters)
        self._parsed_resources.update(template.get("Mappings", {}))
        self.lazy_condition_map = conditions_of(template, lambda value: parsing.clean_json(value, self))

    def check(self, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        """Refuse, before anything is created, whatever would otherwise be left out without a word."""
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
        """Bring what lives to what the template says; a failure leaves the rest for `rollback`."""
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
                self.stack.event(logical_id, declared["Type"], None, f"{verb}_FAILED", str(error))
                raise
        retired += [self.live.pop(name) for name in reversed(list(self.live)) if name not in wanted]
        for resource in retired:
            self.remove(resource)

    def _bring(self, logical_id: str, declared: dict[str, Any], properties: dict[str, Any]) -> list[Resource]:
        """Create, change or replace one resource; returns what it replaced."""
        kind = resource_types.of(declared["Type"])
        assert kind is not None, "checked when the change set was made"
        old = self.live.get(logical_id)
        if old is not None:
            old.deletion_policy = declared.get("DeletionPolicy", "Delete")
            retagged = "Tags" in kind.properties and old.stack_tags != self.tags
            if isinstance(old, kind) and old.declared == properties and not retagged:
                return []
            if isinstance(old, kind) and not old.needs_replacement(properties):
                self.stack.event(logical_id, kind.type, old.physical_resource_id, "UPDATE_IN_PROGRESS")
                before, old.declared, old.stack_tags = old.declared, properties, dict(self.tags)
                try:
                    old.update(before)
                except Exception:
                    old.declared = before
                    with contextlib.suppress(Exception):
                        old.update(properties)  # what was half applied goes back
                    raise
                self.stack.event(logical_id, kind.type, old.physical_resource_id, "UPDATE_COMPLETE")
                return []
        self.stack.event(logical_id, kind.type, None, "CREATE_IN_PROGRESS")
        new = kind(self.account, self._region_name, self["AWS::StackName"], logical_id, properties, dict(self.tags))
        new.deletion_policy = declared.get("DeletionPolicy", "Delete")
        new.create()
        self.live[logical_id] = new
        self.stack.event(logical_id, kind.type, new.physical_resource_id, "CREATE_COMPLETE")
        if old is None:
            return []
        old.deletion_policy = declared.get("UpdateReplacePolicy", "Delete")
        return [old]

    def remove(self, resource: Resource) -> None:
        name = resource.logical_resource_id
        policy = resource.deletion_policy
        if policy == "Retain" or (policy == "RetainExceptOnCreate" and not self.rolling_back):
            self.stack.event(name, resource.type, resource.physical_resource_id, "DELETE_SKIPPED")
            return
        try:
            resource.delete()
        except Exception as error:
            self.stack.event(name, resource.type, resource.physical_resource_id, "DELETE_FAILED", str(error))
            raise
        self.stack.event(name, resource.type, resource.physical_resource_id, "DELETE_COMPLETE")

    def remove_all(self, retained: Collection[str] = ()) -> None:
        for name in reversed(list(self.live)):
            if name in retained:
                self.live[name].deletion_policy = "Retain"
            self.remove(self.live[name])
            del self.live[name]


class Stack(models.Stack):  # type: ignore[misc]  # moto's class is untyped to mypy
    """moto's stack, with events for each resource and the statuses of a rollback."""

    resource_map: StackResources

    def _create_resource_map(self) -> StackResources:
        resources = StackResources(
            self.stack_id,
            self.name,
            self.parameters,
            self.tags,
            self.region_name,
            self.account_id,
            self.template_dict,
            self.cross_stack_resources,
        )
        resources.stack = self
        return resources

    def has_parameters(self, other_parameters: dict[str, Any]) -> bool:
        """Whether these lead to the same values, defaults included; moto compares what was typed."""
        return self.resource_map.resolved_parameters == parameter_values(self.template_dict, other_parameters)

    def event(self, logical_id: str, kind: str, physical_id: str | None, status: str, reason: str = "") -> None:
        self.events.append(
            models.Event(self.stack_id, self.name, logical_id, physical_id or "", kind, status, reason or None, None)
        )

    def turn(self, status: str, reason: str | None = None) -> None:
        self.status = status
        self._add_stack_event(status, resource_status_reason=reason)

    @property
    def outputs(self) -> list[dict[str, Any]] | None:
        """moto finds an export's name by its value, and so confuses two outputs that are equal."""
        exported = {
            name: parsing.clean_json(output["Export"]["Name"], self.resource_map)
            for name, output in self.template_dict.get("Outputs", {}).items()
            if "Export" in output
        }
        return [
            {
                "OutputKey": output.key,
                "OutputValue": str(output.value),
                "Description": output.description,
                "ExportName": exported.get(output.key),
            }
            for output in self.output_map.values()
            if output
        ] or None

    def _create_output_map(self) -> models.OutputMap:
        """moto exports an output even where its condition does not hold, and finds nothing to export."""
        outputs = {
            name: output
            for name, output in self.template_dict.get("Outputs", {}).items()
            if "Condition" not in output or self.resource_map.lazy_condition_map[output["Condition"]]
        }
        return models.OutputMap(self.resource_map, {"Outputs": outputs}, self.stack_id)

    def carry_out(self, verb: str, template: str, parameters: dict[str, str]) -> bool:
        """CREATE or UPDATE to this template; on failure back to where it was. Returns whether it went well."""
        before = (self.template, self.template_dict, self.parameters)
        self.turn(f"{verb}_IN_PROGRESS", "User Initiated")
        try:
            self._take(template, self.parse_template(template), parameters)
            self.resource_map.apply()
            self.output_map = self._create_output_map()
            _ = self.outputs, self.exports  # an output that cannot be computed fails the stack, as on AWS
        except Exception as error:  # noqa: BLE001  # whatever it was, the way is back
            failed = error
        else:
            self.turn(f"{verb}_COMPLETE")
            return True
        back = "ROLLBACK" if verb == "CREATE" else "UPDATE_ROLLBACK"
        self.turn(f"{back}_IN_PROGRESS", f"The following failed: {failed}")
        self.resource_map.rolling_back = True
        try:
            if verb == "CREATE":
                self.resource_map.remove_all()
                self.output_map = models.OutputMap(self.resource_map, {}, self.stack_id)
            else:
                self._take(*before)
                self.resource_map.apply()
                self.output_map = self._create_output_map()
        except Exception as error:
            log.exception("rolling back %s", self.name)
            self.turn(f"{back}_FAILED", str(error))
        else:
            self.turn(f"{back}_COMPLETE")
        self.resource_map.rolling_back = False
        return False

    def _take(self, template: str, template_dict: dict[str, Any], parameters: dict[str, str]) -> None:
        self.template, self.template_dict, self.parameters = template, template_dict, parameters
        self.description = template_dict.get("Description")
        self.resource_map.read(template_dict, parameters)
