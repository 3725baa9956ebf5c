"""Look at a database as the ledger and the rows need it: reachable, complete, writable, and keeping its commits."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from sqlalchemy import Connection, text

from fastapi_filestore.orm.column.tables import lacks_of
from fastapi_filestore.orm.sessions import run_on_engine
from fastapi_filestore.orm.triggers.installed import COMPLETE
from fastapi_filestore.service.audit.tables import Database
from fastapi_filestore.service.check.checked import Checked, Outcome, ask, unknown, weak, wrong
from fastapi_filestore.service.start.start import (
    explain_missing_tables,
    explain_missing_triggers,
    find_lacks,
    try_writing,
    weak_setting,
)

REACHED = "reached"
"""The check without which there is nothing to ask."""
KNOWN_COMMITS = frozenset({"sqlite", "postgresql", "mysql", "mariadb"})
"""Databases whose settings of durability are known."""


async def check_database(database: Database, limit: float) -> AsyncIterator[Checked]:
    """Yield how each went; nothing else is asked of one that can't be reached."""
    subject = f"database {database.engine.url.render_as_string(hide_password=True)}"

    def on_connection(work: Callable[[Connection, Database], str]) -> Callable[[], Awaitable[str]]:
        return partial(run_on_engine, database.engine, lambda connection: work(connection, database))

    questions = {
        "tables": _find_tables,
        "ledger": _try_ledgers,
        "triggers": _find_triggers,
        "durable commits": _ask_for_durability,
    }
    reached = await ask(subject, REACHED, on_connection(_reach), limit)
    yield reached
    for name, question in questions.items() if reached.outcome is Outcome.OK else ():
        yield await ask(subject, name, on_connection(question), limit)


def _reach(connection: Connection, database: Database) -> str:
    connection.execute(text("SELECT 1"))
    return ""


def _find_tables(connection: Connection, database: Database) -> str:
    own = [*(file_table.table for file_table in database.tables), *(ledger.table for ledger in database.ledgers)]
    beside = {table for described in own for table in described.metadata.tables.values()}.difference(own)
    if missing := lacks_of(connection, own):
        raise wrong(explain_missing_tables(missing))
    if missing := lacks_of(connection, beside):
        raise weak(f"{explain_missing_tables(missing)} These have no files: if another database has them, all is well.")
    return ", ".join(sorted(table.table.fullname for table in database.tables))


def _try_ledgers(connection: Connection, database: Database) -> str:
    if not database.ledgers:
        raise weak(
            "The models have no ledger: what a killed process has stored is found by audits only. Call "
            "add_ledger(Base.metadata) where Base is, and run a migration."
        )
    if missing := lacks_of(connection, [ledger.table for ledger in database.ledgers]):
        raise wrong(explain_missing_tables(missing))
    for ledger in database.ledgers:
        try_writing(connection, ledger)
    return ", ".join(sorted(ledger.table.fullname for ledger in database.ledgers))


def _find_triggers(connection: Connection, database: Database) -> str:
    if not any(ledger.triggers for ledger in database.ledgers):
        return "none wanted"
    if connection.dialect.name not in COMPLETE:
        raise unknown(f"Nobody knows how to look for triggers in {connection.dialect.name}.")
    if lacking := find_lacks(connection, database).without_triggers:
        raise wrong(explain_missing_triggers(lacking))
    return ""


def _ask_for_durability(connection: Connection, database: Database) -> str:
    if connection.dialect.name not in KNOWN_COMMITS:
        raise unknown(f"Nobody knows which settings of {connection.dialect.name} keep commits from lasting.")
    if (setting := weak_setting(connection)) is not None:
        raise weak(
            f"With {setting} the database may lose its last commits when the power fails, and rows come back whose "
            "files are deleted: change the setting, or keep deleted files for a while, add_ledger(..., "
            "keep_deleted=timedelta(days=7))."
        )
    return ""
