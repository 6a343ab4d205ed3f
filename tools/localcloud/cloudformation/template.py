"""Evaluates a template before any resource exists: parameters, rules, conditions, references.

CloudFormation compares strings: `!Equals [!Ref Count, 0]` is true for the parameter "0". moto compares numbers, and
supports neither constraints of parameters nor rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from moto.cloudformation.exceptions import ValidationError

Resolve = Callable[[Any], Any]


def as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parameter_values(template: dict[str, Any], given: dict[str, Any]) -> dict[str, str]:
    """The value of every parameter, checked against the template's constraints."""
    declared = template.get("Parameters", {})
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise ValidationError(message=f"Parameters: {unknown} do not exist in the template")
    missing = [name for name, slot in declared.items() if name not in given and "Default" not in slot]
    if missing:
        raise ValidationError(message=f"Parameters: {missing} must have values")
    values: dict[str, str] = {}
    for name, slot in declared.items():
        if slot["Type"] not in ("String", "Number"):
            raise ValidationError(message=f"Parameter {name}: the local cloud does not support the type {slot['Type']}")
        values[name] = as_text(given.get(name, slot.get("Default")))
        if not _satisfies(values[name], slot):
            told = slot.get("ConstraintDescription", f"{values[name]!r} is not accepted")
            raise ValidationError(message=f"Parameter {name} failed to satisfy constraint: {told}")
    return values


def _satisfies(text: str, slot: dict[str, Any]) -> bool:
    if "AllowedValues" in slot and text not in map(as_text, slot["AllowedValues"]):
        return False
    if "AllowedPattern" in slot and not re.fullmatch(slot["AllowedPattern"], text):
        return False
    if not int(slot.get("MinLength", 0)) <= len(text) <= int(slot.get("MaxLength", 1 << 20)):
        return False
    if slot["Type"] == "Number":
        try:
            number = float(text)
        except ValueError:
            return False
        return float(slot.get("MinValue", "-inf")) <= number <= float(slot.get("MaxValue", "inf"))
    return True


class Conditions(dict[str, bool]):
    """The value of each condition by name, and a function that evaluates others (of rules)."""

    values_of: Resolve


def conditions_of(template: dict[str, Any], resolve: Resolve) -> Conditions:
    declared = template.get("Conditions", {})
    known = Conditions()
    known.values_of = resolve

    def holds(condition: Any) -> bool:
        if isinstance(condition, str):  # another condition by name
            if condition not in known:
                if condition not in declared:
                    raise ValidationError(message=f"Template error: there is no condition named {condition}")
                known[condition] = holds(declared[condition])
            return known[condition]
        return evaluate(condition, resolve, holds)

    for name in declared:
        holds(name)
    return known


def evaluate(condition: Any, resolve: Resolve, named: Callable[[str], bool]) -> bool:
    """Evaluates a condition function; `named` evaluates conditions by name."""

    def again(inner: Any) -> bool:
        return evaluate(inner, resolve, named)

    [(function, argument)] = condition.items()
    match function:
        case "Condition" | "Fn::Condition":
            return named(argument)
        case "Fn::Equals":
            left, right = (as_text(resolve(side)) for side in argument)
            return left == right
        case "Fn::Not":
            return not again(argument[0])
        case "Fn::And":
            return all(again(inner) for inner in argument)
        case "Fn::Or":
            return any(again(inner) for inner in argument)
    raise ValidationError(message=f"Template error: the local cloud does not support the condition {function}")


def violated_rule(template: dict[str, Any], resolve: Resolve) -> str | None:
    """The assertion description of the first rule that these parameters violate."""

    def named(name: str) -> bool:
        raise ValidationError(message=f"Template error: a rule cannot use the condition {name}")

    for name, rule in template.get("Rules", {}).items():
        if "RuleCondition" in rule and not evaluate(rule["RuleCondition"], resolve, named):
            continue
        for assertion in rule["Assertions"]:
            if not evaluate(assertion["Assert"], resolve, named):
                return str(assertion.get("AssertDescription", f"rule {name} is violated"))
    return None


def if_resolved(value: Any, conditions: dict[str, bool]) -> Any:
    """The value with every `Fn::If` resolved and nothing else changed."""
    if isinstance(value, dict):
        if "Fn::If" in value:
            name, yes, no = value["Fn::If"]
            return if_resolved(yes if conditions[name] else no, conditions)
        return {key: if_resolved(inner, conditions) for key, inner in value.items()}
    if isinstance(value, list):
        return [if_resolved(inner, conditions) for inner in value]
    return value


def references(value: Any) -> set[str]:
    """Every name that a value refers to, of resources and parameters."""
    found: set[str] = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "Ref":
                found.add(inner)
            elif key == "Fn::GetAtt":
                found.add(inner[0] if isinstance(inner, list) else inner.split(".")[0])
            elif key == "Fn::Sub":
                text, mapped = (inner, {}) if isinstance(inner, str) else inner
                found |= set(re.findall(r"\$\{([^!.}][^.}]*)", text)) - set(mapped)
                found |= references(mapped)
            else:
                found |= references(inner)
    elif isinstance(value, list):
        for inner in value:
            found |= references(inner)
    return found


def drop_empty(value: Any) -> Any:
    """Removes `AWS::NoValue`, which moto removes from maps but not from lists."""
    if isinstance(value, dict):
        return {key: drop_empty(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [drop_empty(inner) for inner in value if inner is not None]
    return value
