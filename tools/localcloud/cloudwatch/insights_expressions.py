"""Parses expressions of CloudWatch Logs Insights into functions of a row."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]
Expression = Callable[[Fields], Any]

TOKEN = re.compile(
    r"""\s*(?:(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"""|(?P<regex>/(?:[^/\\]|\\.)+/)|(?P<mark>!=|<=|>=|[=<>(),\[\]])|(?P<name>`[^`]+`|[@\w][\w.]*))""",
    re.X,
)
SYSTEM = ("@timestamp", "@message", "@logStream", "@log")  # Insights' other fields for Lambda's lines are not supported
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Malformed(ValueError):
    """A query that is invalid or not supported. The message is the part in question."""


def listed(text: str, mark: str) -> list[str]:
    """Splits at separators, except within quotes, slashes or brackets."""
    found = re.findall(rf"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)+/|[{mark}()\[\]]|.""", text, re.S)
    parts, depth = [""], 0
    for one in found:
        depth += (one in ("(", "[")) - (one in (")", "]"))
        if one == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += one
    return parts


def expression(text: str) -> Expression:
    """A function of a row that returns None if a field is missing. Raises Malformed."""
    reader = _Reader(text)
    made = reader.either()
    if reader.tokens:
        raise Malformed(text)
    return made


class _Reader:
    """Parses `or`, `and`, `not`, comparisons and values, in this order of precedence."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens = text, []
        at = 0
        while text[at:].strip():
            found = TOKEN.match(text, at)
            if not found:
                raise Malformed(text)
            self.tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            at = found.end()

    tokens: list[tuple[str, str]]

    def take(self, *wanted: str) -> str:
        """The next token if it is one of these (case-insensitive); otherwise nothing."""
        if self.tokens and self.tokens[0][0] in ("mark", "name") and self.tokens[0][1].lower() in wanted:
            return self.tokens.pop(0)[1].lower()
        return ""

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise Malformed(self.text)

    def either(self) -> Expression:
        sides = [self.both()]
        while self.take("or"):
            sides.append(self.both())
        return sides[0] if len(sides) == 1 else lambda row: any(side(row) for side in sides)

    def both(self) -> Expression:
        sides = [self.one()]
        while self.take("and"):
            sides.append(self.one())
        return sides[0] if len(sides) == 1 else lambda row: all(side(row) for side in sides)

    def one(self) -> Expression:
        if self.take("not"):
            denied = self.one()
            return lambda row: not denied(row)
        left = self.value()
        if mark := self.take(*COMPARISONS):
            right, compare = self.value(), COMPARISONS[mark]
            return lambda row: _same_kind(left(row), right(row)) and compare(left(row), right(row))
        if self.take("like"):
            pattern = self._pattern()
            return lambda row: pattern.search(str(left(row) or "")) is not None
        if self.take("in"):
            self.need("[")
            allowed = self._values("]")
            return lambda row: left(row) in [each(row) for each in allowed]
        return left

    def value(self) -> Expression:
        if self.take("("):
            inner = self.either()
            self.need(")")
            return inner
        kind, token = self.tokens.pop(0) if self.tokens else ("", "")
        if kind == "number":
            number = float(token)
            return lambda row: number
        if kind == "text":
            text = re.sub(r"\\(.)", r"\1", token[1:-1])
            return lambda row: text
        if kind != "name":
            raise Malformed(self.text)
        if self.take("("):
            values = self._values(")")
            match token.lower():
                case "coalesce":
                    return lambda row: next((found for each in values if (found := each(row)) is not None), None)
                case "ispresent" if len(values) == 1:
                    return lambda row: values[0](row) is not None
            raise Malformed(token)
        name = token.strip("`")
        if name.startswith("@") and name not in SYSTEM:
            raise Malformed(name)
        return lambda row: row.get(name)

    def _values(self, end: str) -> list[Expression]:
        found = [self.value()]
        while self.take(","):
            found.append(self.value())
        self.need(end)
        return found

    def _pattern(self) -> re.Pattern[str]:
        kind, token = self.tokens.pop(0) if self.tokens else ("", "")
        if kind == "regex":
            return re.compile(token[1:-1])
        if kind == "text":
            return re.compile(re.escape(re.sub(r"\\(.)", r"\1", token[1:-1])))
        raise Malformed(self.text)


def _same_kind(left: Any, right: Any) -> bool:
    return left is not None and right is not None and isinstance(left, str) == isinstance(right, str)
