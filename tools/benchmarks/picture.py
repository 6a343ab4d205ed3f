"""One picture for the README, drawn by hand: wall time per kind of file, on a log scale."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from tools.benchmarks.files import Kind
from tools.benchmarks.report import NAMES, Results

COLORS: Final = {"ours": "#0a7d5a", "P2": "#d98c00", "P1": "#8a93a3"}
TICKS: Final = {
    0.05: "50 ms",
    0.1: "0.1 s",
    0.2: "0.2 s",
    0.5: "0.5 s",
    1: "1 s",
    2: "2 s",
    5: "5 s",
    10: "10 s",
    30: "30 s",
}
WIDTH: Final = 880
LEFT, RIGHT, TOP, FOOT = 215, 70, 92, 40  # margins around the bars
BAR, GAP = 13, 15  # heights
FONT: Final = "-apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"


def draw(kinds: Sequence[Kind], results: Results) -> str:
    """An SVG with a background, so that it is readable on dark and light pages."""
    longest = max(results[kind.name][name].wall for kind in kinds for name in COLORS)
    first, last = min(TICKS), max(longest * 1.15, 1.0)

    def x(seconds: float) -> float:
        share = math.log(max(seconds, first) / first) / math.log(last / first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    block = BAR * len(COLORS) + GAP
    bottom = TOP + block * len(kinds)
    height = bottom + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="{FONT}" font-size="13" role="img" aria-label="Wall time per kind of file, log scale">',
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" fill="#ffffff" stroke="#d0d7de"/>',
        _text(24, 34, "Time for the facts and a poster of one video in S3", size=17, weight=600),
    ]
    legend = 24.0
    for name, colour in COLORS.items():
        parts.append(f'<rect x="{legend}" y="52" width="12" height="12" rx="2" fill="{colour}"/>')
        parts.append(_text(legend + 18, 63, NAMES[name]))
        legend += 46 + 6.9 * len(NAMES[name])
    for tick, label in TICKS.items():
        if tick <= last:
            at = f"{x(tick):.1f}"
            parts.append(f'<line x1="{at}" x2="{at}" y1="{TOP - 8}" y2="{bottom - 4}" stroke="#e5e9ee"/>')
            parts.append(_text(x(tick), bottom + 14, label, anchor="middle", fill="#57606a", size=12))
    for number, kind in enumerate(kinds):
        y = TOP + number * block
        parts.append(_text(LEFT - 14, y + BAR * 1.5 + 4, kind.label, anchor="end"))
        for name, colour in COLORS.items():
            run = results[kind.name][name]
            end = x(run.wall)
            label = "no answer" if run.failure else _seconds(run.wall)
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{max(end - LEFT, 1):.1f}" height="{BAR - 2}" fill="{colour}"/>'
            )
            parts.append(_text(end + 5, y + BAR - 3.5, label, size=11, weight=600 if name == "ours" else 400))
            y += BAR
    parts.append(_text(WIDTH - 24, height - 10, "log scale", anchor="end", fill="#57606a", size=11))
    return "\n".join([*parts, "</svg>", ""])


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", fill: str = "#1f2328", size: int = 13, weight: int = 400
) -> str:
    style = f'text-anchor="{anchor}" fill="{fill}" font-size="{size}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
