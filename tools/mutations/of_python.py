"""Mistakes in src/: other operators, switches and numbers; calls, arguments and branches left out."""

import ast
from collections.abc import Iterator
from typing import Final

from tools.mutations.mutation import ROOT, Mutation

UNIT: Final = "tests/unit"
# The fastest first
PIPELINE_TESTS: Final = (
    "publisher", "results", "document", "exact_values", "s3_object", "batch", "uploads", "messages", "relations",
    "handler",
)  # fmt: skip
DECODER: Final = {"decoder", "decoding_job", "worker_process"}
DECODER_TESTS: Final = ("tests/hostile/test_decoder.py", "tests/hostile/test_warm.py")
MEDIA_TESTS: Final = (
    "signatures", "range_reader", "virtual_file", "display", "poster", "hdr", "facts", "reasons", "inspector",
    "storyboard", "unwritten", "messages", "large_index", "odd_indexes", "formats", "cost",
)  # fmt: skip
FILES_TESTS: Final = ("tests/truth", "tests/hostile/test_files.py", "tests/hostile/test_nothing_is_opened.py")
PROCESS: Final = {"answer", "limits", "wire", "worker"}  # what the decoder's process is made of, besides the inspector
OPERATORS: Final[dict[type[ast.AST], tuple[str, str]]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.FloorDiv: ("//", "*"),
}


def pipeline() -> Iterator[Mutation]:
    """Those of the modules that know AWS."""
    for path in sorted([ROOT / "src/handler.py", *(ROOT / "src/video_intake").glob("*.py")]):
        own = [path.stem] if path.stem in PIPELINE_TESTS else []
        names = PIPELINE_TESTS if path.stem != "handler" else ("relations",)  # which no other test imports
        tests = [*map(unit, dict.fromkeys([*own, *names]))]
        if path.stem in DECODER:  # slow, and the other modules have faster tests
            tests = [*DECODER_TESTS, *tests]
        yield from of_file(f"src/{path.relative_to(ROOT / 'src')}", " ".join(tests))


def media() -> Iterator[Mutation]:
    """Those of the inspector."""
    names = [*map(unit, MEDIA_TESTS), *FILES_TESTS]
    for path in sorted((ROOT / "src/video_intake/media").glob("*.py")):
        tests = [*DECODER_TESTS, *names] if path.stem in PROCESS else names
        yield from of_file(f"src/{path.relative_to(ROOT / 'src')}", " ".join(tests))


def unit(name: str) -> str:
    """The path of a module of unit tests."""
    return f"{UNIT}/test_{name}.py"


def of_file(file: str, tests: str) -> Iterator[Mutation]:
    """Those of one module."""
    text = (ROOT / file).read_text()
    tree, begins = ast.parse(text), [0]
    for line in text.splitlines(keepends=True):
        begins.append(begins[-1] + len(line.encode()))
    content = text.encode()  # in which ast counts
    for node in ast.walk(tree):
        for row, column, before, after in changed(node, text):
            start = begins[row - 1] + column
            if (start := content.find(before.encode(), start, start + len(before.encode()) + 80)) >= 0:
                yield Mutation(file, before, after, tests, len(content[:start].decode()))


def changed(node: ast.AST, text: str) -> Iterator[tuple[int, int, str, str]]:
    """Yields a line and column to search from, the text there, and a plausible mistake."""
    match node:
        case ast.Constant(value=bool(value)):
            yield node.lineno, node.col_offset, str(value), str(not value)
        case ast.Constant(value=int(value)) if str(value) == ast.get_source_segment(text, node):
            yield node.lineno, node.col_offset, str(value), str(value + 1)
        case ast.Compare(left=left, ops=[operator, *_]) | ast.BinOp(left=left, op=operator):
            if type(operator) in OPERATORS:
                before, after = OPERATORS[type(operator)]
                yield left.end_lineno or 0, left.end_col_offset or 0, f" {before} ", f" {after} "
        case ast.BoolOp(op=operator, values=[left, *_]):
            before, after = OPERATORS[type(operator)]
            yield left.end_lineno or 0, left.end_col_offset or 0, f"{before} ", f"{after} "
        case ast.UnaryOp(op=ast.Not()):
            yield node.lineno, node.col_offset, "not ", ""
        case ast.Expr(value=ast.Call()):
            yield node.lineno, node.col_offset, ast.get_source_segment(text, node) or "", "None"
        case ast.Call(keywords=keywords):
            for keyword in keywords:
                if keyword.arg and (source := ast.get_source_segment(text, keyword)) and f"{source}," in text:
                    yield keyword.lineno, keyword.col_offset, f"{source},", ""
        case ast.If(test=test) | ast.IfExp(test=test):
            yield test.lineno, test.col_offset, ast.get_source_segment(text, test) or "", "False"
