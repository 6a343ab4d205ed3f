"""Parses a dashboard's body and expands its shorthand."""

import json
import math
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA = json.loads((Path(__file__).parent / "dashboard.schema.json").read_text())


def widgets(body: str) -> list[dict[str, Any]]:
    """The widgets of a valid body."""
    dashboard = json.loads(body)
    jsonschema.Draft202012Validator(SCHEMA).validate(dashboard)
    return dashboard["widgets"]


def metrics(widget: dict[str, Any]) -> list[tuple[str, str, dict[str, str], dict[str, Any]]]:
    """Namespace, name, dimensions and rendering of each metric in a widget, without expressions."""
    found, above = [], []
    for row in widget["properties"].get("metrics", []):
        names = [each for each in row if isinstance(each, str)]
        if not names:
            continue
        if names[0] == "...":
            names = above[: len(above) - len(names) + 1] + names[1:]
        above = [above[n] if name == "." else name for n, name in enumerate(names)]
        rendering = row[-1] if isinstance(row[-1], dict) else {}
        found.append((above[0], above[1], dict(zip(above[2::2], above[3::2], strict=True)), rendering))
    return found


def expressions(widget: dict[str, Any]) -> list[str]:
    """The metric math in a widget."""
    rows = widget["properties"].get("metrics", [])
    return [row[0]["expression"] for row in rows if isinstance(row[0], dict)]


def values(widget: dict[str, Any], happened: dict[str, list[float]]) -> dict[str, float]:
    """What a metric widget shows for one period, by label, given these values for each metric."""
    usual = widget["properties"].get("stat", "Average")
    known: dict[str, float] = {}
    seen: dict[str, float] = {}
    for _, name, _, rendering in metrics(widget):
        value = _statistic(rendering.get("stat", usual), happened[name])
        if "id" in rendering:
            known[rendering["id"]] = value
        if rendering.get("visible", True):
            seen[rendering["label"]] = value
    for row in widget["properties"].get("metrics", []):
        if isinstance(row[0], dict):
            seen[row[0]["label"]] = eval(row[0]["expression"], {"__builtins__": {}}, known)
    return seen


def _statistic(stat: str, values: list[float]) -> float:
    if stat.startswith("p"):
        return sorted(values)[math.ceil(len(values) * float(stat[1:]) / 100) - 1]
    return {"Sum": sum(values), "Maximum": max(values), "Average": sum(values) / len(values)}[stat]


def queries(shown: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """The log group and query of each log widget, by title."""
    found = {}
    for widget in shown:
        if widget["type"] == "log":
            source, _, query = widget["properties"]["query"].partition(" | ")
            found[widget["properties"]["title"]] = (source.removeprefix("SOURCE ").strip("'"), query)
    return found
