"""Which engine a lifespan sweeps: that of the session which its dependency gives, or one that is given."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from fastapi_filestore import ConfigurationError, FileService, Filestore
from fastapi_filestore.service.start.databases import Databases
from fastapi_filestore.storage.registry import StorageRegistry
from tests.maintenance.conftest import Site, keys
from tests.maintenance.lifespans import settings
from tests.maintenance.models import Base, Clip, Photo, PlainBase, Report


def generator(site: Site) -> Any:
    """Return a dependency that is a generator."""

    def get_session() -> Iterator[Any]:
        yield site.session()

    return get_session


def coroutine(site: Site) -> Any:
    """Return a dependency that is a coroutine function."""

    async def get_session() -> Any:
        return site.session()

    return get_session


@pytest.mark.parametrize("dependency", [generator, coroutine, lambda site: site.session])
async def test_the_engine_is_found(site: Site, dependency: Any) -> None:
    """The engine is that of the session which the dependency gives, whatever kind of function it is."""
    files = Filestore(dependency(site))
    files.router(Clip)
    files.service(Report)
    await site.intend(*keys(1))
    site.place("ab/old")

    assert len([one async for one in files.sweep()]) == 1
    assert [finding.path async for finding in files.audit()] == ["ab/old"]


async def test_a_sessionmaker(tmp_path: Path) -> None:
    """A sessionmaker, whose parameters need no values, is a dependency as well; so is a service's own class."""

    class ReportService(FileService[Report]):
        """A service that knows its model."""

    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    files = Filestore(sessionmaker(engine))
    files.service(ReportService)
    Report.metadata.create_all(engine)

    assert [one async for one in files.sweep()] == []


async def test_tables_in_several_databases(site: Site, tmp_path: Path) -> None:
    """Where sessions write models to several databases, each is swept and audited, and none's files are orphans."""
    other = create_engine(f"sqlite:///{tmp_path}/other.db", connect_args={"check_same_thread": False})
    Photo.metadata.create_all(other)
    binds: Any = {Base: site.plain, PlainBase: other}
    files = Filestore(lambda: Session(binds=binds))
    files.service(Report)
    files.service(Photo)
    row = await site.add()
    site.place("ab/old")

    findings = [finding async for finding in files.audit(grace=timedelta(0), backends=["shelf"])]

    assert [finding.path for finding in findings] == ["ab/old"]
    assert row.file.path in site.objects()
    other.dispose()


def with_parameters(request: Request) -> Iterator[Session]:
    """Need something that only a request has."""
    raise NotImplementedError


def unbound() -> Session:
    """Return a session without an engine."""
    return Session()


def no_session() -> str:
    """Return something else."""
    return "session"


@pytest.mark.parametrize(
    ("dependency", "problem"),
    [
        (with_parameters, "parameters of its own"),
        (None, "is missing"),
        (unbound, "bound to no engine"),
        (no_session, "gave a str"),
    ],
)
async def test_no_engine(dependency: Any, problem: str) -> None:
    """An engine that can't be found is an error that says what to do."""
    databases = Databases([Report], registry=StorageRegistry(), engine=None, get_session=dependency)

    with pytest.raises(ConfigurationError, match=rf"{problem}.*Filestore\(get_session, engine=engine\)"):
        await databases.find()


async def test_no_engine_stops_the_start(tmp_path: Path) -> None:
    """An application that is to sweep and can't does not start."""
    files = Filestore(with_parameters, settings=settings(tmp_path, sweep_every=60), registry=StorageRegistry())
    files.service(Report)

    with pytest.raises(ConfigurationError, match="parameters of its own"):
        async with files.lifespan(FastAPI()):
            pass


async def test_an_engine_that_is_given(site: Site) -> None:
    """An engine that is given is used, whatever the dependency needs."""
    files = Filestore(with_parameters, engine=site.engine)
    files.service(Report)
    await site.intend(*keys(1))

    assert len([one async for one in files.sweep()]) == 1


@pytest.mark.parametrize(("models", "remedy"), [([], "No model is known yet"), ([Photo], "add_ledger")])
async def test_nothing_to_sweep(tmp_path: Path, models: list[type], remedy: str) -> None:
    """Without models or a ledger there is nothing to sweep, and that is said."""
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    files = Filestore(sessionmaker(engine))
    for model in models:
        files.service(model)

    with pytest.raises(ConfigurationError, match=remedy):
        [one async for one in files.sweep()]
