"""The base class of resource types."""

from __future__ import annotations

from typing import Any, ClassVar

from tools.localcloud.account import Account
from tools.localcloud.cloudformation.shapes import call, generated_name, tag_map

Properties = dict[str, Any]


class Resource:
    """One resource of a stack. Subclasses name their type and properties, and create, update and delete."""

    type: ClassVar[str]
    properties: ClassVar[frozenset[str]]
    replaced_by: ClassVar[frozenset[str]] = frozenset()  # changing one of these replaces the resource

    physical_resource_id: str
    deletion_policy = "Delete"

    def __init__(
        self,
        account: Account,
        region: str,
        stack_name: str,
        logical_id: str,
        declared: Properties,
        stack_tags: dict[str, str],
    ):
        self.account, self.region, self.stack_name = account, region, stack_name
        self.logical_resource_id, self.declared, self.stack_tags = logical_id, declared, stack_tags
        self.attributes: dict[str, str] = {}
        self._generated: str | None = None
        self.cf_resource_type = self.type  # moto's name for it, in DescribeStackResources

    def client(self, service: str) -> Any:
        return self.account.client(service, self.region)

    def call(self, service: str, operation: str, **arguments: Any) -> Any:
        return call(self.client(service), operation, arguments)

    def name(self, key: str) -> str:
        """The name from the template, or one generated from stack and logical ID, which never changes."""
        if key in self.declared:
            return str(self.declared[key])
        if self._generated is None:
            self._generated = generated_name(self.stack_name, self.logical_resource_id)
        return self._generated

    def given(self, *without: str) -> Properties:
        return {key: value for key, value in self.declared.items() if key not in without}

    @property
    def tags(self) -> dict[str, str]:
        """The stack's tags, overridden by the resource's own, as on AWS."""
        return self.stack_tags | tag_map(self.declared.get("Tags", []))

    @property
    def tag_list(self) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    def get_cfn_attribute(self, attribute: str) -> str:
        if attribute not in self.attributes:
            raise AttributeError(f"{self.type} has no attribute {attribute} in the local cloud")
        return self.attributes[attribute]

    def needs_replacement(self, wanted: Properties) -> bool:
        return any(self.declared.get(key) != wanted.get(key) for key in self.replaced_by)

    def create(self) -> None:
        raise NotImplementedError

    def update(self, before: Properties) -> None:
        raise NotImplementedError

    def delete(self) -> None:
        raise NotImplementedError
