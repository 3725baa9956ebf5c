"""Write docs/integrations.md from the tests that are marked with the program that they try: `works_with`.

A mark on a test says one behaviour, by the test's docstring; a mark on a module says what the module's says:
`@pytest.mark.works_with("Pillow")`, `pytestmark = pytest.mark.works_with("Alembic")`.
`python -m tests.project.integrations` writes the table anew.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "integrations.md"
TABLE = re.compile("(?<=<!-- integrations:begin -->\n).*?(?=\n<!-- integrations:end -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Integration:
    """A program that one test, or all of a file, tried the library with."""

    program: str
    behaviour: str
    test: str
    place: str

    @property
    def row(self) -> str:
        """The line of the table."""
        return f"| {self.program} | {self.behaviour} | [{self.test}](../{self.place}) |"


def integrations() -> Iterator[Integration]:
    """Yield what the marks of all tests say."""
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        if "node_modules" in file.parts or "works_with" not in (source := file.read_text(encoding="utf-8")):
            continue
        module, place = ast.parse(source), file.relative_to(ROOT).as_posix()
        for node in module.body:
            match node:
                case ast.Assign(targets=[ast.Name(id="pytestmark")], value=value):
                    for program in _programs(value):
                        yield Integration(program, _behaviour(module), file.name, place)
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    for decorator in node.decorator_list:
                        for program in _programs(decorator):
                            yield Integration(program, _behaviour(node), node.name, place)
                case _:
                    pass


def _programs(mark: ast.expr) -> Iterator[str]:
    """Yield the programs in a mark, or in a list of marks."""
    for node in ast.walk(mark):
        match node:
            case ast.Call(func=ast.Attribute(attr="works_with"), args=names):
                yield from (ast.literal_eval(name) for name in names)
            case _:
                pass


def _behaviour(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the first sentence of a docstring."""
    return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())


def table() -> str:
    """Return the table of docs/integrations.md, by the names of programs."""
    rows = sorted(integrations(), key=lambda found: (found.program.lower(), found.place))
    return "\n".join(
        ["| With | works | tested by |", "| --- | --- | --- |", *(integration.row for integration in rows)]
    )


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
