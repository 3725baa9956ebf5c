"""What an application asks its databases once, as it starts: what is missing in them, and whether commits last."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, Engine, inspect, text

from fastapi_filestore.errors import (
    ConfigurationError,
    DatabaseFailedError,
    DatabaseFullError,
    DatabaseReadOnlyError,
)
from fastapi_filestore.events import COMMITS_NOT_DURABLE, DATABASES_NOT_CHECKED, TABLES_MISSING, TRIGGERS_MISSING
from fastapi_filestore.orm.engines import has_room, run_on_engine
from fastapi_filestore.orm.ledger import Ledger
from fastapi_filestore.orm.tables import file_columns_of, what_lacks
from fastapi_filestore.orm.triggers.installed import COMPLETE, lacking_triggers
from fastapi_filestore.service.databases import Databases
from fastapi_filestore.service.tables import Database
from fastapi_filestore.storage.keys import generate_key

PATIENCE = 5.0
"""Seconds that all databases may take to answer: an application starts without them, too."""
FULL = 2
"""`PRAGMA synchronous` from which on every commit is on the disk."""
SYNCHRONOUS = ("OFF", "NORMAL")


async def check_databases(databases: Databases, *, probe: bool, write: bool) -> None:
    """Log what puts the files of rows at risk in the databases of an application; one that doesn't answer is left out.

    With `write`, each ledger is written, too, in a transaction that is rolled back.

    Raises:
        ConfigurationError: With `probe`, there are tables missing, or without the triggers that they are to have; or a
            ledger that `write` is about can't be written.
    """
    found, refusals = list[Found](), list[str]()
    try:
        async with asyncio.timeout(PATIENCE):
            for database in await databases.of_models() if databases.are_known else ():
                if has_room(database.engine):
                    found.append(await run_on_engine(database.engine, partial(_check, database=database)))
                    for ledger in database.ledgers if write and not found[-1].missing else ():
                        refusals += await _refusals_of(database.engine, ledger)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being asked must not keep it from starting
        DATABASES_NOT_CHECKED.tell(error)
    missing = [name for each in found for name in each.missing]
    lacking = [name for each in found for name in each.without_triggers]
    problems = [*([_explain_missing(missing)] if missing else []), *([_explain(lacking)] if lacking else []), *refusals]
    if problems and probe:
        raise ConfigurationError("\n".join(problems))
    if missing:
        TABLES_MISSING.tell(tables=missing, remedy=_explain_missing(missing))
    if lacking:
        TRIGGERS_MISSING.tell(tables=lacking, remedy=_explain(lacking))


async def _refusals_of(engine: Engine, ledger: Ledger) -> list[str]:
    """Return why a ledger can't be written, unless that may be otherwise in a moment."""
    try:
        await run_on_engine(engine, partial(_write, ledger=ledger))
    except (DatabaseFailedError, DatabaseReadOnlyError, DatabaseFullError) as error:
        name = ledger.table.fullname
        return [f"The ledger's table {name!r} can't be written (FILESTORE_PROBE=read tries no writing). {error}"]
    return []


def _write(connection: Connection, *, ledger: Ledger) -> None:
    """Do what uploads and sweeps do to a ledger, and undo it."""
    backend, path = "filestore-probe", generate_key()
    ledger.reserve(connection, backend, [path])
    ledger.renew(connection, [(backend, path)])
    ledger.forget(connection, ledger.known(connection, [(backend, path)]))
    connection.rollback()


class Found(NamedTuple):
    """What one database lacks: tables, or columns of files and of ledgers, and triggers on tables that are there."""

    missing: list[str]
    without_triggers: list[str]


def _check(connection: Connection, database: Database) -> Found:
    """Warn of a commit that does not last, and return the names of tables that are missing or lack their triggers."""
    if (setting := weak_setting(connection)) is not None:
        COMMITS_NOT_DURABLE.tell(database=connection.engine.url.database, setting=setting)
    inspector = inspect(connection)
    wanted = {one.table: file_columns_of(one.table) for one in database.tables}
    wanted |= {one.table: [column.name for column in one.table.columns] for one in database.ledgers}
    missing = {table: what_lacks(inspector, table, columns) for table, columns in wanted.items()}
    there = [one.table for one in database.tables if missing[one.table] is None]
    lacking = lacking_triggers(connection, there) if connection.dialect.name in COMPLETE else ()
    return Found([each for each in missing.values() if each is not None], [triggers.table for triggers in lacking])


def _explain_missing(tables: Sequence[str]) -> str:
    return (
        f"The database lacks {', '.join(sorted(tables))}: run your migrations (alembic revision --autogenerate, "
        "alembic upgrade head), or Base.metadata.create_all, which adds no column to a table that is there, before "
        "files.lifespan begins. add_ledger adds a table of its own, which needs a migration, too."
    )


def _explain(tables: Sequence[str]) -> str:
    return (
        f"The triggers of add_ledger(triggers=True) are missing, or out of date, on {', '.join(sorted(tables))}: what "
        "raw SQL takes out of rows there leaves its objects behind. create_all makes triggers only with new tables: "
        "run an Alembic migration (alembic revision --autogenerate), or install_triggers(connection, Base.metadata)."
    )


def weak_setting(connection: Connection) -> str | None:
    """Return the setting by which a database may lose commits that it acknowledged; None if it loses none."""
    match connection.dialect.name:
        case "sqlite":
            return _weak_on_sqlite(connection)
        case "postgresql":
            return _weak_on_postgresql(connection)
        case "mysql" | "mariadb":
            level = connection.scalar(text("SELECT @@innodb_flush_log_at_trx_commit"))
            return None if level == 1 else f"innodb_flush_log_at_trx_commit={level}"
        case _:
            return None


def _weak_on_sqlite(connection: Connection) -> str | None:
    if not any(name == "main" and file for _, name, file in connection.execute(text("PRAGMA database_list"))):
        return None  # in memory nothing lasts, and nobody expects it to
    level = connection.scalar(text("PRAGMA synchronous"))
    is_wal = connection.scalar(text("PRAGMA journal_mode")) == "wal"
    if level >= FULL or (level and not is_wal):
        return None
    return f"PRAGMA synchronous={SYNCHRONOUS[level]}{' in WAL mode' if is_wal else ''}"


def _weak_on_postgresql(connection: Connection) -> str | None:
    query = text(
        "SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off' ORDER BY 1"
    )
    return " and ".join(f"{name}=off" for name in connection.scalars(query)) or None
