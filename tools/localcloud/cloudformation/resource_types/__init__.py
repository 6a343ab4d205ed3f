"""Every resource type that the local cloud knows, each with exactly the properties that it applies.

The tables of properties are a promise: what stands there is applied through the service's ordinary API, and
anything else fails the change set (`stacks`). Growing the template means growing a class here.
Structures are passed on as they are, with texts turned into the numbers that the API wants; botocore refuses
what the API does not know. Where CloudFormation and the API differ, the difference is spelled out.
"""

from __future__ import annotations

from tools.localcloud.cloudformation.resource_types import buckets, compute, messaging, observability, rules, tables
from tools.localcloud.cloudformation.resource_types.base import Resource

GROUPS = (buckets, compute, messaging, observability, rules, tables)


def of(type_name: str) -> type[Resource] | None:
    for group in GROUPS:
        for kind in vars(group).values():
            if isinstance(kind, type) and issubclass(kind, Resource) and getattr(kind, "type", None) == type_name:
                return kind
    return None
