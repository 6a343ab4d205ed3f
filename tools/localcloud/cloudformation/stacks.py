"""moto's stacks, with events for each resource, rollback, and outputs that moto omits or confuses."""

from __future__ import annotations

import logging
from typing import Any

from moto.cloudformation import models, parsing

from tools.localcloud.cloudformation.resources import StackResources
from tools.localcloud.cloudformation.template import parameter_values

log = logging.getLogger(__name__)


class Stack(models.Stack):  # type: ignore[misc]  # moto's class is untyped to mypy
    """moto's stack, with events for each resource and rollback statuses."""

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
        resources.event = self.event
        return resources

    def has_parameters(self, other_parameters: dict[str, Any]) -> bool:
        """Whether the values are the same, including defaults; moto compares them as passed."""
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
        """moto looks up an export's name by its value, and so confuses two equal outputs."""
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
        """moto exports an output even if its condition is false, and finds nothing to export."""
        outputs = {
            name: output
            for name, output in self.template_dict.get("Outputs", {}).items()
            if "Condition" not in output or self.resource_map.lazy_condition_map[output["Condition"]]
        }
        return models.OutputMap(self.resource_map, {"Outputs": outputs}, self.stack_id)

    def carry_out(self, verb: str, template: str, parameters: dict[str, str]) -> bool:
        """Creates or updates the stack, and rolls back on failure. Returns whether it succeeded."""
        before = (self.template, self.template_dict, self.parameters)
        self.turn(f"{verb}_IN_PROGRESS", "User Initiated")
        try:
            self._take(template, self.parse_template(template), parameters)
            self.resource_map.apply()
            self.output_map = self._create_output_map()
            _ = self.outputs, self.exports  # an invalid output fails the stack, as on AWS
        except Exception as error:  # noqa: BLE001  # any failure is rolled back
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
