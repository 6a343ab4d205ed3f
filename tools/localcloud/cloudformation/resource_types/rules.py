"""Rules on EventBridge's default bus."""

from __future__ import annotations

from tools.localcloud.cloudformation.resource_types.base import Properties, Resource
from tools.localcloud.cloudformation.shapes import policy_text


class Rule(Resource):
    type = "AWS::Events::Rule"
    properties = frozenset({"Description", "EventPattern", "Name", "State", "Tags", "Targets"})
    replaced_by = frozenset({"Name"})

    def create(self) -> None:
        self.physical_resource_id = self.name("Name")
        self.update({})

    def update(self, before: Properties) -> None:
        name = self.physical_resource_id
        made = self.call(
            "events", "put_rule", Name=name, EventPattern=policy_text(self.declared["EventPattern"]),
            State=self.declared.get("State", "ENABLED"), Description=self.declared.get("Description", ""),
            Tags=self.tag_list,
        )  # fmt: skip
        self.attributes = {"Arn": made["RuleArn"]}
        wanted = self.declared.get("Targets", [])
        self._remove({target["Id"] for target in before.get("Targets", [])} - {target["Id"] for target in wanted})
        if wanted:
            self.call("events", "put_targets", Rule=name, Targets=wanted)

    def _remove(self, ids: set[str]) -> None:
        if ids:
            self.call("events", "remove_targets", Rule=self.physical_resource_id, Ids=sorted(ids))

    def delete(self) -> None:
        """Deletes the rule after its targets, because EventBridge refuses to delete a rule with targets."""
        self._remove({target["Id"] for target in self.declared.get("Targets", [])})
        self.call("events", "delete_rule", Name=self.physical_resource_id)
