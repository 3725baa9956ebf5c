"""What an application says of its databases as it starts."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, MetaData, create_engine, event, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    Filestore,
    FilestoreSettings,
    StoredObject,
    add_ledger,
    install_triggers,
)
from fastapi_filestore.service.start import start
from fastapi_filestore.settings.values import Probe
from tests.maintenance.conftest import database_url


class Base(DeclarativeBase):
    """A table with triggers."""


LEDGER = add_ledger(Base.metadata, triggers=True)


class Letter(Base):
    """A row with a file."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject())


def settings(*, probe: Probe = False) -> FilestoreSettings:
    """Return settings with one backend."""
    return FilestoreSettings(backends={"default": {"url": "memory://"}}, probe=probe)


def filestore(engine: Engine, *, probe: Probe = False) -> Filestore:
    """Return what an application with letters has."""
    files = Filestore(engine=engine, get_session=lambda: Session(engine), settings=settings(probe=probe))
    files.service(Letter)
    return files


async def run(files: Filestore) -> None:
    """Start an application and end it."""
    async with files.lifespan(FastAPI()):
        pass


@pytest.fixture(params=["sqlite-sync", "postgres-sync"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine of an empty database."""
    engine = create_engine(database_url(request.param, request, tmp_path))
    yield engine
    engine.dispose()


def events(log: pytest.LogCaptureFixture, name: str) -> list[logging.LogRecord]:
    """Return what was logged under a name."""
    return [record for record in log.records if record.message.startswith(f"fastapi_filestore.{name}")]


async def test_tables_without_triggers_are_logged(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """A table that create_all found there is named with the remedy, at every start, until it has its triggers."""
    Base.metadata.tables["letters"].to_metadata(bare := MetaData())
    bare.create_all(engine)
    Base.metadata.create_all(engine)
    await run(filestore(engine))
    (told,) = events(caplog, "triggers_missing")
    assert "letters" in told.message
    assert "install_triggers(connection, Base.metadata)" in told.message

    caplog.clear()
    with engine.begin() as connection:
        install_triggers(connection, Base.metadata)
    await run(filestore(engine, probe=True))
    assert not events(caplog, "triggers_missing")


async def test_with_probe_it_does_not_start(engine: Engine) -> None:
    """FILESTORE_PROBE refuses a database whose tables lack triggers."""
    Base.metadata.tables["letters"].to_metadata(bare := MetaData())
    bare.create_all(engine)

    with pytest.raises(ConfigurationError, match="letters"):
        await run(filestore(engine, probe=True))


async def test_tables_that_are_not_there_are_logged(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """An application starts without its tables, or its ledger's, and the log names them; they lack no triggers yet."""
    await run(filestore(engine))

    (told,) = events(caplog, "tables_missing")
    assert f"letters, {LEDGER.table.name}" in told.message
    assert "alembic" in told.message
    assert not events(caplog, "triggers_missing")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP TABLE letters", "letters"),
        ("DROP TABLE filestore_intents", "filestore_intents"),
        ("ALTER TABLE filestore_intents DROP COLUMN error", "filestore_intents (column error)"),
    ],
)
async def test_with_probe_all_tables_must_be_there(
    change: str, told: str, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that nobody has migrated is told by table and column, in the log or by a refusal (FILESTORE_PROBE)."""
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text(change))
    await run(filestore(engine))

    assert re.search(rf"tables_missing tables=\"?{re.escape(told)}", caplog.text)
    with pytest.raises(ConfigurationError, match=re.escape(f"lacks {told}: run your migrations")):
        await run(filestore(engine, probe=True))


async def test_with_probe_the_ledger_is_written(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """FILESTORE_PROBE refuses a ledger that can only be read, and leaves nothing in it; `read` tries no writing."""
    caplog.set_level(logging.INFO, logger="fastapi_filestore")
    Base.metadata.create_all(engine)
    await run(filestore(engine, probe=True))
    assert not events(caplog, "databases_not_checked")
    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(LEDGER.table)) == 0
    limited = _with_rights_to_read(engine)

    with pytest.raises(ConfigurationError, match="ledger's table 'filestore_intents' can't be written"):
        await run(filestore(limited, probe=True))
    await run(filestore(limited, probe="read"))
    limited.dispose()


def _with_rights_to_read(engine: Engine) -> Engine:
    """Return an engine of the same database, whose role may read the ledger, and whose connections write to no file."""
    if engine.dialect.name == "sqlite":
        return create_engine(f"sqlite:///file:{engine.url.database}?mode=ro&uri=true")
    role = f"reader_{token_hex(8)}"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'p'"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
    return create_engine(engine.url.set(username=role, password="p"))


@pytest.mark.parametrize(
    ("pragmas", "weak"),
    [
        ((), None),
        (("journal_mode=WAL",), None),
        (("journal_mode=WAL", "synchronous=NORMAL"), "synchronous=NORMAL in WAL mode"),
        (("synchronous=NORMAL",), None),
        (("synchronous=OFF",), "synchronous=OFF"),
        (("journal_mode=WAL", "synchronous=EXTRA"), None),
    ],
)
async def test_commits_of_sqlite_that_may_be_lost(
    pragmas: tuple[str, ...], weak: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A setting of the application's connections by which commits may be lost is named, once."""
    engine = create_engine(f"sqlite:///{tmp_path}/weak.db")

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    await run(filestore(engine))
    told = events(caplog, "commits_not_durable")
    assert [weak in record.message for record in told if weak] == ([True] if weak else [])
    assert len(told) == (1 if weak else 0)
    engine.dispose()


async def test_commits_of_postgresql_that_may_be_lost(
    request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """There, settings of the server and of the application's connections are named, and what else would help."""
    url = database_url("postgres-sync", request, tmp_path)
    engine = create_engine(url, connect_args={"options": "-c synchronous_commit=off"})
    await run(filestore(engine))

    (told,) = events(caplog, "commits_not_durable")
    assert "fsync=off and synchronous_commit=off" in told.message
    assert "keep_deleted" in told.message
    engine.dispose()


async def test_a_database_that_does_not_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application starts without its database, and where nobody knows it; in memory there is nothing to ask."""
    caplog.set_level(logging.INFO, logger="fastapi_filestore")
    await run(filestore(create_engine(f"sqlite:///{tmp_path}/no/such/folder.db"), probe=True))
    assert events(caplog, "databases_not_checked")

    caplog.clear()
    files = Filestore(lambda broken: broken, settings=settings(probe=True))
    files.service(Letter)
    await run(files)
    assert events(caplog, "databases_not_checked")

    caplog.clear()
    monkeypatch.setattr(start, "run_on_engine", None)
    await run(filestore(create_engine("sqlite://", poolclass=StaticPool), probe=True))
    assert not events(caplog, "databases_not_checked")
