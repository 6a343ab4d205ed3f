"""Converts CloudFormation's values to the API's: texts to numbers, names, tags, policies."""

from __future__ import annotations

import json
from typing import Any

from moto.cloudformation.utils import random_suffix


def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
    """Converts every value to the type that the API declares. CloudFormation is not strict: "300" is accepted for 300,
    and 300 for "300" in an environment variable."""
    name = client.meta.method_to_api_mapping[operation]
    shape = client.meta.service_model.operation_model(name).input_shape
    return getattr(client, operation)(**coerced(arguments, shape))


def coerced(value: Any, shape: Any) -> Any:
    kind = shape.type_name if shape is not None else None
    if kind == "structure" and isinstance(value, dict):
        return {key: coerced(inner, shape.members.get(key)) for key, inner in value.items()}
    if kind == "map" and isinstance(value, dict):
        return {key: coerced(inner, shape.value) for key, inner in value.items()}
    if kind == "list" and isinstance(value, list):
        return [coerced(inner, shape.member) for inner in value]
    if kind in ("integer", "long") and isinstance(value, str):
        return int(value)
    if kind in ("float", "double") and isinstance(value, str | int):
        return float(value)
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if kind == "string" and isinstance(value, bool | int | float):
        return policy_text(value)
    return value


def policy_text(document: Any) -> str:
    """Converts to JSON. YAML parses an unquoted `Version: 2012-10-17` as a date; CloudFormation keeps the text."""
    return json.dumps(document, default=str)


def generated_name(stack_name: str, logical_id: str) -> str:
    return f"{stack_name}-{logical_id}-{random_suffix()}"[-64:].lstrip("-")


def tag_map(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}
