"""Writes an HTML page of results: a card for each upload, with its poster, verdict, facts, and cost.

The page needs no network and no server. Keys, titles and evidence are untrusted, so everything is escaped.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scripts.readable import clock, details, dollars_per_thousand, effort, facts, name
from video_intake.document import Result
from video_intake.messages import bytes_text, visible

TEMPLATE: Final = "page.html.j2"
NAME: Final = "index.html"


@dataclass(frozen=True)
class Email:
    """An e-mail, as a reader sees it."""

    subject: str
    text: str


@dataclass
class Page:
    """What the page shows in addition to the results."""

    title: str
    subtitle: str = ""
    footer: str = ""
    metrics: Sequence[tuple[str, str, str]] = ()  # name, statistic, value
    alarms: Sequence[tuple[str, str]] = ()  # name, state
    emails: Sequence[Email] = field(default_factory=list)


def write(folder: Path, page: Page, results: Iterable[tuple[Result, Path]]) -> Path:
    """Writes the page into `folder` and returns its path. Each result has the folder of its pictures."""
    shown = [(result, where) for result, where in results]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    text = environment.get_template(TEMPLATE).render(
        **vars(page),
        cards=[card(result, where.relative_to(folder)) for result, where in shown],
        totals=totals([result for result, _ in shown]),
        verdicts=verdicts([result for result, _ in shown]),
    )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / NAME
    target.write_text(text, encoding="utf-8")
    return target


def metrics(values: Iterable[tuple[str, str, float | None]]) -> list[tuple[str, str, str]]:
    """Name, statistic and value of each metric, as text."""
    return [(name, statistic, "none" if value is None else f"{value:.4g}") for name, statistic, value in values]


def alarms(described: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """Name and state of each alarm."""
    return [(str(alarm["AlarmName"]), str(alarm["StateValue"])) for alarm in described]


def card(result: Result, where: Path) -> dict[str, Any]:
    """The template's values for one result, whose pictures are in the folder `where`."""
    shown: dict[str, Any] = {
        "key": name(result),
        "status": result["status"],
        "verdict": _verdict(result),
        "details": details(result),
        "effort": f"{effort(result)} · ${dollars_per_thousand([result]):.3f} per 1,000",
        "poster": None,
        "film": None,
        "length": "",
    }
    if "failure" in result:
        failure = result["failure"]
        return shown | {"message": visible(failure["message"]), "advice": visible(failure["advice"])}
    if poster := result.get("poster"):
        shown["poster"] = {"url": _url(where / "poster.jpg"), "width": poster["width"], "height": poster["height"]}
    if sheet := result.get("storyboard"):
        sizes = {"width": sheet["tileWidth"], "height": sheet["tileHeight"]}
        numbers = {name: sheet[name] for name in ("columns", "rows", "frames")}
        shown["film"] = {"url": _url(where / "storyboard.jpg"), **sizes, **numbers}
    duration = result["container"]["duration"]
    warnings = [visible(warning) for warning in result["warnings"]]
    return shown | {"length": clock(duration) if duration else "", "facts": facts(result), "warnings": warnings}


def totals(results: Sequence[Result]) -> list[dict[str, str]]:
    """The totals at the top of the page."""
    read = sum(result["inspection"]["bytesRead"] for result in results)
    stored = sum(result["source"]["size"] for result in results)
    playable = sum(result["status"] == "success" for result in results)
    times = sorted(result["inspection"]["durationMs"] for result in results)
    return [
        {"value": f"{len(results):,}", "name": "uploads"},
        {"value": f"{playable:,}", "name": "playable"},
        {"value": f"{len(results) - playable:,}", "name": "rejected"},
        {"value": bytes_text(read), "name": f"read of {bytes_text(stored)}"},
        {"value": f"{times[len(times) // 2] if times else 0} ms", "name": "median inspection"},
        {"value": f"${dollars_per_thousand(results):.3f}", "name": "per 1,000 inspections"},
    ]


def verdicts(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The options of the filter."""
    counts = Counter(map(_verdict, results))
    reasons = sorted(reason for reason in counts if reason != "success")
    return [
        {"value": "all", "name": "All", "count": len(results)},
        {"value": "success", "name": "Playable", "count": counts["success"]},
        {"value": "failure", "name": "Rejected", "count": len(results) - counts["success"]},
        *({"value": reason, "name": reason, "count": counts[reason]} for reason in reasons if len(reasons) > 1),
    ]


def _verdict(result: Result) -> str:
    return result["failure"]["reason"] if "failure" in result else "success"


def _url(path: Path) -> str:
    return quote(path.as_posix())
