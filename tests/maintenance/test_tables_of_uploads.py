"""What operators are told of the tables of uploads: checks, starts, sweeps, audits and migrations know them."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from fastapi_filestore import (
    FileObject,
    Filestore,
    FilestoreSettings,
    StoredObject,
    add_ledger,
    add_uploads,
    audit,
    storages,
    sweep,
)
from fastapi_filestore.service.check.checked import Outcome
from tests.maintenance.conftest import database_url
from tests.web.site import SIGNING_KEY, session_dependency
from tests.web.uploading import send

NAMES = {"kept_uploads", "kept_segments"}


class Base(DeclarativeBase):
    """Postcards and their uploads."""


LEDGER = add_ledger(Base.metadata, name="kept_intents")
add_uploads(Base.metadata, name="kept_uploads", segments="kept_segments")


class Postcard(Base):
    """A row with a file."""

    __tablename__ = "kept_postcards"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="cards"))


@pytest.fixture(params=["sqlite-sync", "postgres-sync"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine of a database with all tables."""
    url = database_url(request.param, request, tmp_path)
    options: dict[str, Any] = {"connect_args": {"check_same_thread": False}} if "sqlite" in url else {}
    engine = create_engine(url, **options)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def application(engine: Engine, **settings: Any) -> tuple[FastAPI, Filestore]:
    """Return an application of postcards that take uploads."""
    given = FilestoreSettings(
        _env_file=None, backends={"cards": {"url": "memory://"}}, signing_keys=[SIGNING_KEY], **settings
    )
    files = Filestore(session_dependency(sessionmaker(engine), asynchronous=False), engine=engine, settings=given)
    app = FastAPI()
    app.include_router(files.router(Postcard, uploads=True), prefix="/postcards")
    app.include_router(files.signed_router())
    return app, files


def drop(engine: Engine) -> None:
    """Drop the tables of uploads, as if their migration had not run."""
    with engine.begin() as connection:
        for name in sorted(NAMES):
            connection.execute(text(f"DROP TABLE {name}"))


async def test_a_check_names_tables_that_are_missing(engine: Engine) -> None:
    """It is wrong, and the remedy is said."""
    drop(engine)
    _, files = application(engine)
    (tables,) = [checked async for checked in files.check() if checked.name == "tables"]

    assert tables.outcome is Outcome.WRONG
    assert all(name in tables.detail for name in NAMES), tables.detail
    assert "migration" in tables.detail


async def test_a_start_names_tables_that_are_missing(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """The log has them; what a client asks of them is an error of ours that tells it nothing."""
    drop(engine)
    app, files = application(engine)
    with caplog.at_level(logging.WARNING, "fastapi_filestore"):
        transport = ASGITransport(app, raise_app_exceptions=False)
        async with files.lifespan(app), AsyncClient(transport=transport, base_url="http://site") as client:
            started = caplog.text
            answer = await client.post("/postcards/uploads", json={"filename": "a"})

    assert all(name in started for name in NAMES), started
    assert answer.status_code == 500
    assert "kept_uploads" not in answer.text
    assert "kept_uploads" in caplog.text.removeprefix(started)


async def test_audits_and_sweeps_know_what_uploads_hold(engine: Engine) -> None:
    """What lies where a client stored it, and what is complete, is no orphan."""
    app, files = application(engine)
    async with files.lifespan(app), AsyncClient(transport=ASGITransport(app), base_url="http://site") as client:
        staged, complete = [await send(client, at="/postcards/uploads") for _ in range(2)]
        await client.post(f"{complete['url']}/complete")
        found = [finding async for finding in audit(engine, [Postcard], grace=0, verify=True)]
        swept = [intent async for intent in sweep(engine, LEDGER)]
        paths = [info.path async for info in storages.get_backend("cards").list()]
        claimed = await client.post("/postcards/", json={"upload": staged["id"]})

    assert (found, swept, len(paths)) == ([], [], 2)
    assert claimed.status_code == 201, claimed.text


def test_migrations_know_the_tables(engine: Engine) -> None:
    """Alembic makes them where they are missing, and finds nothing to do where they are."""

    def differences() -> set[tuple[str, str]]:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": is_ours})
            return {
                (difference[0], difference[1].name)
                for difference in compare_metadata(context, Base.metadata)
                if isinstance(difference, tuple)
            }

    assert differences() == set()
    drop(engine)
    assert {("add_table", name) for name in NAMES} <= differences()


def is_ours(name: str | None, kind: str, _: Any) -> bool:
    """Look at tables of these tests only."""
    return kind != "table" or (name or "").startswith("kept_")
