"""Files of rows that views of PostgreSQL show, or tables of another database, as far as a role may read them."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from fastapi_filestore import FileObject, ObstoreBackend, SharedFileError, StoredObject
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.holders.holders import places_holding
from fastapi_filestore.service.sweep.sweep import sweep
from tests.rows.conftest import pending
from tests.rows.viewed import AT, LEDGER, LETTERS, TWO, Base, count, described, engine, run

__all__ = ["engine"]


class Letter(Base):
    """A row of a table."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Old(Base):
    """A row of what only looks like a table."""

    __tablename__ = "old_letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
@pytest.mark.parametrize("kind", ["table", "view", "materialized"])
def test_rows_of_another_database(engine: Engine, kind: str) -> None:
    """A foreign table is asked, and what shows it."""
    url, wrapper = engine.url, "FOREIGN DATA WRAPPER postgres_fdw"
    host = f"OPTIONS (host '{url.host}', port '{url.port}', dbname '{url.database}')"
    run(engine, *LETTERS, "CREATE EXTENSION postgres_fdw")
    run(
        engine,
        f"CREATE SERVER far {wrapper} {host}",
        f"CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user '{url.username}', password '{url.password}')",
        "CREATE FOREIGN TABLE far_docs (id INTEGER, file JSON) SERVER far OPTIONS (table_name 'docs')",
        "CREATE VIEW far_view AS SELECT * FROM far_docs",
        "CREATE MATERIALIZED VIEW far_materialized AS SELECT * FROM far_docs",
    )
    table = described("far_docs" if kind == "table" else f"far_{kind}")

    assert count(engine, table) == count(engine, table, described("far_docs")) == 1


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
@pytest.mark.parametrize("guard", ["privileges", "policy"])
def test_a_view_of_rows_that_may_not_be_read(engine: Engine, guard: str) -> None:
    """Where only the view may be read, it is asked itself."""
    run(engine, *TWO, "CREATE VIEW shown AS SELECT id, file FROM docs", f"CREATE ROLE reader_{guard}")
    run(engine, f"GRANT SELECT ON shown TO reader_{guard}")
    if guard == "policy":
        run(engine, f"GRANT SELECT ON docs TO reader_{guard}", "ALTER TABLE docs ENABLE ROW LEVEL SECURITY")
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL ROLE reader_{guard}"))
        places = places_holding(connection, [described("shown")], [AT])[AT]
    run(engine, f"DROP OWNED BY reader_{guard}", f"DROP ROLE reader_{guard}")

    assert places == 2


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_view_that_nobody_lets_the_role_read(engine: Engine) -> None:
    """A report for somebody else is passed over; the tables that are asked besides are asked."""
    run(engine, *LETTERS, "CREATE TABLE secrets (file JSON)", "CREATE VIEW shown AS SELECT 1 AS id, file FROM secrets")
    run(engine, "CREATE ROLE stranger", "GRANT SELECT ON docs TO stranger")
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL ROLE stranger"))
        held = places_holding(connection, [described("docs"), described("shown")], [AT])[AT]
    run(engine, "DROP OWNED BY stranger", "DROP ROLE stranger")

    assert held == 1


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_view_of_a_part_of_a_table(engine: Engine) -> None:
    """The rows of a partition are rows of the whole table, which is asked."""
    run(
        engine,
        "CREATE TABLE docs (id INTEGER, file JSON) PARTITION BY LIST (id)",
        "CREATE TABLE docs_of_1 PARTITION OF docs FOR VALUES IN (1)",
        "INSERT INTO docs VALUES (1, :file)",
        "CREATE VIEW shown AS SELECT * FROM docs_of_1",
    )

    assert count(engine, described("docs"), described("shown")) == count(engine, described("shown")) == 1


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_view_in_the_place_of_a_table_that_was_renamed(engine: Engine, backend: ObstoreBackend) -> None:
    """Only the view is mapped: what its rows hold is in no second row, and outlives the sweep of an old intent."""
    run(
        engine,
        "CREATE TABLE letters_2025 (id SERIAL PRIMARY KEY, file JSON)",
        "CREATE VIEW old_letters AS SELECT * FROM letters_2025",
    )
    with Session(engine) as session:
        session.add(Old(id=1, file=pending(b"old")))
        session.commit()
        old = session.get_one(Old, 1)
        assert old.file is not None
        for second in (
            Letter(file=FileObject("rows", path=old.file.path)),
            Old(id=2, file=FileObject("rows", path=old.file.path)),
        ):
            session.add(second)
            with pytest.raises(SharedFileError):
                session.commit()
            session.rollback()
        record = session.execute(text("SELECT file::text FROM old_letters")).scalar_one()
        session.delete(session.get_one(Old, 1))
        session.commit()
        session.execute(text("INSERT INTO old_letters (id, file) VALUES (1, CAST(:file AS jsonb))"), {"file": record})
        session.execute(text("UPDATE intents_of_views SET due_at = 0"))
        session.commit()

    async def swept() -> list[str]:
        return [one.path async for one in sweep(engine, LEDGER)]

    assert run_blocking(swept()) == []
    with Session(engine) as session:
        file = session.get_one(Old, 1).file
        assert file is not None
        assert file.get_content() == b"old"
