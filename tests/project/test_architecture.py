"""The map in docs/architecture.md is true: of the tree, of the contracts, and of what runs."""

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "fastapi_filestore"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CHAINS = {"create": "A POST", "replace": "A flush that replaces a file", "read": "A download of a range"}
MOST = {
    "create": {"functions": 368, "files": 82, "calls": 838, "statements": 2},
    "replace": {"functions": 303, "files": 58, "calls": 668, "statements": 8},
    "read": {"functions": 163, "files": 54, "calls": 357, "statements": 1},
    "delete": {"functions": 237, "files": 55, "calls": 621, "statements": 7},
}
"""What the operations of a file may cost: a change that lowers a figure lowers it here, too."""


@cache
def flows() -> dict[str, dict[str, Any]]:
    """Return what each operation does, as a program of its own says."""
    command = [sys.executable, "-m", "tests.project.flows"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, dict[str, Any]] = json.loads(run.stdout)
    return found


def test_every_path_on_the_page_exists() -> None:
    """A file that moved, or went, is not on the map."""
    paths = re.findall(r"`([\w/]+/[\w./]+\.(?:py|md))`", PAGE)

    assert len(paths) > 50
    assert [path for path in paths if not (ROOT / path).exists() and not (PACKAGE / path).exists()] == []


def test_the_floors_are_those_that_are_enforced() -> None:
    """The drawing has the floors of import-linter's contract, from top to bottom."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (floors,) = (contract["layers"] for contract in contracts if contract["id"] == "floors")
    drawing = PAGE.partition("<!-- floors:begin -->")[2].partition("<!-- floors:end -->")[0]

    assert re.findall(r"^(\w+) {2,}\S", drawing, re.MULTILINE) == [floor.strip("()") for floor in floors]


@pytest.mark.parametrize("operation", CHAINS)
def test_a_chain_is_what_runs(operation: str) -> None:
    """The files of a chain are entered, each for the first time after the one before it."""
    section = PAGE.partition(f"### {CHAINS[operation]}\n")[2].partition("\n## ")[0].partition("\n### ")[0]
    chain = re.findall(r"^\d+\. `([\w/]+\.py)`", section, re.MULTILINE)

    assert len(chain) > 8
    assert [file for file in flows()[operation]["files"] if file in chain] == chain


@pytest.mark.parametrize("operation", MOST)
def test_no_operation_costs_more(operation: str) -> None:
    """Calls and statements of creating, replacing, reading and deleting a file only ever fall."""
    flow = flows()[operation]
    found = {name: len(flow[name]) if name == "files" else flow[name] for name in MOST[operation]}

    assert {name: figure for name, figure in found.items() if figure > MOST[operation][name]} == {}


def test_every_answer_of_the_page_is_there() -> None:
    """A function that the page sends people to is in the file that it names."""
    places = re.findall(r"`(fastapi_filestore/[\w/]+\.py)`: `(\w+)`", PAGE)

    assert len(places) > 20
    missing = [
        (file, name)
        for file, name in places
        if not re.search(rf"^ *((async )?def|class) {name}\b|^ *{name}\b.*=", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_every_room_says_what_it_is() -> None:
    """The first words of each folder tell its idea in a paragraph."""
    rooms = [file.parent for file in PACKAGE.rglob("__init__.py") if file.parent != PACKAGE]

    assert len(rooms) > 20
    assert [room.name for room in rooms if not (room / "__init__.py").read_text().startswith('"""')] == []


def test_every_event_that_is_listened_to_is_in_the_table() -> None:
    """The table in `orm` has each event of SQLAlchemy that a function of ours hears, and no other."""
    heard = {
        event
        for file in (PACKAGE / "orm").rglob("*.py")
        for event in re.findall(r"event\.listen(?:s_for)?\([^\n\"]*\"(\w+)\"", file.read_text())
    } | {"load", "refresh"}
    table = re.split(r"^-+ -+ -+$", (PACKAGE / "orm" / "__init__.py").read_text(), flags=re.MULTILINE)[1]
    events = {
        event.rpartition(".")[2]
        for line in re.findall(r"^(?:[\w]+\.|Column and Index\.)[\w, ]*", table, re.MULTILINE)
        for event in re.split(r", ", re.split(r" {2,}| (?=_)| (?=\w+\.py)", line)[0])
    }

    assert {event.strip() for event in events} == heard


def test_every_folder_of_tests_is_on_their_map() -> None:
    """Whoever looks for a test finds its folder in tests/README.md."""
    folders = [path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").exists()]
    page = (ROOT / "tests" / "README.md").read_text()

    assert [folder for folder in folders if f"`{folder}/`" not in page] == []
