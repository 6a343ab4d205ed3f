"""Parses templates with libyaml, and each only once.

moto parses a template several times for each change of a stack. For 1,500 lines, PyYAML's parser takes a fifth of a
second, libyaml a tenth of that.
"""

import pickle
from functools import lru_cache
from typing import Any

import yaml
from moto.cloudformation import models
from moto.cloudformation.utils import yaml_tag_constructor


def install() -> None:
    """Replaces the parser that moto uses with the fast one."""
    if yaml.__with_libyaml__:
        yaml.CLoader.add_multi_constructor("", yaml_tag_constructor)
        yaml.Loader = yaml.CLoader
    parse = models.Stack.parse_template

    @lru_cache(maxsize=32)
    def pickled(template: str) -> bytes:
        return pickle.dumps(parse(template))

    def parse_template(template: str) -> dict[str, Any]:
        parsed: dict[str, Any] = pickle.loads(pickled(template))  # a new one, because callers change it
        return parsed

    models.Stack.parse_template = staticmethod(parse_template)
