"""CloudFormation's operations, which use `stacks` instead of moto to create, update and delete stacks."""

from __future__ import annotations

from typing import Any

from moto.cloudformation import models
from moto.cloudformation.exceptions import ValidationError
from moto.moto_api._internal import mock_random

from tools.localcloud.cloudformation import change_sets
from tools.localcloud.cloudformation.stacks import Stack


class CloudFormation(models.CloudFormationBackend):  # type: ignore[misc]  # moto's class is untyped to mypy
    """The operations that change stacks. `api` installs these functions in moto's backend."""

    def create_change_set(
        self, stack_name: str, change_set_name: str, template: str, parameters: dict[str, str],
        description: str, change_set_type: str, notification_arns: list[str] | None = None,
        tags: dict[str, str] | None = None, role_arn: str | None = None,
    ) -> tuple[str, str]:  # fmt: skip
        models.validate_create_change_set(change_set_name)
        found = [stack for stack in self.stacks.values() if stack.name == stack_name]
        reviewed = bool(found) and found[0].status == "REVIEW_IN_PROGRESS"
        if change_set_type == "UPDATE" and not found:
            raise ValidationError(stack_name)
        if change_set_type == "CREATE" and found and not reviewed:
            raise ValidationError(message=f"Stack [{stack_name}] already exists and cannot be created again")
        if found and found[0].status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
            raise ValidationError(
                message=f"Stack:{found[0].stack_id} is in {found[0].status} state and can not be updated."
            )
        stack = found[0] if found else self._new_stack(stack_name, tags, notification_arns, role_arn)
        stack.resource_map.check(Stack.parse_template(template), parameters)
        self.stacks[stack.stack_id] = stack
        retagged = bool(tags) and tags != stack.tags  # without any, an update keeps them
        if not found:
            stack.turn("REVIEW_IN_PROGRESS", "User Initiated")
        change_set = models.ChangeSet(
            change_set_type=change_set_type,
            change_set_id=models.generate_changeset_id(change_set_name, self.region_name, self.account_id),
            change_set_name=change_set_name, stack=stack, template=template, parameters=parameters,
            description=description, notification_arns=notification_arns, tags=tags, role_arn=role_arn,
        )  # fmt: skip
        same = (
            change_set_type == "UPDATE"
            and not retagged
            and stack.has_template(template)
            and stack.has_parameters(parameters)
        )
        wanted_tags = tags if retagged else stack.tags
        change_set.changes = change_sets.changes(
            stack.resource_map, Stack.parse_template(template), parameters, wanted_tags
        )
        change_set.status = "FAILED" if same else "CREATE_COMPLETE"
        change_set.execution_status = "UNAVAILABLE" if same else "AVAILABLE"
        if same:
            change_set.status_reason = (
                "The submitted information didn't contain changes. Submit different information to create a change set."
            )
        self.change_sets[change_set.change_set_id] = change_set
        return change_set.change_set_id, stack.stack_id

    def _new_stack(
        self, name: str, tags: dict[str, str] | None, notify: list[str] | None, role_arn: str | None
    ) -> Stack:
        return Stack(
            stack_id=models.generate_stack_id(name, self.region_name, self.account_id), name=name, template={},
            parameters={}, account_id=self.account_id, region_name=self.region_name, tags=tags,
            notification_arns=notify, role_arn=role_arn, cross_stack_resources=self.exports,
        )  # fmt: skip

    def execute_change_set(self, change_set_name: str, stack_name: str | None = None) -> None:
        change_set = self.describe_change_set(change_set_name)
        stack = change_set.stack
        if change_set.tags:
            stack.tags = stack.resource_map.tags = dict(change_set.tags)
        before = {export.name for export in self.exports.values() if export.exporting_stack_id == stack.stack_id}
        if stack.carry_out(change_set.change_set_type, change_set.template, change_set.parameters):
            for name in before:
                self.exports.pop(name, None)
            self.exports.update({export.name: export for export in stack.exports})
        change_set.execution_status = "EXECUTE_COMPLETE"

    def create_stack(self, name: str, template: str, parameters: dict[str, Any], **options: Any) -> Stack:
        tags, notify, role = options.get("tags"), options.get("notification_arns"), options.get("role_arn")
        return self._directly("CREATE", name, template, parameters, tags, notify, role)

    def update_stack(
        self, name: str, template: str, role_arn: str | None, parameters: list[dict[str, Any]],
        tags: dict[str, str] | None,
    ) -> Stack:  # fmt: skip
        resolved = self._resolve_update_parameters(self.get_stack(name), parameters)
        return self._directly("UPDATE", name, template, resolved, tags, None, role_arn)

    def _directly(self, verb: str, name: str, template: str, parameters: dict[str, Any], *rest: Any) -> Stack:
        tags, notify, role = rest
        change_set = f"direct-{mock_random.get_random_hex(12)}"
        change_set_id, stack_id = self.create_change_set(
            name, change_set, template, parameters, "", verb, notify, tags, role
        )
        if self.change_sets[change_set_id].status == "FAILED":
            raise ValidationError(message="No updates are to be performed.")
        self.execute_change_set(change_set_id)
        stack: Stack = self.stacks[stack_id]
        return stack

    def delete_stack(self, name_or_stack_id: str, retained: list[str] | None = None) -> None:
        for stack in list(self.stacks.values()):
            if name_or_stack_id in (stack.name, stack.stack_id):
                if retained and stack.status != "DELETE_FAILED":
                    raise ValidationError(
                        message=f"Invalid operation on stack {stack.stack_id}. Resources can be retained only when it "
                        "is in the DELETE_FAILED state."
                    )
                names = [name for name, export in self.exports.items() if export.exporting_stack_id == stack.stack_id]
                stack.turn("DELETE_IN_PROGRESS", "User Initiated")
                try:
                    stack.resource_map.remove_all(retained or [])
                except Exception as error:  # noqa: BLE001  # reported in the stack's events, as on AWS
                    stack.turn("DELETE_FAILED", f"The following failed: {error}")
                    return
                stack.turn("DELETE_COMPLETE")
                for name in names:
                    self.exports.pop(name)
                self.deleted_stacks[stack.stack_id] = self.stacks.pop(stack.stack_id)
