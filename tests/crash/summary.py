"""Says which seed chose the schedules of a run, and counts them at its end, also when workers ran them."""

import os
from collections import Counter
from random import SystemRandom
from typing import Any, Final

import pytest

from tests.crash.trial import Tally, Trial

SEED: Final = "CRASH_SEED"
"""The variable that repeats a run's random schedules."""
PROPERTY = "crash"
COLUMNS = ("schedules", "swept", "excused", "locked")
"""Of the schedules: those that left something to the sweeper, to the documented exception, or SQLite locked."""


def pytest_configure(config: pytest.Config) -> None:
    """Choose a seed, which workers inherit."""
    os.environ.setdefault(SEED, str(SystemRandom().randrange(2**32)))


def pytest_report_header(config: pytest.Config) -> str:
    """Say the seed."""
    return f"crash schedules: {SEED}={os.environ[SEED]}"


def count(request: pytest.FixtureRequest, trial: Trial, tally: Tally) -> None:
    """Add a trial to the summary."""
    numbers = (tally.count, tally.left_to_sweeper, tally.excused, tally.locked)
    request.node.user_properties.append((PROPERTY, [str(trial.place.combination), trial.fault, *numbers]))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many schedules were run."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for report in [each for key in ("passed", "failed") for each in terminalreporter.getreports(key)]:
        for name, value in report.user_properties if report.when == "call" else ():
            if name == PROPERTY:
                combination, fault, *numbers = value
                counted = counts.setdefault((fault, combination), Counter())
                counted.update(dict(zip(COLUMNS, numbers, strict=True)))
    if counts:
        _print(terminalreporter, counts)


def _print(terminalreporter: Any, counts: dict[tuple[str, str], Counter[str]]) -> None:
    terminalreporter.section("crash schedules")
    terminalreporter.line(f"{'fault':8}{'combination':28}" + "".join(f"{name:>11}" for name in COLUMNS))
    for (fault, combination), each in sorted(counts.items()):
        terminalreporter.line(f"{fault:8}{combination:28}" + "".join(f"{each[name]:>11}" for name in COLUMNS))
    total = sum((each for each in counts.values()), Counter[str]())
    terminalreporter.line(f"{total['schedules']} schedules in all, chosen with {SEED}={os.environ[SEED]}")
