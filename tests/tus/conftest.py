"""Servers of tus, and which cases are tried with each: those of what it announces."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.process import served
from tests.tus.client import Tus
from tests.tus.comparison import TUS_NODE_SERVER, run_tus_node_server
from tests.tus.ours import FILESTORE, run_filestore
from tests.tus.summary import Command, note, read_case
from tests.tus.target import Running, Target

FOLDER = Path(__file__).parent
TARGETS = (FILESTORE, TUS_NODE_SERVER)
"""The servers that the suite of the project tries."""


@pytest.fixture(scope="session")
def filestore() -> Iterator[Running]:
    """An application with this library."""
    with served(run_filestore) as server:
        yield server


@pytest.fixture(scope="session")
def tus_node_server() -> Iterator[Running]:
    """The server in Node of the protocol's authors."""
    with served(run_tus_node_server) as server:
        yield server


@pytest.fixture(scope="session")
def given_server(request: pytest.FixtureRequest) -> Running:
    """The server that the command was given."""
    (command,) = commands(request.config)
    return command.server


@pytest.fixture(scope="session")
def running_server(target: Target, request: pytest.FixtureRequest) -> Running:
    """The server of the test."""
    server: Running = request.getfixturevalue(target.fixture)
    return server


@pytest.fixture(scope="session")
def tus(running_server: Running) -> Iterator[Tus]:
    """A client of the server of the test."""
    with httpx.Client(timeout=30) as http:
        yield Tus(running_server, http)


def commands(config: pytest.Config) -> list[Command]:
    """Return what the command was given, if this is its run."""
    return [plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, Command)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try a case with each server."""
    targets = [command.target for command in commands(metafunc.config)] or TARGETS
    metafunc.parametrize("target", targets, ids=[target.name for target in targets], scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases of what a server does not announce, and expect those to fail that are known to."""
    tests = [item for item in items if isinstance(item, pytest.Function) and item.path.parent == FOLDER]
    left_out: dict[str, dict[str, int]] = {}
    dropped = set[pytest.Item]()
    found: dict[str, set[str]] = {}
    for test in tests:
        target: Any = test.callspec.params["target"]
        case = read_case(test)
        name = re.sub(f"{re.escape(target.name)}-?|-{re.escape(target.name)}", "", test.name).removesuffix("[]")
        names = (name, test.function.__name__)
        found.setdefault(target.name, set()).update(names)
        missing = left_out.setdefault(target.name, {})
        if lacking := sorted(case.needs - target.announces):
            dropped.add(test)
            missing[lacking[0]] = missing.get(lacking[0], 0) + 1
        elif reason := next(filter(None, map(target.known_failures.get, names)), None):
            test.add_marker(pytest.mark.xfail(reason=reason, strict=True))
        note(test, name, target, case, missing)
    if {test.path for test in tests} == {*FOLDER.glob("test_*.py")}:
        refuse_unknown_names(found)
    items[:] = [item for item in items if item not in dropped]
    config.hook.pytest_deselected(items=list(dropped))


def refuse_unknown_names(found: Mapping[str, set[str]]) -> None:
    """Raise if a failure is known of a case that is not there any more."""
    for target in TARGETS:
        if unknown := target.known_failures.keys() - found.get(target.name, target.known_failures.keys()):
            raise pytest.UsageError(f"Known failures of {target.name} that are no cases: {', '.join(sorted(unknown))}")
