"""Check once, as an application starts, its databases and the backends that its columns name."""

import asyncio
from collections.abc import Collection, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

from sqlalchemy import Connection, inspect, text
from sqlalchemy.orm import configure_mappers

from fastapi_filestore.errors import (
    ConfigurationError,
    DatabaseFailedError,
    DatabaseFullError,
    DatabaseReadOnlyError,
)
from fastapi_filestore.events import (
    BACKEND_NOT_REGISTERED,
    COMMITS_NOT_DURABLE,
    DATABASES_NOT_CHECKED,
    TABLES_MISSING,
    TRIGGERS_MISSING,
)
from fastapi_filestore.orm.column.attributes import FileAttribute, file_attributes, file_mappers
from fastapi_filestore.orm.column.tables import file_columns_of, what_lacks
from fastapi_filestore.orm.ledger.ledger import Ledger
from fastapi_filestore.orm.mapped_types import AnyColumn, AnyMapper
from fastapi_filestore.orm.sessions import has_room, run_on_engine
from fastapi_filestore.orm.triggers.installed import COMPLETE, find_lacking_triggers
from fastapi_filestore.service.audit.tables import Database
from fastapi_filestore.service.start.databases import Databases
from fastapi_filestore.storage.paths import generate_path
from fastapi_filestore.storage.registry import StorageRegistry

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
                        try:
                            await run_on_engine(database.engine, partial(try_writing, ledger=ledger))
                        except (DatabaseFailedError, DatabaseReadOnlyError, DatabaseFullError) as error:
                            refusals.append(
                                f"The ledger's table {ledger.table.fullname!r} can't be written (FILESTORE_PROBE=read "
                                f"tries no writing). {error}"
                            )
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being asked must not keep it from starting
        DATABASES_NOT_CHECKED.tell(error)
    missing = [name for lack in found for name in lack.missing]
    lacking = [name for lack in found for name in lack.without_triggers]
    problems = [
        *([explain_missing_tables(missing)] if missing else []),
        *([explain_missing_triggers(lacking)] if lacking else []),
        *refusals,
    ]
    if problems and probe:
        raise ConfigurationError("\n".join(problems))
    if missing:
        TABLES_MISSING.tell(tables=missing, remedy=explain_missing_tables(missing))
    if lacking:
        TRIGGERS_MISSING.tell(tables=lacking, remedy=explain_missing_triggers(lacking))


def try_writing(connection: Connection, ledger: Ledger) -> None:
    """Write to a ledger and read it, in a transaction that is rolled back."""
    backend, path = "filestore-probe", generate_path()
    ledger.reserve(connection, backend, [path])
    ledger.renew(connection, [(backend, path)])
    ledger.forget(connection, ledger.known(connection, [(backend, path)]))
    connection.rollback()


class Found(NamedTuple):
    """The lacks of one database: tables, or columns of files and of ledgers, and triggers on tables that are there."""

    missing: list[str]
    without_triggers: list[str]


def _check(connection: Connection, database: Database) -> Found:
    """Warn of a commit that does not last, and return the names of tables that are missing or lack their triggers."""
    if (setting := weak_setting(connection)) is not None:
        COMMITS_NOT_DURABLE.tell(database=connection.engine.url.database, setting=setting)
    return find_lacks(connection, database)


def find_lacks(connection: Connection, database: Database) -> Found:
    """Return the names of tables that are missing in a database, and of those that lack their triggers."""
    inspector = inspect(connection)
    wanted = {file_table.table: file_columns_of(file_table.table) for file_table in database.tables}
    wanted |= {ledger.table: [column.name for column in ledger.table.columns] for ledger in database.ledgers}
    missing = {table: what_lacks(inspector, table, columns) for table, columns in wanted.items()}
    present = [file_table.table for file_table in database.tables if missing[file_table.table] is None]
    lacking = find_lacking_triggers(connection, present) if connection.dialect.name in COMPLETE else ()
    return Found([name for name in missing.values() if name is not None], [triggers.table for triggers in lacking])


def explain_missing_tables(tables: Sequence[str]) -> str:
    """Say which tables a database lacks, and how they come to be."""
    return (
        f"The database lacks {', '.join(sorted(tables))}: run your migrations (alembic revision --autogenerate, "
        "alembic upgrade head), or Base.metadata.create_all, which adds no column to a table that is there, before "
        "files.lifespan begins. add_ledger adds a table of its own, which needs a migration, too."
    )


def explain_missing_triggers(tables: Sequence[str]) -> str:
    """Say which tables lack their triggers, and how they come to be."""
    return (
        f"The triggers of add_ledger(triggers=True) are missing, or out of date, on {', '.join(sorted(tables))}: what "
        "raw SQL takes out of rows there leaves its objects behind. create_all makes triggers only with new tables: "
        "run an Alembic migration (alembic revision --autogenerate), or install_triggers(connection, Base.metadata)."
    )


def weak_setting(connection: Connection) -> str | None:
    """Return the setting by which a database may lose commits that it acknowledged; None if it loses none."""
    match connection.dialect.name:
        case "sqlite":
            if not any(name == "main" and file for _, name, file in connection.execute(text("PRAGMA database_list"))):
                return None  # in memory nothing lasts, and nobody expects it to
            level = connection.scalar(text("PRAGMA synchronous"))
            is_wal = connection.scalar(text("PRAGMA journal_mode")) == "wal"
            if level >= FULL or (level and not is_wal):
                return None
            return f"PRAGMA synchronous={SYNCHRONOUS[level]}{' in WAL mode' if is_wal else ''}"
        case "postgresql":
            names = connection.scalars(
                text(
                    "SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off' "
                    "ORDER BY 1"
                )
            )
            return " and ".join(f"{name}=off" for name in names) or None
        case "mysql" | "mariadb":
            level = connection.scalar(text("SELECT @@innodb_flush_log_at_trx_commit"))
            return None if level == 1 else f"innodb_flush_log_at_trx_commit={level}"
        case _:
            return None


def require_backends(models: Collection[type], registry: StorageRegistry) -> None:
    """Look for the backends of all file columns of this process; log what columns of other classes lack.

    Args:
        models: The classes that the application serves.
        registry: Where it registers the backends of its settings.

    Raises:
        ConfigurationError: A column of one of the models has no backend.
    """
    columns = backends_of_columns(models, registry)
    problems = [f"- {column.name}: {column.problem}." for column in columns if column.is_served and column.problem]
    if problems:
        raise ConfigurationError("\n".join(["Columns whose backend nobody has registered:", *problems]))
    lacking = {column.name for column in columns if column.problem}
    if lacking:
        BACKEND_NOT_REGISTERED.tell(columns=sorted(lacking))


class ColumnBackend(NamedTuple):
    """The backend of a file column: whose it is, what is wrong with it, and whether the application serves the class.

    `problem` is None where there is none.
    """

    name: str
    problem: str | None
    is_served: bool


def backends_of_columns(models: Collection[type], registry: StorageRegistry) -> list[ColumnBackend]:
    """Return the backends of all file columns of this process, those of the models that the application serves first.

    Args:
        models: The classes that the application serves.
        registry: Where it registers the backends of its settings.
    """
    own = _columns_of(models)
    others = {
        attribute.column: (mapper.class_, attribute)
        for mapper in file_mappers()
        for attribute in file_attributes(mapper)
        if attribute.column not in own
    }
    found = list[ColumnBackend]()
    for column, (model, attribute) in (own | others).items():
        key, columns_own = _key(attribute), attribute.type.registry
        problem = None if key in columns_own else _remedy(key, columns_own, registry)
        found.append(ColumnBackend(_name(model, attribute), problem, column in own))
    return found


def backends_of(models: Collection[type], registry: StorageRegistry) -> list[tuple[str, StorageRegistry]]:
    """Return the backends of the file columns of some models, by key and registry; all of a registry if none is given.

    Whether they are registered is for the caller to see.
    """
    if not models:
        return [(backend.key, registry) for backend in registry]
    columns = _columns_of(models).values()
    return list(dict.fromkeys((_key(attribute), attribute.type.registry) for _, attribute in columns))


def _columns_of(models: Collection[type]) -> dict[AnyColumn, tuple[type, FileAttribute]]:
    """Return the file columns of some models, and of what inherits from them, each with its class and attribute."""
    configure_mappers()  # this may be the first that a process does
    # First those that it is told to serve, then what inherits from them, whose rows are rows of theirs.
    served: dict[AnyMapper, None] = dict.fromkeys(
        chain.from_iterable(inspect(model).self_and_descendants for model in models)
    )
    return {
        attribute.column: (mapper.class_, attribute)
        for mapper in reversed(served)
        for attribute in file_attributes(mapper)
    }


def _key(attribute: FileAttribute) -> str:
    return attribute.type.backend or attribute.type.registry.default_key


def _name(model: type, attribute: FileAttribute) -> str:
    return f"{model.__name__}.{attribute.name} (backend {_key(attribute)!r})"


def _remedy(key: str, of_column: StorageRegistry, of_settings: StorageRegistry) -> str:
    """Say how a column comes to its backend, which its registry lacks."""
    if of_column is not of_settings and key in of_settings:
        return "it is registered in the registry of this Filestore: give that to the column, StoredObject(registry=...)"
    if key.lower() in of_column:
        return f"it is registered as {key.lower()!r}, as settings name all in lower case: call it so in StoredObject"
    known = ", ".join(sorted(backend.key for backend in of_column)) or "none"
    return (
        f"there is {known}; set FILESTORE_BACKENDS__{key.upper()}__URL, or call storages.register_backend(...) "
        "before files.lifespan begins, or give the column one of those there are"
    )
