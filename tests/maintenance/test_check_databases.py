"""`files.check()` of databases and columns: what is as it should be, and what is missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData, create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from fastapi_filestore import FileObject, Filestore, FilestoreSettings, StoredObject, add_ledger, install_triggers
from fastapi_filestore.service.check.checked import Checked, Outcome
from tests.maintenance.conftest import database_url

OK, WRONG, WEAK, UNKNOWN = Outcome.OK, Outcome.WRONG, Outcome.WEAK, Outcome.UNKNOWN


class Base(DeclarativeBase):
    """A table with triggers."""


LEDGER = add_ledger(Base.metadata, name="check_intents", triggers=True)


class Postcard(Base):
    """A row with a file."""

    __tablename__ = "postcards"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="shelf"))
    note: Mapped[str | None]


class Stamp(Base):
    """A row without a file."""

    __tablename__ = "stamps"

    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture(params=["sqlite-sync", "postgres-sync"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine of an empty database."""
    engine = create_engine(database_url(request.param, request, tmp_path))
    yield engine
    engine.dispose()


async def checked(engine: Engine | AsyncEngine, *, backend: str = "shelf") -> dict[str, Checked]:
    """Check an application of postcards, and return the answers about its database and its column."""
    settings = FilestoreSettings(_env_file=None, backends={backend: {"url": "memory://"}})
    files = Filestore(engine=engine, get_session=sessionmaker(), settings=settings)
    files.service(Postcard)
    answers = [checked async for checked in files.check()]
    return {answer.name: answer for answer in answers if answer.subject.startswith(("database", "column"))}


async def test_a_database_that_is_complete(engine: Engine) -> None:
    """Tables, ledger and triggers are there, and commits last; nothing is written."""
    Base.metadata.create_all(engine)

    answers = await checked(engine)

    names = ["reached", "tables", "ledger", "triggers", "durable commits"]
    # The server of the tests does not sync, since nothing of it is to last.
    last = WEAK if engine.dialect.name == "postgresql" else OK
    assert [answers[name].outcome for name in names] == [OK, OK, OK, OK, last]
    assert answers["Postcard.file (backend 'shelf')"].outcome is OK
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM check_intents")) == 0


@pytest.mark.parametrize("kind", ["sqlite-async", "postgres-async"])
async def test_an_asynchronous_engine(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """It is asked as any other."""
    engine = create_async_engine(database_url(kind, request, tmp_path))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)

    answers = await checked(engine)
    await engine.dispose()

    assert WRONG not in {answer.outcome for answer in answers.values()}
    assert answers["ledger"].outcome is OK


async def test_an_empty_database(engine: Engine) -> None:
    """Each table that is missing is named, with the remedy, and so is the ledger's."""
    answers = await checked(engine)

    assert (answers["tables"].outcome, answers["ledger"].outcome) == (WRONG, WRONG)
    assert "lacks check_intents, postcards: run your migrations" in answers["tables"].detail
    assert "lacks check_intents: run your migrations" in answers["ledger"].detail


async def test_a_migration_that_is_pending(engine: Engine) -> None:
    """Each column that a table of files, or the ledger, lacks is named with its table, whatever it holds."""
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE postcards DROP COLUMN note"))
        connection.execute(text("ALTER TABLE check_intents DROP COLUMN error"))
    answers = await checked(engine)

    assert (answers["tables"].outcome, answers["ledger"].outcome) == (WRONG, WRONG)
    assert "lacks check_intents (column error), postcards (column note): run your" in answers["tables"].detail
    assert "lacks check_intents (column error): run your migrations" in answers["ledger"].detail


async def test_a_table_without_files_that_is_missing(engine: Engine) -> None:
    """Tables beside those with files are named, too, but may be in another database."""
    Base.metadata.create_all(engine, [Postcard.metadata.tables["postcards"], LEDGER.table])
    answers = await checked(engine)

    assert (answers["tables"].outcome, answers["ledger"].outcome) == (WEAK, OK)
    assert "lacks stamps: run your migrations" in answers["tables"].detail


async def test_triggers_that_are_missing(engine: Engine) -> None:
    """Tables that were there before have no triggers until somebody gives them some."""
    Postcard.metadata.tables["postcards"].to_metadata(bare := MetaData())
    bare.create_all(engine)
    Base.metadata.create_all(engine)
    before = await checked(engine)
    with engine.begin() as connection:
        install_triggers(connection, Base.metadata)
    after = await checked(engine)

    assert (before["triggers"].outcome, after["triggers"].outcome) == (WRONG, OK)
    assert "postcards" in before["triggers"].detail
    assert "install_triggers" in before["triggers"].detail


async def test_commits_that_do_not_last(tmp_path: Path) -> None:
    """A setting by which commits may be lost is named, and what can be done."""
    engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    Base.metadata.create_all(engine)

    answers = await checked(engine)
    engine.dispose()

    assert answers["durable commits"].outcome is WEAK
    assert "PRAGMA synchronous=OFF" in answers["durable commits"].detail
    assert "keep_deleted" in answers["durable commits"].detail


async def test_a_ledger_that_cannot_be_written(tmp_path: Path) -> None:
    """A database that is read-only is found out before the first upload."""
    writing = create_engine(f"sqlite:///{tmp_path}/rows.db")
    Base.metadata.create_all(writing)
    writing.dispose()
    engine = create_engine(f"sqlite:///file:{tmp_path}/rows.db?mode=ro&uri=true")

    answers = await checked(engine)
    engine.dispose()

    assert {name: answers[name].outcome for name in ("tables", "ledger")} == {"tables": OK, "ledger": WRONG}


async def test_a_database_that_is_down() -> None:
    """It is told once, without its password, and its columns are looked at all the same."""
    engine = create_engine("postgresql+psycopg://user:secret-word@127.0.0.1:1/rows")

    answers = await checked(engine)

    assert [answer.outcome for answer in answers.values() if answer.subject.startswith("database")] == [WRONG]
    assert "secret-word" not in str(answers)
    assert answers["Postcard.file (backend 'shelf')"].outcome is OK


async def test_a_column_without_a_backend(tmp_path: Path) -> None:
    """A column whose backend nobody has set is named, with the variable that sets it."""
    engine = create_engine(f"sqlite:///{tmp_path}/rows.db")

    answers = await checked(engine, backend="other")
    engine.dispose()

    column = answers["Postcard.file (backend 'shelf')"]
    assert column.outcome is WRONG
    assert "set FILESTORE_BACKENDS__SHELF__URL" in column.detail


async def test_an_application_without_models() -> None:
    """There is no database to look at, and that is no mistake."""
    files = Filestore(settings=FilestoreSettings(_env_file=None, backends={"default": {"url": "memory://"}}))

    answers = [checked async for checked in files.check() if checked.subject == "database"]

    assert [answer.outcome for answer in answers] == [UNKNOWN]
