"""Clients are generated from the OpenAPI document without a warning, and do what the application's page says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.example_app.app import App, run_app
from tests.http.generating import complaints_of_typescript, generate, run, warnings_of
from tests.http.own_routes import own_routes
from tests.servers.process import served
from tests.web.site import SIGNING_KEY

IMPORTS = """
import importlib, pkgutil, python
for module in pkgutil.walk_packages(python.__path__, "python."):
    importlib.import_module(module.name)
"""
PAGE = Path(__file__).parents[2] / "docs" / "generated-clients.md"


@pytest.fixture(scope="module")
def example() -> Iterator[App]:
    """The example application, as a process."""
    with served(lambda: run_app({"FILESTORE_SIGNING_KEYS": SIGNING_KEY})) as app:
        yield app


def blocks(language: str) -> list[str]:
    """Return the blocks of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(example: App, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the page's commands leave there: three clients of the example application."""
    folder = tmp_path_factory.mktemp("clients")
    assert not warnings_of(run("".join(blocks("sh")), folder, API=example.url))
    return folder


def expected(example: App, *, is_python: bool) -> str:
    """Return what a program of the page prints."""
    example.clear()
    titles = "['Weather']" if is_python else "[ 'Weather' ]"
    rest = "b'rained.'" if is_python else "rained."
    return f"report.txt 10\n{titles}\n{rest}\n404 urn:fastapi-filestore:row-not-found\n"


@pytest.mark.works_with("openapi-python-client")
def test_a_client_in_python(example: App, folder: Path) -> None:
    """A generated client uploads, lists, downloads a range, and reads a problem."""
    (folder / "program.py").write_text(blocks("python")[0])
    output = expected(example, is_python=True)

    assert run("python program.py", folder, API=example.url) == output


@pytest.mark.works_with("@hey-api/openapi-ts", "openapi-typescript and openapi-fetch")
def test_clients_in_typescript(example: App, folder: Path) -> None:
    """Generated clients please a strict compiler, upload, list, download a range, and read a problem."""
    for number, program in enumerate(blocks("typescript")):
        (folder / f"program{number}.ts").write_text(program)
    assert not complaints_of_typescript(folder)

    for number in range(2):
        output = expected(example, is_python=False)
        bundle = f"esbuild program{number}.ts --bundle --platform=node --format=esm --log-level=warning"
        assert run(f"{bundle} | node --input-type=module", folder, API=example.url) == output


@pytest.fixture(scope="module")
def own() -> dict[str, Any]:
    """The document of an application with routes of its own."""
    return own_routes().openapi()


def test_routes_of_ones_own_in_python(own: dict[str, Any], tmp_path: Path) -> None:
    """Several routers of one model, models of one name, enums, uploads and downloads in routes of one's own."""
    assert not generate("openapi-python-client", own, tmp_path)

    for pattern in ("fetch_*.py", "archive_portfolio_works.py"):
        [download] = (tmp_path / "python").rglob(pattern)
        assert "File(payload=" in download.read_text()
    run(f"python -c '{IMPORTS}'", tmp_path)


def test_routes_of_ones_own_in_typescript(own: dict[str, Any], tmp_path: Path) -> None:
    """The same for the generators of TypeScript, and the compiler has nothing to say of what they wrote."""
    assert not generate("openapi-typescript", own, tmp_path)
    assert not generate("hey-api", own, tmp_path)

    assert not complaints_of_typescript(tmp_path)
