"""All supported resource types, each with exactly the properties that it applies.

Properties in the tables are applied through the service's public API, and any other fails the change set (`stacks`). To
use a new property in the template, add it to its class here. Structures are passed on unchanged, except that texts
become numbers where the API requires them; botocore refuses anything that the API does not support. Differences between
CloudFormation and the API are handled explicitly.
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
