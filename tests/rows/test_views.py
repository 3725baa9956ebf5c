"""Files of rows that a view shows, or a table of another database: who is asked, and how often a row is counted."""

from contextlib import suppress

import pytest
from sqlalchemy import Engine, Table
from sqlalchemy.exc import DBAPIError

from fastapi_filestore.orm.holders.views import views_among
from tests.rows.viewed import FILE, LETTERS, PATH, TWO, count, described, engine, run

__all__ = ["engine"]

TENANTS = [f"CREATE VIEW docs_{n} AS SELECT id, file FROM docs WHERE tenant = {n}" for n in (1, 2)]


PEOPLE = [
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, face JSON)",
    "INSERT INTO people VALUES (1, 'Ann', :file)",
]


JOINED = "CREATE VIEW named AS SELECT docs.id, docs.file, people.name FROM docs JOIN people ON people.id = docs.id"


CASES: dict[str, tuple[list[str], list[Table], int]] = {
    "a view alone": ([*TWO, TENANTS[0]], [described("docs_1")], 2),
    "a view beside its table": ([*TWO, *TENANTS], [described("docs"), described("docs_1")], 2),
    "two views of one table": ([*TWO, *TENANTS], [described("docs_1"), described("docs_2")], 2),
    "a view of a view": (
        [*LETTERS, TENANTS[0], "CREATE VIEW again AS SELECT id, file FROM docs_1"],
        [described("again")],
        1,
    ),
    "a view that joins a table with files": (
        [*LETTERS, *PEOPLE, JOINED],
        [described("people", "face"), described("named")],
        2,
    ),
    "a view that joins rows many times": (
        [
            *LETTERS,
            "CREATE VIEW thrice AS SELECT n AS id, file FROM docs JOIN (SELECT 1 AS n UNION SELECT 2) AS ns ON n > 0",
        ],
        [described("docs"), described("thrice")],
        1,
    ),
    "a view of two tables": (
        [*LETTERS, *PEOPLE, "CREATE VIEW all_files AS SELECT id, file FROM docs UNION ALL SELECT id, face FROM people"],
        [described("docs"), described("all_files")],
        2,
    ),
    "a view with another name for the column": (
        [*PEOPLE, "CREATE VIEW faces AS SELECT id, face AS file FROM people"],
        [described("faces")],
        1,
    ),
    "a view whose table is asked for another column": (
        [*PEOPLE, "ALTER TABLE people ADD photo JSON", "CREATE VIEW faces AS SELECT id, face, photo FROM people"],
        [described("people", "photo"), described("faces", "face")],
        1,
    ),
    "a view that makes its files": (
        ["CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT)", f"INSERT INTO names VALUES (1, '{PATH}')"],
        [described("made")],
        1,
    ),
    "a view of lists": (
        [
            "CREATE TABLE albums (id INTEGER PRIMARY KEY, file JSON)",
            f"INSERT INTO albums VALUES (1, '[{FILE},{FILE}]'), (2, '[{FILE}]')",
            "CREATE VIEW shown AS SELECT id, file FROM albums",
        ],
        [described("shown", lists=True)],
        2,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_row_is_counted_once(engine: Engine, case: str) -> None:
    """Rows that views show hold their files, whichever of the tables and the views are mapped."""
    statements, tables, places = CASES[case]
    run(engine, *statements)
    if case == "a view that makes its files":
        build = "jsonb_build_object" if engine.dialect.name == "postgresql" else "json_object"
        run(engine, f"CREATE VIEW made AS SELECT id, {build}('backend', 'rows', 'path', name) AS file FROM names")

    assert count(engine, *tables) == count(engine, *reversed(tables)) == places


@pytest.mark.parametrize("kind", ["view", "table", "column"])
def test_what_a_migration_makes_is_asked(engine: Engine, kind: str) -> None:
    """Code that is deployed before the migration asks what the migration brings."""
    table = described("docs", "file", "photo")
    make = ["CREATE TABLE docs (id INTEGER PRIMARY KEY, file JSON)"]
    bring = {
        "column": ["ALTER TABLE docs ADD photo JSON", "INSERT INTO docs VALUES (1, NULL, :file)"],
        "table": [
            "CREATE TABLE docs (id INTEGER PRIMARY KEY, file JSON, photo JSON)",
            "INSERT INTO docs VALUES (1, NULL, :file)",
        ],
        "view": [
            "CREATE TABLE docs_2025 (id INTEGER PRIMARY KEY, file JSON, photo JSON)",
            "INSERT INTO docs_2025 VALUES (1, NULL, :file)",
            "CREATE VIEW docs AS SELECT * FROM docs_2025",
        ],
    }
    run(engine, *(make if kind == "column" else []))
    assert count(engine, table) == 0
    run(engine, *bring[kind])

    assert count(engine, table) == 1


def test_a_table_that_becomes_a_view(engine: Engine) -> None:
    """A migration renames a table and leaves a view of the old name: the rows are still counted once."""
    tables = [described("docs"), described("docs_2025")]
    run(engine, *LETTERS)
    assert count(engine, *tables) == 1
    run(engine, "ALTER TABLE docs RENAME TO docs_2025", "CREATE VIEW docs AS SELECT * FROM docs_2025")

    assert count(engine, *tables) == 1


def test_a_view_that_comes_to_show_another_table(engine: Engine) -> None:
    """What a view reads is looked for each time."""
    run(engine, *LETTERS, "CREATE TABLE new (id INTEGER PRIMARY KEY, file JSON)", TENANTS[0])
    assert count(engine, described("docs_1")) == 1
    run(
        engine,
        "DROP VIEW docs_1",
        "CREATE VIEW docs_1 AS SELECT id, file FROM new",
        "INSERT INTO new VALUES (1, :file), (2, :file)",
    )

    assert count(engine, described("docs_1")) == 2


@pytest.mark.parametrize(
    "change", [["ALTER TABLE docs DROP file"], ["DROP TABLE docs"], ["DROP VIEW shown", "DROP TABLE docs"]]
)
def test_what_a_migration_takes_is_missed_once(engine: Engine, change: list[str]) -> None:
    """A column or a table that goes makes one question fail, at most."""
    tables = [described("docs")]
    run(engine, *LETTERS, *PEOPLE)
    if len(change) > 1:
        run(engine, "CREATE VIEW shown AS SELECT id, file FROM docs")
        tables = [described("shown")]
    tables.append(described("people", "face"))
    assert count(engine, *tables) == 2
    run(engine, *change)
    with suppress(DBAPIError):
        count(engine, *tables)

    assert count(engine, *tables) == 1


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_view_whose_table_is_gone(engine: Engine) -> None:
    """SQLite keeps a view of a table that was dropped: it shows no row."""
    run(engine, *LETTERS, *PEOPLE, TENANTS[0], "DROP TABLE docs")

    assert count(engine, described("docs_1"), described("people", "face")) == 1


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("options", ["", "WITHOUT ROWID"])
def test_a_view_that_an_index_serves(engine: Engine, options: str) -> None:
    """SQLite may read a view's columns from an index, whose columns have an order of their own."""
    run(
        engine,
        f"CREATE TABLE docs (tenant INTEGER, other JSON, id TEXT PRIMARY KEY, file JSON) {options}",
        "CREATE INDEX of_file ON docs (tenant, file)",
        "INSERT INTO docs VALUES (1, NULL, 'x', :file)",
        "CREATE VIEW shown AS SELECT id, file FROM docs WHERE tenant = 1",
    )
    with engine.begin() as connection:
        view = views_among(connection, {(None, "shown"): ["file"]})[None, "shown"]

    assert {source.column for source in view.sources} == {"file"}
    assert count(engine, described("shown")) == 1
