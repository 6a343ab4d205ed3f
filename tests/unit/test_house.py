"""The dependencies between modules, direct and indirect."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
MODULES = sorted(".".join(path.relative_to(SRC).with_suffix("").parts) for path in SRC.rglob("[!_]*.py"))
PIPELINE = [name for name in MODULES if name.startswith("video_intake.") and ".media." not in name]
MEDIA = [name for name in MODULES if name.startswith("video_intake.media.")]
AWS = {"boto3", "botocore", "aws_lambda_powertools"}

KNOW_AWS = {"idempotency", "publisher", "s3_object"}


@cache
def imports(module: str) -> frozenset[str]:
    """The direct imports of `module`: our modules by full name, others by package."""
    found = set()
    for node in ast.walk(ast.parse((SRC / f"{module.replace('.', '/')}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names} | {str(node.module)}
    ours = {name for name in found if name in MODULES}
    return frozenset(ours | {name.partition(".")[0] for name in found if not name.startswith("video_intake")})


def loads(module: str) -> set[str]:
    """The imports of `module`, direct and through our other modules."""
    found: set[str] = set()
    waiting = {module}
    while waiting:
        found |= waiting
        waiting = {name for each in waiting if each in MODULES for name in imports(each)} - found
    return found - {module}


def test_only_the_handler_is_at_the_root_of_the_package():
    assert [name for name in MODULES if not name.startswith("video_intake.")] == ["handler"]
    assert sorted(path.name for path in SRC.iterdir() if path.name != "__pycache__") == [
        "handler.py",
        "requirements.txt",
        "video_intake",
        "wheels.txt",
    ]
    assert not [name for name in MODULES if "handler" in imports(name)]


@pytest.mark.parametrize("module", MEDIA)
def test_the_inspector_depends_on_neither_aws_nor_the_pipeline(module):
    assert not loads(module) & {*AWS, *PIPELINE, "handler"}


@pytest.mark.parametrize("module", PIPELINE)
def test_the_pipeline_uses_no_codecs_and_few_modules_use_aws(module):
    name = module.rpartition(".")[2]
    assert bool(loads(module) & AWS) == (name in KNOW_AWS)
    assert "av" not in loads(module), "files are decoded in a separate process"


@pytest.mark.parametrize("module", ["video_intake.results", "scripts.replay", "scripts.stack"])
def test_a_module_that_needs_no_decoder_loads_none(module):
    code = f"import sys, {module}; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": f"{SRC}:{ROOT}"}).returncode == 0


def test_imports_go_one_way():
    """There are no circular imports."""
    for module in MODULES:
        assert not [name for name in loads(module) if name in MODULES and module in loads(name)], module


@cache
def imported(path: Path) -> set[str]:
    """The modules of this project that a file imports, by their full names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(ROOT).parts[: -node.level]) if node.level else ""
            module = ".".join(filter(None, [package, node.module]))
            found |= {module} | {f"{module}.{name.name}" for name in node.names}
    return found


FILES = [path for folder in ("demo", "scripts", "src", "tests", "tools") for path in (ROOT / folder).rglob("*.py")]


def test_no_test_module_and_no_conftest_is_imported():
    """Shared code is in tests/support (or a module without tests in the same folder)."""
    tests = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "tests").rglob("*.py")
        if path.name == "conftest.py" or path.name.startswith("test_")
    }
    assert len(tests) > 50
    assert {str(path): both for path in FILES if (both := imported(path) & tests)} == {}


def test_nothing_imports_the_demo():
    outside = [path for path in FILES if path.relative_to(ROOT).parts[0] != "demo"]
    assert [str(path) for path in outside if {name.partition(".")[0] for name in imported(path)} & {"demo"}] == []


def test_the_guide_names_every_module():
    guide = (ROOT / "docs/how-it-works.md").read_text()
    assert [name for name in MODULES if name.rpartition(".")[2] not in guide] == []


def test_every_path_in_the_docs_exists():
    """In prose, comments and settings, except for files that tests create in temporary folders."""
    read = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tools/*/README.md"), ROOT / "pyproject.toml"]
    read += [ROOT / "template.yaml", ROOT / "Makefile", *(path for path in FILES if "tests" not in path.parts)]
    path = re.compile(r"(?<![\w/.{-])(?:src|scripts|tools|tests|docs|demo)/[\w./-]*\w")
    found = {(file.name, name) for file in read for name in path.findall(file.read_text())}
    assert len(found) > 50
    assert [(file, name) for file, name in sorted(found) if not (ROOT / name).exists()] == []
