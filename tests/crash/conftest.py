"""Places for schedules: every kind of session, on SQLite and PostgreSQL with fsync, beside a folder and SeaweedFS."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from tests.crash.forkserver import ForkServer, fork_server
from tests.crash.place import Combination, Place
from tests.crash.summary import SEED
from tests.servers.postgres import Postgres, run_postgres
from tests.servers.process import served
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.stores import QUICK_RETRIES

Places = Callable[[Combination], Awaitable[Place]]


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """A process that forks schedules off."""
    with fork_server() as server:
        yield server


@pytest.fixture(scope="session")
def durable_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that writes to the disk what it says it has written."""
    with served(lambda: run_postgres(fsync=True)) as server:
        yield server


@pytest.fixture(scope="session")
async def places(
    request: pytest.FixtureRequest, forks: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Places]:
    """Find the place of a combination; it is made ready at first use."""
    ready: dict[Combination, Place] = {}

    async def find(combination: Combination) -> Place:
        if combination not in ready:
            folder = tmp_path_factory.mktemp(str(combination))
            fs, options = _store(combination, request, folder)
            place = Place(combination, _database(combination, request, folder), fs, options, folder, forks)
            await place.prepare()
            ready[combination] = place
        return ready[combination]

    yield find
    for place in ready.values():
        await place.aclose()


def _database(combination: Combination, request: pytest.FixtureRequest, folder: Path) -> str:
    if combination.database != "postgresql":
        return f"sqlite:///{folder / 'rows.db'}"
    server: Postgres = request.getfixturevalue("durable_postgres")
    name = f"crash_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    return replace(server, database=name).url("postgresql")


def _store(combination: Combination, request: pytest.FixtureRequest, folder: Path) -> tuple[str, dict[str, object]]:
    if combination.store == "local":
        return str(folder / "objects"), {}
    server: SeaweedFS = request.getfixturevalue("seaweedfs")
    return f"s3://{server.bucket}/{uuid4().hex}", {
        "aws_endpoint": server.endpoint,
        "aws_access_key_id": server.access_key,
        "aws_secret_access_key": server.secret_key,
        "aws_region": server.region,
        "retry_config": QUICK_RETRIES,
    }


@pytest.fixture
def random(request: pytest.FixtureRequest) -> Random:
    """Chance that the run's seed can repeat for each test."""
    return Random(f"{os.environ[SEED]} {request.node.name}")  # noqa: S311 - to choose schedules, not secrets
