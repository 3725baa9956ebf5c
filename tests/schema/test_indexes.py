"""`StoredObject(index=True)`: an index that create_all and Alembic know, and that the question uses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    event,
    insert,
    inspect,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from fastapi_filestore import ConfigurationError, StoredObject, add_ledger
from fastapi_filestore.orm.holders.holders import places_holding
from tests.schema.conftest import Project
from tests.servers.postgres import Postgres

pytestmark = [
    # SQLAlchemy and Alembic say what they don't see; ours is looked for by ourselves.
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index filestore_"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index 'filestore_"),
]
ROWS = 5000


def documents(metadata: MetaData, *columns: Column[Any], index: bool = True) -> Table:
    """Define a table with a file, and more columns."""
    file: Column[Any] = Column("file", StoredObject("documents", index=index))
    return Table("documents", metadata, Column("id", Integer, primary_key=True), file, *columns)


def pages(*, index: bool = True) -> Column[Any]:
    """Define a list column."""
    return Column("pages", StoredObject("documents", multiple=True, index=index))


@pytest.fixture
def on_postgres(postgres_database: Postgres) -> Iterator[Engine]:
    """A database of PostgreSQL."""
    engine = create_engine(postgres_database.url("postgresql+psycopg"))
    yield engine
    engine.dispose()


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Engine]:
    """A database of SQLite."""
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    yield engine
    engine.dispose()


@pytest.fixture(params=["on_sqlite", "on_postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A database of either."""
    chosen: Engine = request.getfixturevalue(request.param)
    return chosen


def fill(connection: Connection, table: Table) -> None:
    """Write many rows, as we and as advanced-alchemy do."""
    json = JSONB if connection.dialect.name == "postgresql" else JSON
    files = [
        {"backend": "documents", "filename": f"{number}.pdf", "path": f"a/{number}" if number % 2 else ""}
        for number in range(ROWS)
    ]
    values = {name: bindparam(f"new_{name}", type_=json) for name in ("file", "pages") if name in table.c}
    connection.execute(insert(table).values(values), [{"new_file": file, "new_pages": [file]} for file in files])
    connection.execute(text("ANALYZE"))


def explained(connection: Connection, table: Table, paths: list[str]) -> str:
    """Return how the database answers the question who holds some objects."""
    asked: list[Any] = []

    def note(*call: Any) -> None:
        asked.append((call[2], call[3]))

    event.listen(connection, "before_cursor_execute", note)
    places_holding(connection, [table], [("documents", path) for path in paths])
    event.remove(connection, "before_cursor_execute", note)
    statement, parameters = asked[-1]
    prefix = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    return "\n".join(str(row) for row in connection.exec_driver_sql(f"{prefix} {statement}", parameters))


@pytest.mark.parametrize("paths", [["a/17"], ["18.pdf", "a/19", "none"]])
def test_the_question_uses_the_index(engine: Engine, paths: list[str]) -> None:
    """With the index no table is read to know who holds an object, by path or by filename; without it, it is."""
    for index in (True, False):
        metadata = MetaData()
        table = documents(metadata, index=index)
        with engine.begin() as connection:
            metadata.create_all(connection)
            fill(connection, table)
            places = places_holding(connection, [table], [("documents", path) for path in paths])
            plan = explained(connection, table, paths)
            metadata.drop_all(connection)

        assert places == dict.fromkeys([("documents", path) for path in paths if path != "none"], 1)
        assert ("filestore_documents_file_path" in plan) is index


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("key", ["./a/b/c.pdf", "//a/b/c.pdf", "a//b/c.pdf", "a/b//c.pdf"])
def test_keys_with_a_slash_too_many(engine: Engine, key: str, index: bool) -> None:
    """With the index or without it, a row whose key a store reads as another holds that object."""
    metadata = MetaData()
    table = documents(metadata, index=index)
    with engine.begin() as connection:
        metadata.create_all(connection)
        json = JSONB if connection.dialect.name == "postgresql" else JSON
        connection.execute(insert(table).values(file=type_coerce({"filename": key}, json)))
        places = places_holding(connection, [table], [("documents", "a/b/c.pdf")])

    assert places == {("documents", "a/b/c.pdf"): 1}


@pytest.mark.parametrize("paths", [["a/17"], ["18.pdf", "a/19", "none"]])
def test_the_question_uses_the_index_of_lists(on_postgres: Engine, paths: list[str]) -> None:
    """On PostgreSQL a list has one, too."""
    metadata = MetaData()
    table = documents(metadata, pages(), index=False)
    table.c.file.type.index = False  # type: ignore[attr-defined]
    with on_postgres.begin() as connection:
        metadata.create_all(connection)
        fill(connection, table)
        places = places_holding(connection, [table], [("documents", path) for path in paths])
        plan = explained(connection, table, paths)

    assert places == dict.fromkeys([("documents", path) for path in paths if path != "none"], 2)
    assert "filestore_documents_pages_path" in plan


def test_a_list_has_none_on_sqlite(on_sqlite: Engine) -> None:
    """SQLite can't index what is in a list, and says so when its table is made."""
    metadata = MetaData()
    documents(metadata, pages())
    with pytest.raises(ConfigurationError, match="leave index=True out"):
        metadata.create_all(on_sqlite)


@pytest.mark.parametrize("in_batches", [True, False])
def test_a_list_has_none_in_a_migration_of_sqlite(on_sqlite: Engine, in_batches: bool) -> None:
    """Alembic says so while it writes the migration, and not when that is run."""
    metadata = MetaData()
    documents(metadata, pages())
    with on_sqlite.connect() as connection:
        options = {"target_metadata": metadata, "render_as_batch": in_batches}
        context = MigrationContext.configure(connection, opts=options)
        with pytest.raises(ConfigurationError, match="holds a list of files, which sqlite has no index for"):
            produce_migrations(context, metadata)


def test_odd_values_are_no_obstacle(engine: Engine) -> None:
    """An index is made beside, and takes, JSON that describes no file, and text that is no JSON where there is such."""
    metadata = MetaData()
    documents(metadata)
    metadata.create_all(engine)
    odd = ["null", "5", '"text"', "[]", "[[1]]", '{"path"\\: 5}', '{"path"\\: {"a"\\: 1}}', '[{"path"\\: "p"}]']
    with engine.begin() as connection:
        for value in [*odd, "no JSON"] if engine.dialect.name == "sqlite" else odd:
            connection.execute(text(f"INSERT INTO documents (file) VALUES ('{value}')"))
        places = places_holding(connection, [metadata.tables["documents"]], [("documents", "p")])

    assert places == {("documents", "p"): 1}


def test_a_copied_table_has_one_index(engine: Engine) -> None:
    """`to_metadata` copies a table with its index, once."""
    metadata, other = MetaData(), MetaData()
    documents(metadata).to_metadata(other)
    other.create_all(engine)

    assert len(other.tables["documents"].indexes) == 1


def test_a_long_name_is_shortened(engine: Engine) -> None:
    """A table with the longest of names has an index all the same."""
    metadata = MetaData()
    Table("t" * 60, metadata, Column("id", Integer, primary_key=True), Column("file", StoredObject(index=True)))
    metadata.create_all(engine)
    (index,) = metadata.tables["t" * 60].indexes

    assert len(str(index.name)) <= 63


def _columns(project: Project, *, index: bool = True) -> list[Column[Any]]:
    return [pages(index=index)] if project.engine.dialect.name == "postgresql" else []


def _indexes(project: Project) -> set[str]:
    if project.engine.dialect.name == "postgresql":
        return {str(index["name"]) for index in inspect(project.engine).get_indexes("documents")}
    with project.engine.connect() as connection:
        return set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")))


def _ours(project: Project) -> set[str]:
    return {name for name in _indexes(project) if name.startswith("filestore_documents")}


def test_alembic_makes_the_index_with_the_table(project: Project) -> None:
    """A migration that creates the table creates its indexes, and nothing is left to do."""
    metadata = MetaData()
    add_ledger(metadata, triggers=True)
    documents(metadata, *_columns(project))
    project.migrate(metadata)

    assert len(_ours(project)) == 1 + len(_columns(project))


def test_alembic_adds_and_removes_the_index(project: Project) -> None:
    """An index for a table that lives already is a migration, and so is its removal."""
    without, indexed = MetaData(), MetaData()
    documents(without, *_columns(project, index=False), index=False)
    documents(indexed, *_columns(project))
    project.migrate(without)
    assert _ours(project) == set()
    project.migrate(indexed)
    assert len(_ours(project)) == 1 + len(_columns(project))
    project.migrate(without)
    assert _ours(project) == set()


def test_the_index_of_a_table_that_is_changed(project: Project) -> None:
    """A table that is rebuilt, as on SQLite, keeps its index; one that is dropped takes it along."""
    before, after, bare = MetaData(), MetaData(), MetaData()
    documents(before, *_columns(project), Column("title", String(9)))
    documents(after, *_columns(project), Column("title", String(9), nullable=False))
    project.migrate(before)
    indexes = _ours(project)
    project.migrate(after)

    assert _ours(project) == indexes
    project.migrate(bare)
    project.downgrade("-1")
    assert _ours(project) == indexes


def test_create_all_and_alembic_agree_on_the_index(project: Project) -> None:
    """A database that create_all made has nothing left to migrate."""
    metadata = MetaData()
    documents(metadata, *_columns(project))
    metadata.create_all(project.engine)
    project.check(metadata)
