"""The structure of the emulator: imports go one way, and it does not depend on the project."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "tools/localcloud").rglob("*.py")
}
THIS_PROJECT = {"tools.localcloud.deployment"}  # runs scripts/deploy.sh; nothing of the emulator imports it


@cache
def imports(module):
    """Modules of the emulator that this one imports, including for types."""
    named = [node for node in ast.walk(ast.parse(MODULES[module].read_text())) if isinstance(node, ast.ImportFrom)]
    found = {f"{node.module}.{name.name}" for node in named for name in node.names} | {node.module for node in named}
    return found & set(MODULES) - {module}  # a package that imports what is in it


def loads(module):
    found, waiting = set(), {module}
    while waiting:
        found |= waiting
        waiting = {name for each in waiting for name in imports(each)} - found
    return found


def test_imports_go_one_way():
    assert not [(module, other) for module in MODULES for other in imports(module) if module in loads(other)]


def test_the_emulator_does_not_depend_on_this_project():
    for module in set(MODULES) - THIS_PROJECT:
        assert not re.search(r"\bvideo|\bscripts\.|\bdemo\b", MODULES[module].read_text(), re.IGNORECASE), module
        assert not THIS_PROJECT & imports(module)
