"""Fuzz the parsers for as long as there is time: `python -m tests.security.fuzz SECONDS`."""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import cycle
from typing import Any

from hypothesis import HealthCheck, settings

MODULES = ("tests.security.test_multipart_fuzz", "tests.security.test_ranges_fuzz")
ROUND = 1000
"""Examples of one property before the next has its turn."""


def properties() -> Sequence[tuple[str, Callable[[], Any]]]:
    """Return every property of the modules, which take the settings that are in force when they are imported."""
    settings.register_profile("fuzz", max_examples=ROUND, deadline=None, suppress_health_check=list(HealthCheck))
    settings.load_profile("fuzz")
    modules = [import_module(name) for name in MODULES]
    return [(name, test) for module in modules for name, test in vars(module).items() if name.startswith("test_")]


def main(seconds: float) -> None:
    """Try one property after the other until the time is up; hypothesis shows the smallest example that fails."""
    logging.disable()  # the parser tells of each form that it refuses
    end = time.monotonic() + seconds
    tests = properties()
    rounds = 0
    for name, test in cycle(tests):
        if time.monotonic() > end:
            break
        print(f"{name}: {ROUND} examples", flush=True)  # noqa: T201 - a program's output
        test()
        rounds += 1
    print(f"{rounds * ROUND} examples in {seconds:.0f} seconds, and nothing found.")  # noqa: T201 - the same


if __name__ == "__main__":
    main(float(sys.argv[1]))
