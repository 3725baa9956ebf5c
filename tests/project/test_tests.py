"""Every test tests something: none returns before its assertions, and none is skipped by itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SKIPS = {"pytest.skip", "pytest.xfail", "pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def problems(source: str) -> Iterator[str]:
    """Say, with its line, what lets a test end without having tested anything."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in SKIPS:
            yield f"{node.lineno}: {ast.unparse(node)}"
        if isinstance(node, FUNCTIONS[:2]) and node.name.startswith("test_"):
            yield from _returns(node)


def _returns(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return):
            yield f"{child.lineno}: return"
        elif not isinstance(child, FUNCTIONS):
            yield from _returns(child)


def test_every_test_comes_to_its_end() -> None:
    """A test that does not hold for some parameters is not given them, and no test skips itself."""
    files = [file for file in TESTS.rglob("test_*.py") if "node_modules" not in file.parts]
    found = [f"{file.relative_to(TESTS)}:{one}" for file in files for one in problems(file.read_text(encoding="utf-8"))]

    assert len(files) > 100
    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def test_a(rows):\n    if not rows: return\n    assert rows", ["2: return"]),
        ("async def test_a(rows):\n    for row in rows:\n        return\n    assert rows", ["3: return"]),
        ("def test_a():\n    pytest.skip('not here')", ["2: pytest.skip"]),
        ("@pytest.mark.skipif(True, reason='')\ndef test_a():\n    assert True", ["1: pytest.mark.skipif"]),
        ("def test_a():\n    def one():\n        return 1\n    assert one() == 1", []),
        (
            "def test_a(text):\n    try:\n        read(text)\n    except ValueError:\n        return\n    assert 1",
            ["5: return"],
        ),
        ("def one():\n    return 1", []),
    ],
)
def test_what_lets_a_test_end_early_is_found(source: str, found: list[str]) -> None:
    """A return, wherever it is in a test, and a skip are found; functions inside of a test may return."""
    assert list(problems(source)) == found
