"""Another order of the tests, to see that none leans on another: `pytest --shuffle random`, or a seed of before."""

import os
from random import Random, SystemRandom
from typing import Any

import pytest

RANDOM = "random"
SEED = "SHUFFLE_SEED"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--shuffle", metavar="SEED", help="run the tests in the order of a seed, or in a random one")


def pytest_configure(config: pytest.Config) -> None:
    """Choose a seed if none is given, which workers inherit."""
    if config.getoption("shuffle") == RANDOM:
        config.option.shuffle = os.environ.setdefault(SEED, str(SystemRandom().randrange(2**32)))


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say the seed."""
    seed = config.getoption("shuffle")
    return None if seed is None else f"order of the tests: --shuffle {seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the files, and the tests in each, which share what lasts as long as a file."""
    seed: Any = config.getoption("shuffle")
    if seed is not None:
        random = Random(seed)  # noqa: S311 - an order, no secret
        files: dict[Any, list[pytest.Item]] = {}
        for item in items:
            files.setdefault(item.path, []).append(item)
        orders = list(files.values())
        random.shuffle(orders)
        for order in orders:
            random.shuffle(order)
        items[:] = [item for order in orders for item in order]
