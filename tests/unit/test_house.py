"""The walls of the house: which module may know what."""

import ast

import pytest

PURE = [
    "events",
    "batch",
    "verdicts",
    "signatures",
    "boxes",
    "isobmff",
    "large_index",
    "fragments",
    "riff",
    "range_reader",
    "virtual_file",
    "memory",
    "results",
    "judge",
    "messages",
]
AWS = {"boto3", "botocore", "aws_lambda_powertools"}
INSPECTION = ["inspector", "opening", "facts", "key_frames", "poster", "storyboard", "filters", "hdr"]


def imports(path) -> set[str]:
    tree = ast.parse(path.read_text())
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return {name.split(".")[0] for name in plain | {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}}


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_know_neither_aws_nor_ffmpeg(project, module):
    assert not imports(project / f"src/{module}.py") & {*AWS, "av", "handler"}


@pytest.mark.parametrize("module", INSPECTION)
def test_the_inspection_knows_no_aws(project, module):
    assert not imports(project / f"src/{module}.py") & {*AWS, "events", "handler"}


def test_nothing_imports_the_handler_and_every_module_has_its_wall(project):
    modules = {path.stem for path in (project / "src").glob("*.py")}
    assert modules == {*PURE, *INSPECTION, "handler", "once", "publisher", "s3_object"}
    assert not any("handler" in imports(path) for path in (project / "src").glob("*.py"))
