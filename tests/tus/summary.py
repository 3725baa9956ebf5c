"""What the cases of tus came to with each server: passed, failed, and what it does not announce, said loudly."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from tests.tus.target import EXTENSIONS, MORE, Running, Target

PROPERTY = "tus"
GROUPS = (*EXTENSIONS, "cors")
OUTCOMES = ("passed", "failed", "known to fail")
LeftOut: TypeAlias = dict[str, int]
"""What a server does not announce, with how many cases were left out for it."""


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """The server that the command was given: a plugin, so that fixtures and hooks find it."""

    server: Running
    target: Target


@dataclass(frozen=True, slots=True)
class Case:
    """A test of the suite: what it is of, what it states, and the sentence of the protocol that it comes from."""

    group: str
    needs: frozenset[str]
    states: str
    section: str
    sentence: str


def read_case(item: pytest.Function) -> Case:
    """Read the marks and the docstring of a test; a UsageError if it does not say where it comes from."""
    needs = frozenset(name for mark in item.iter_markers("needs") for name in mark.args)
    if unknown := needs - {*EXTENSIONS, *MORE}:
        raise pytest.UsageError(f"{item.nodeid} needs what no server announces: {', '.join(unknown)}.")
    spec, states = item.get_closest_marker("spec"), item.function.__doc__
    if spec is None or not states:
        raise pytest.UsageError(f"{item.nodeid} needs a docstring, and @pytest.mark.spec(section, sentence).")
    group = next((name for name in GROUPS if name in needs), "core")
    return Case(group, needs, " ".join(states.split()), *spec.args)


def note(item: pytest.Item, name: str, target: Target, case: Case, left_out: LeftOut) -> None:
    """Let the report of a test tell what the summary needs, from a worker, too."""
    facts = (target.name, case.group, left_out, name, case.states, case.section, case.sentence)
    item.user_properties.append((PROPERTY, facts))


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks of the cases."""
    config.addinivalue_line("markers", "spec(section, sentence): where a case comes from, in the protocol of tus")
    config.addinivalue_line("markers", "needs(*names): what a server has to announce for a case of tus")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print a table for each server."""
    tables: dict[str, dict[str, Counter[str]]] = {}
    left_out: dict[str, LeftOut] = {}
    failures: dict[str, list[list[str]]] = {}
    for outcome, report in _reports(terminalreporter):
        for name, value in report.user_properties:
            if name == PROPERTY:
                target, group, left_out[target], *case = value
                tables.setdefault(target, {}).setdefault(group, Counter())[outcome] += 1
                if outcome == "failed":
                    failures.setdefault(target, []).append(case)
    for target, table in tables.items():
        _print_table(terminalreporter, target, table, left_out[target])
        for name, states, section, sentence in failures.get(target, []):
            terminalreporter.line(f"FAILED {name}\n  case: {states}\n  tus 1.0, {section}: {sentence}")


def _reports(terminalreporter: Any) -> Iterator[tuple[str, Any]]:
    kinds = {"passed": "passed", "failed": "failed", "error": "failed", "xfailed": "known to fail"}
    for kind, outcome in kinds.items():
        for report in terminalreporter.getreports(kind):
            if report.when == "call" or kind == "error":
                yield outcome, report


def _print_table(reporter: Any, target: str, table: dict[str, Counter[str]], left_out: LeftOut) -> None:
    reporter.section(f"tus 1.0 with {target}")
    reporter.line(f"{'':26}" + "".join(f"{outcome:>15}" for outcome in OUTCOMES))
    for group in ("core", *GROUPS):
        if group in table:
            reporter.line(f"{group:26}" + "".join(f"{table[group][outcome]:>15}" for outcome in OUTCOMES))
    total = sum(table.values(), Counter[str]())
    reporter.line(f"{'in all':26}" + "".join(f"{total[outcome]:>15}" for outcome in OUTCOMES))
    for name, count in left_out.items():
        reporter.line(f"NOT ANNOUNCED: {name}, so {count} cases were not run", yellow=True, bold=True)
