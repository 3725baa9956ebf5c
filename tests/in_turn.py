"""Which kinds of sessions a test is tried with: with two of them, one for each database; of many values with one each.

Together the tests are tried with every kind; each of them is, too, where EVERY_KIND is set.
"""

import os
from collections.abc import Collection, Iterator
from itertools import chain
from typing import Final
from zlib import crc32

import pytest

PLAIN: Final = (("sqlite-sync", "postgres-async"), ("sqlite-async", "postgres-sync"))
"""What tests are tried with in turn: both databases in each, and both kinds of sessions."""
IN_TURN: Final = (
    ("sqlite-async", "postgres-async-triggers"),
    ("sqlite-sync-triggers", "postgres-sync"),
    ("sqlite-async-unledgered", "postgres-async"),
    ("sqlite-sync", "postgres-sync"),
)
"""What tests of all kinds are tried with in turn: both databases in each, and together every kind."""
TURNS: Final = {frozenset(chain(*turns)): turns for turns in (PLAIN, IN_TURN)}
"""The turns of those kinds."""
ALL: Final = frozenset(chain(*IN_TURN))
MANY: Final = 6
"""Values of a test of which each is tried with one kind."""


@pytest.hookimpl(tryfirst=True)  # while they are in order
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is tried elsewhere, unless EVERY_KIND is set."""
    if "EVERY_KIND" not in os.environ:
        left_out = set(_left_out(items))
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=list(left_out))


def _left_out(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    tests: dict[str, dict[str, dict[str, pytest.Item]]] = {}
    for item in items:
        if parameters := getattr(item, "callspec", None):
            values, test = parameters.params.values(), item.nodeid.partition("[")[0]
            for kind in [value for value in values if isinstance(value, str) and value in ALL]:
                tests.setdefault(test, {}).setdefault(parameters.id.replace(kind, "", 1), {})[kind] = item
    for test, values in tests.items():
        for number, kinds in enumerate(values.values()):
            tried = _tried(kinds.keys(), test, number, len(values))
            yield from (item for kind, item in kinds.items() if kind not in tried)


def _tried(kinds: Collection[str], test: str, number: int, of: int) -> Collection[str]:
    turns = TURNS.get(frozenset(kinds))
    if turns is None:
        return kinds
    turn, both = divmod(crc32(test.encode()) + number, len(turns))
    return turns[both] if of < MANY else {turns[both][turn % 2]}
