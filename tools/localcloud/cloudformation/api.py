"""CloudFormation's API: replaces moto's with `backend`, and fixes moto's wrong responses."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from moto.cloudformation import models, responses
from moto.cloudformation.exceptions import ValidationError
from moto.core.responses import EmptyResult
from moto.s3.models import s3_backends

from tools.localcloud.account import Account
from tools.localcloud.cloudformation import states
from tools.localcloud.cloudformation.backend import CloudFormation
from tools.localcloud.cloudformation.resources import StackResources
from tools.localcloud.cloudformation.stacks import Stack


def _needs_capability(template: str, capabilities: list[str]) -> str | None:
    """Requires capabilities: AWS creates roles only with them, so a deploy script without them must fail here too."""
    roles = [r for r in Stack.parse_template(template)["Resources"].values() if r["Type"] == "AWS::IAM::Role"]
    named = any("RoleName" in role.get("Properties", {}) for role in roles)
    if not roles or "CAPABILITY_NAMED_IAM" in capabilities or ("CAPABILITY_IAM" in capabilities and not named):
        return None
    return "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"


class InsufficientCapabilities(ValidationError):  # type: ignore[misc]  # moto's class is untyped to mypy
    code = "InsufficientCapabilitiesException"


def _template_at(self: Any, url: str) -> str:
    """Reads an uploaded template: the AWS CLI uses this endpoint's URL, which moto mistakes for a bucket's host."""
    bucket, key = unquote(urlsplit(url).path).lstrip("/").split("/", 1)
    found = s3_backends[self.current_account][self.partition].get_object(bucket, key)
    if found is None:
        raise ValidationError(message=f"S3 error: there is no template at {url}")
    return str(found.value.decode())


def install(account: Account) -> None:
    """Installs this engine in moto, before the first stack is created."""
    StackResources.account = account
    models.ResourceMap, models.Stack = StackResources, Stack
    for name in ("create_change_set", "_new_stack", "execute_change_set", "create_stack", "update_stack", "_directly",
                 "delete_stack"):  # fmt: skip
        setattr(models.CloudFormationBackend, name, getattr(CloudFormation, name))

    responses.CloudFormationResponse._get_stack_from_s3_url = _template_at
    # A change set without changes is created as FAILED, so that the CLI can report "No changes to deploy".
    responses.CloudFormationResponse._validate_different_update = lambda *_: None
    answer = responses.CloudFormationResponse.create_change_set

    def create_change_set(self: Any) -> Any:
        body = self._get_param("TemplateBody")
        if self._get_param("TemplateURL"):
            body = self._get_stack_from_s3_url(self._get_param("TemplateURL"))
        missing = _needs_capability(body, self._get_param("Capabilities", [])) if body else None
        if missing:
            raise InsufficientCapabilities(message=f"Requires capabilities : [{missing}]")
        return answer(self)

    def delete_stack(self: Any) -> Any:
        self.cloudformation_backend.delete_stack(self._get_param("StackName"), self._get_param("RetainResources", []))
        return EmptyResult()

    plain_list = responses.CloudFormationResponse.list_stack_resources

    def list_stack_resources(self: Any) -> Any:
        """moto returns CREATE_COMPLETE for everything."""
        answer = plain_list(self)
        events = self.cloudformation_backend.get_stack(self._get_param("StackName")).events
        latest = {event.logical_resource_id: event for event in events}
        for resource in answer.result["StackResourceSummaries"]:
            event = latest[resource["LogicalResourceId"]]
            resource["ResourceStatus"] = event.resource_status
            resource["ResourceStatusReason"] = event.resource_status_reason
        return answer

    plain_sets = responses.CloudFormationResponse.list_change_sets

    def list_change_sets(self: Any) -> Any:
        """moto lists the resources of all stacks."""
        answer = plain_sets(self)
        wanted, found = self._get_param("StackName"), answer.result["Summaries"]
        answer.result["Summaries"] = [each for each in found if wanted in (each.stack_name, each.stack_id)]
        return answer

    responses.CloudFormationResponse.create_change_set = create_change_set
    responses.CloudFormationResponse.list_change_sets = list_change_sets
    responses.CloudFormationResponse.delete_stack = delete_stack
    responses.CloudFormationResponse.list_stack_resources = list_stack_resources
    responses.CloudFormationResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER["DescribeChangeSetOutput.Changes"] = list
    states.install()
