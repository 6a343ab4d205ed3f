"""Lets tests set states of a stack that only failures or other people cause.

    POST /_localcloud/stack {"name": "...", "status": "UPDATE_ROLLBACK_FAILED"}
    POST /_localcloud/stack {"name": "...", "drift": {"Uploads": ["/LifecycleConfiguration"], "Alarms": null}}

The resources do not change. `drift` is the result of a detection, which moto does not have: the properties that were
changed manually, or null for a deleted resource.
"""

from __future__ import annotations

from typing import Any

from moto.cloudformation import responses
from moto.cloudformation.models import cloudformation_backends
from moto.core.responses import ActionResult
from moto.core.utils import utcnow

from tools.localcloud.account import ACCOUNT_ID, DEFAULT_REGION


def put(name: str, status: str | None = None, drift: dict[str, list[str] | None] | None = None) -> None:
    stack = cloudformation_backends[ACCOUNT_ID][DEFAULT_REGION].get_stack(name)
    if status:
        stack.turn(status)
    if drift is not None:
        now = utcnow()
        stack.drift_information = {"StackDriftStatus": "DRIFTED" if drift else "IN_SYNC", "LastCheckTimestamp": now}
        stack.drifts = [_drift(stack, logical_id, paths) for logical_id, paths in drift.items()]


def _drift(stack: Any, logical_id: str, paths: list[str] | None) -> dict[str, Any]:
    resource = stack.resource_map.live[logical_id]
    return {
        "StackId": stack.stack_id,
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": resource.physical_resource_id,
        "ResourceType": resource.type,
        "StackResourceDriftStatus": "DELETED" if paths is None else "MODIFIED",
        "PropertyDifferences": [
            {"PropertyPath": path, "ExpectedValue": "-", "ActualValue": "-", "DifferenceType": "NOT_EQUAL"}
            for path in paths or []
        ],
        "Timestamp": stack.drift_information["LastCheckTimestamp"],
    }


def install() -> None:
    def describe_stack_resource_drifts(self: Any) -> Any:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        wanted = self._get_param("StackResourceDriftStatusFilters", [])
        found = [d for d in getattr(stack, "drifts", []) if not wanted or d["StackResourceDriftStatus"] in wanted]
        return ActionResult({"StackResourceDrifts": found})

    responses.CloudFormationResponse.describe_stack_resource_drifts = describe_stack_resource_drifts
