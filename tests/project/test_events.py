"""The log: every line is an event of one table, and docs/logs.md is that table."""

import ast
import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from fastapi_filestore import events
from fastapi_filestore.logs import Event

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "fastapi_filestore"
EVENTS = {name: value for name, value in vars(events).items() if isinstance(value, Event)}
OWN = {"with_traceback", "remedy"}
"""Arguments that say how an event is told."""


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield each call of `NAME.tell` in the package, with the name."""
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="tell")) if name.isupper():
                    yield name, node
                case _:
                    pass


def facts() -> dict[str, list[str]]:
    """Return the facts of each event by the name of its constant, in their order."""
    found = defaultdict[str, dict[str, None]](dict)
    for name, call in calls():
        given = [keyword.arg or "" for keyword in call.keywords if keyword.arg not in OWN]
        found[name].update(dict.fromkeys([*given, *(["error"] if call.args else [])]))
    return {name: list(some) for name, some in found.items()}


def table() -> str:
    """Return the table of docs/logs.md."""
    told = facts()
    lines = ["| Event | Level | What it means, and what to do | Facts |", "| --- | --- | --- | --- |"]
    for name, event in EVENTS.items():
        level = logging.getLevelName(event.level).lower()
        remedy = f" {event.remedy[0].upper()}{event.remedy[1:]}." if event.remedy else ""
        keys = ", ".join(f"`{key}`" for key in told[name])
        lines.append(f"| `{event.title}` | {level} | {event.meaning}{remedy} | {keys} |")
    return "\n".join(lines)


def test_the_page_is_the_table() -> None:
    """docs/logs.md has every event, with its level, its meaning, its remedy and its facts."""
    page = (ROOT / "docs" / "logs.md").read_text()
    (shown,) = re.findall(r"<!-- events:begin -->\n(.*?)\n<!-- events:end -->", page, re.DOTALL)

    assert shown == table()


def test_every_event_happens() -> None:
    """No event is in the table that nothing tells, and none is told under two names."""
    assert set(facts()) == set(EVENTS)
    assert len({event.name for event in EVENTS.values()}) == len(EVENTS)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", event.name) for event in EVENTS.values())


def test_nothing_else_is_logged() -> None:
    """No module of the package has a logger of its own but the one that writes the events, and those of filters."""
    loggers = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if "logging.getLogger" in file.read_text()
    }

    assert loggers == {
        "logs.py",
        "web/paths.py",
        "web/refused_start.py",
    }


def test_no_fact_is_called_like_an_attribute_of_records() -> None:
    """`extra` takes every fact: none has the name of what a record has anyway."""
    taken = {*vars(logging.makeLogRecord({})), "message", "asctime", "method", "path", "request_id"}

    assert [name for some in facts().values() for name in some if name in taken] == []
