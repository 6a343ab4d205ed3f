"""Filter patterns of CloudWatch Logs: moto knows one term, and lets everything through where there is more.

Terms: all of `one "two words"`, any of `?one ?two`, none of `-one`.
JSON: `{ $.key = "a*" && ($.size > 5 || $.x IS NULL) }`.
Expressions between % and patterns of columns ([ip, user]) are refused, which is better than a wrong answer.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from moto.logs import models
from moto.logs.exceptions import InvalidParameterException

Test = Callable[[Any], bool]

TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([\w.@/:*-]+))')
TOKEN = re.compile(
    r'\s*(?:(?P<path>\$(?:\.[\w-]+|\[\d+\]|\["[^"]+"\])+)|(?P<sign>&&|\|\||[()]|!=|<=|>=|[=<>])'
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[\w.*:/@+-]+))'
)
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
MISSING = object()


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a line matches. Raises InvalidParameterException for a pattern that is none, or not known here."""
    pattern = pattern.strip()
    if pattern.startswith("{") and pattern.endswith("}"):
        test = JsonPattern(pattern[1:-1]).test
        return lambda line: _matches_json(test, line)
    if pattern.startswith(("{", "[", "%")):
        raise InvalidParameterException("Invalid filter pattern")
    terms = list(_terms(pattern))
    every = [text for sign, text in terms if not sign]
    some = [text for sign, text in terms if sign == "?"]
    none = [text for sign, text in terms if sign == "-"]
    return lambda line: (
        all(text in line for text in every)
        and (not some or any(text in line for text in some))
        and not any(text in line for text in none)
    )


def _terms(pattern: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(pattern):
        term = TERM.match(pattern, at)
        if term is None:
            raise InvalidParameterException("Invalid filter pattern")
        sign, quoted, word = term.groups()
        found.append((sign, word if quoted is None else _unquoted(quoted)))
        at = term.end()
    return found


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _matches_json(test: Test, line: str) -> bool:
    try:
        return test(json.loads(line))
    except json.JSONDecodeError:
        return False


class JsonPattern:
    """Recursive descent: || binds least, then &&, then one comparison or a group in parentheses."""

    def __init__(self, text: str):
        self._tokens: list[tuple[str, str]] = []
        text, at = text.strip(), 0
        while at < len(text):
            token = TOKEN.match(text, at)
            if token is None or token.lastgroup is None:
                raise InvalidParameterException("Invalid filter pattern")
            self._tokens.append((token.lastgroup, token[token.lastgroup]))
            at = token.end()
        self.test = self._either()
        if self._tokens:
            raise InvalidParameterException("Invalid filter pattern")

    def _next(self, *kinds: str) -> str:
        if not self._tokens or self._tokens[0][0] not in kinds:
            raise InvalidParameterException("Invalid filter pattern")
        return self._tokens.pop(0)[1]

    def _ahead(self, text: str) -> bool:
        """Takes the next token if it is this one."""
        there = bool(self._tokens) and self._tokens[0] == ("sign", text)
        if there:
            self._tokens.pop(0)
        return there

    def _either(self) -> Test:
        tests = [self._both()]
        while self._ahead("||"):
            tests.append(self._both())
        return lambda document: any(test(document) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._ahead("&&"):
            tests.append(self._one())
        return lambda document: all(test(document) for test in tests)

    def _one(self) -> Test:
        if self._ahead("("):
            inner = self._either()
            if not self._ahead(")"):
                raise InvalidParameterException("Invalid filter pattern")
            return inner
        path = re.findall(r'\.([\w-]+)|\[(\d+)\]|\["([^"]+)"\]', self._next("path"))
        sign = self._next("sign", "word")
        if sign in ("IS", "NOT"):
            return _stated(path, sign, self._next("word"))
        kind = self._tokens[0][0] if self._tokens else ""
        wanted = self._next("quoted", "word")
        return _compared(path, sign, _unquoted(wanted) if kind == "quoted" else wanted)


def _found(document: Any, path: list[tuple[str, str, str]]) -> Any:
    for name, number, quoted in path:
        try:
            document = document[int(number)] if number else document[name or quoted]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return document


def _stated(path: list[tuple[str, str, str]], sign: str, word: str) -> Test:
    if (sign, word) == ("NOT", "EXISTS"):
        return lambda document: _found(document, path) is MISSING
    values = {"NULL": None, "TRUE": True, "FALSE": False}
    if sign != "IS" or word not in values:
        raise InvalidParameterException("Invalid filter pattern")
    return lambda document: _found(document, path) is values[word]


def _compared(path: list[tuple[str, str, str]], sign: str, wanted: str) -> Test:
    def same(value: Any) -> bool:
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return value == float(wanted)
            except ValueError:
                return False
        return isinstance(value, str) and fnmatchcase(value, wanted.replace("[", "[[]").replace("?", "[?]"))

    if sign == "=":
        return lambda document: same(_found(document, path))
    if sign == "!=":
        return lambda document: (value := _found(document, path)) is not MISSING and not same(value)
    if sign not in ORDER:
        raise InvalidParameterException("Invalid filter pattern")
    try:
        bound = float(wanted)
    except ValueError:
        raise InvalidParameterException("Invalid filter pattern") from None
    return lambda document: isinstance(value := _found(document, path), int | float) and ORDER[sign](value, bound)


class _Filter:
    """In the place of moto's EventMessageFilter."""

    def __init__(self, pattern: str):
        self.matches = matcher(pattern or "")


def install() -> None:
    models.EventMessageFilter = _Filter
