"""Parses templates with libyaml, and each only once.

moto parses a template several times for each change of a stack. For 1,500 lines, PyYAML's parser takes a fifth of a
second, libyaml a tenth of that.
"""

import pickle
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import yaml
from moto.cloudformation import models, responses
from moto.cloudformation.utils import yaml_tag_constructor


def install() -> None:
    """Replaces the parser that moto uses with the fast one."""
    if yaml.__with_libyaml__:
        yaml.CLoader.add_multi_constructor("", yaml_tag_constructor)
        yaml.Loader = yaml.CLoader
    models.Stack.parse_template = staticmethod(_once(models.Stack.parse_template))
    summary = "get_template_summary_response_from_template"
    setattr(responses, summary, _once(getattr(responses, summary)))


def _once(parse: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    """A parser with the same results that parses each template once."""

    @lru_cache(maxsize=32)
    def pickled(template: str) -> bytes:
        return pickle.dumps(parse(template))

    def parsed(template: str) -> dict[str, Any]:
        new: dict[str, Any] = pickle.loads(pickled(template))  # a new one, because callers change it
        return new

    return parsed
