"""Tables, ledger and triggers wherever SQLAlchemy puts them: schemas, translated ones, several databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData, create_engine, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import ConfigurationError, FileObject, ObstoreBackend, StoredObject, add_ledger, storages
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.ledger.reservations import release_reservations
from tests.schema.conftest import triggers_in
from tests.servers.postgres import Postgres


class Base(DeclarativeBase):
    """Two tables, which may be in two databases."""


class Letter(Base):
    """A row with a file."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("places"))


class Stamp(Base):
    """Another."""

    __tablename__ = "stamps"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("places"))


class OtherBase(DeclarativeBase):
    """A metadata with a ledger of its own."""


class Parcel(OtherBase):
    """A row of the other metadata."""

    __tablename__ = "parcels"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("places"))


LEDGER = add_ledger(Base.metadata, triggers=True)
OTHER_LEDGER = add_ledger(OtherBase.metadata, name="other_intents")


@pytest.fixture
def backend() -> Iterator[ObstoreBackend]:
    """Register the backend of the columns."""
    backend = ObstoreBackend(key="places", fs="memory://")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("places")


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    """Two databases."""
    both = create_engine(f"sqlite:///{tmp_path}/1.db"), create_engine(f"sqlite:///{tmp_path}/2.db")
    yield both
    for engine in both:
        engine.dispose()


def letter(content: bytes = b"content") -> FileObject:
    """Return a file whose bytes are still to be stored."""
    return FileObject(filename="a.txt", content=content)


def deletions(engine: Engine) -> int:
    """Return how many deletion intents a database holds."""
    with Session(engine) as session:
        return len(session.scalars(select(LEDGER.table.c.path).where(LEDGER.table.c.kind == "delete")).all())


async def keys(backend: ObstoreBackend) -> int:
    """Return how many objects there are."""
    return len([info async for info in backend.list()])


async def test_one_metadata_in_two_databases(engines: tuple[Engine, Engine], backend: ObstoreBackend) -> None:
    """A session that writes two databases keeps each one's intents in its own ledger."""
    for engine in engines:
        Base.metadata.create_all(engine)
    with Session(binds={Letter: engines[0], Stamp: engines[1]}) as session:
        session.add_all([Letter(id=1, file=letter()), Stamp(id=1, file=letter())])
        session.commit()
        session.delete(session.get_one(Letter, 1))
        session.get_one(Stamp, 1).file = letter()
        session.commit()

    assert await keys(backend) == 1
    with engines[1].begin() as connection:
        connection.execute(text("DELETE FROM stamps"))
    assert [deletions(engine) for engine in engines] == [0, 1]


async def test_two_metadata_in_two_databases(engines: tuple[Engine, Engine], backend: ObstoreBackend) -> None:
    """Each metadata has its own ledger, and one session settles both."""
    Base.metadata.create_all(engines[0])
    OtherBase.metadata.create_all(engines[1])
    with Session(binds={Base: engines[0], OtherBase: engines[1]}) as session:
        session.add_all([Letter(id=1, file=letter()), Parcel(id=1, file=letter())])
        session.commit()
        session.delete(session.get_one(Parcel, 1))
        session.commit()

    assert await keys(backend) == 1


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_translated_schemas(driver: str, postgres_database: Postgres, backend: ObstoreBackend) -> None:
    """With `schema_translate_map`, tables, ledger and triggers are made in, and write to, the schema that it says."""
    postgres_database.execute('CREATE SCHEMA "tenant 1"')
    engine = create_async_engine(postgres_database.url(f"postgresql+{driver}")).execution_options(
        schema_translate_map={None: "tenant 1"}
    )
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(
            text("""INSERT INTO "tenant 1".letters (file) VALUES ('{"backend"\\: "b", "path"\\: "p"}')""")
        )
        await connection.execute(text('DELETE FROM "tenant 1".letters'))

        found = await connection.scalars(select(LEDGER.table.c.path))
        assert found.all() == ["p"]
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    plain = create_engine(postgres_database.url("postgresql+psycopg"))
    assert triggers_in(plain) == set()
    plain.dispose()


def test_files_of_a_tenant(postgres_database: Postgres, backend: ObstoreBackend) -> None:
    """Where a session holds a connection already, intents are written in the schema of its tables, too."""
    postgres_database.execute("CREATE SCHEMA tenant")
    engine = create_engine(postgres_database.url("postgresql+psycopg"))
    tenant = engine.execution_options(schema_translate_map={None: "tenant"})
    Base.metadata.create_all(tenant)
    with Session(tenant) as session:
        row = Letter(file=letter(b"old"))
        session.add(row)
        session.commit()
        for content in (b"new", b"newer"):
            session.refresh(row)
            row.file = letter(content)
            session.commit()
        session.delete(row)
        session.commit()

    run_blocking(release_reservations())
    with tenant.connect() as connection:
        assert connection.scalars(select(LEDGER.table.c.path)).all() == []
    engine.dispose()


def test_a_schema_of_sqlite(tmp_path: Path) -> None:
    """On SQLite an attached file is a schema: tables and ledger may be in it, together."""
    metadata = MetaData(schema="attached")
    add_ledger(metadata, triggers=True)
    Letter.__table__.to_metadata(metadata, schema="attached")  # type: ignore[attr-defined]
    engine = create_engine(f"sqlite:///{tmp_path}/main.db")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ATTACH '{tmp_path}/other.db' AS attached")
        metadata.create_all(connection)
        connection.exec_driver_sql("""INSERT INTO attached.letters (file) VALUES ('{"backend": "b", "path": "p"}')""")
        connection.exec_driver_sql("DELETE FROM attached.letters")
        paths = connection.exec_driver_sql("SELECT path FROM attached.filestore_intents").scalars().all()

    assert paths == ["p"]
    engine.dispose()


def test_a_ledger_in_another_file_of_sqlite(tmp_path: Path) -> None:
    """A trigger of SQLite's can't write to another file, and says so when it is made."""
    metadata = MetaData()
    add_ledger(metadata, schema="attached", triggers=True)
    Letter.__table__.to_metadata(metadata)  # type: ignore[attr-defined]
    engine = create_engine(f"sqlite:///{tmp_path}/main.db")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ATTACH '{tmp_path}/other.db' AS attached")
        with pytest.raises(ConfigurationError, match="another database file"):
            metadata.create_all(connection)
    engine.dispose()
