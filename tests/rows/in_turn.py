"""A test that is given several values tries each of them with some kinds of sessions, and all kinds with some value."""

import os
from collections.abc import Iterator
from typing import Final

import pytest

IN_TURN: Final = (
    {"sqlite-async", "postgres-async-triggers"},
    {"sqlite-sync-triggers", "postgres-sync"},
    {"sqlite-async-unledgered", "postgres-async"},
    {"sqlite-sync", "postgres-sync"},
)
"""Both databases in each, and together every kind that the fixture `rows` has."""


@pytest.hookimpl(tryfirst=True)  # while they are in order
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is tried with another kind, unless EVERY_KIND is set."""
    if "EVERY_KIND" not in os.environ:
        left_out = set(_left_out(items))
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=list(left_out))


def _left_out(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    tests: dict[str, dict[str, dict[str, pytest.Item]]] = {}
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters is not None and "rows" in parameters.params:
            kind, test = parameters.params["rows"], item.nodeid.partition("[")[0]
            tests.setdefault(test, {}).setdefault(parameters.id.replace(kind, "", 1), {})[kind] = item
    for values in tests.values():
        if len(values) > 1 and all(kinds.keys() == set().union(*IN_TURN) for kinds in values.values()):
            for number, kinds in enumerate(values.values()):
                # Two or three values share the four turns.
                turns = IN_TURN[number % 4 :: 2] if len(values) < len(IN_TURN) else (IN_TURN[number % 4],)
                yield from (item for kind, item in kinds.items() if kind not in set().union(*turns))
