"""Put a ledger beside the tables of a metadata."""

from datetime import timedelta
from math import isfinite

from sqlalchemy import Column, Float, Integer, MetaData, String, Table

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.ledger.ledger import (
    DEFAULT_BLOCK,
    DEFAULT_MIN_AGE,
    DEFAULT_NAME,
    DELETION_GRACE,
    LEDGER_KEY,
    TRIGGERS_KEY,
    Ledger,
    LedgerTarget,
)


def add_ledger(
    metadata: MetaData,
    *,
    name: str = DEFAULT_NAME,
    schema: str | None = None,
    min_age: float = DEFAULT_MIN_AGE,
    block: int = DEFAULT_BLOCK,
    triggers: bool = False,
    keep_deleted: float | timedelta = 0,
) -> Ledger:
    """Put the ledger's table beside the tables of a metadata, so that `create_all` and Alembic know it.

    From then on every session that writes rows of that metadata is crash-safe.

    Args:
        metadata: Usually `Base.metadata`.
        name: The table's name.
        schema: The table's schema; the metadata's own if None.
        min_age: Seconds before the intent of an upload that nobody finished falls due; longer than your longest
            transaction. Uploads that take longer renew theirs.
        block: Paths reserved in one transaction at the most.
        triggers: Let database triggers (SQLite, PostgreSQL) write deletion intents for raw SQL, ON DELETE CASCADE and
            other programs. They come and go with each table that has file columns.
        keep_deleted: How long an object stays after no row holds it any more, in seconds or as a timedelta: as long as
            an older state of the database may come back, or a row be undeleted. Only a sweep deletes it then.

    Raises:
        ConfigurationError: `metadata` is none, or `keep_deleted` is no time.
    """
    if not isinstance(metadata, MetaData):
        raise ConfigurationError(
            f"A ledger is put beside the tables of a MetaData, not of {metadata!r}: Base.metadata."
        )
    kept = seconds_of("keep_deleted", keep_deleted)
    if kept < 0:
        raise ConfigurationError(f"keep_deleted is {keep_deleted!r}: give the seconds, or a timedelta, from 0 on.")
    # Its columns are repeated, as text, by the triggers of each database: see `orm/triggers`.
    table = Table(
        name,
        metadata,
        Column("backend", String(255), primary_key=True),
        Column("path", String(1024), primary_key=True),
        Column("kind", String(8), nullable=False),
        Column("due_at", Float(53), nullable=False, index=True),
        Column("attempts", Integer, nullable=False, default=0, server_default="0"),
        Column("error", String(500)),
        schema=schema,
    )
    ledger = Ledger(table, min_age=min_age, block=block, triggers=triggers, keep_deleted=kept)
    metadata.info[LEDGER_KEY] = ledger
    if triggers:
        ask_for_triggers(metadata, LedgerTarget(table.name, table.schema, kept or DELETION_GRACE))
    return ledger


def seconds_of(name: str, time: object) -> float:
    """Return a time that is given in seconds or as a timedelta; `ConfigurationError` if it is neither."""
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not isfinite(seconds):
        raise ConfigurationError(f"{name} is {time!r}: give the seconds, or a timedelta.")
    return float(seconds)


def ask_for_triggers(metadata: MetaData, ledger: LedgerTarget) -> None:
    """Let every table of a metadata that has file columns have triggers, those defined later included."""
    metadata.info[TRIGGERS_KEY] = ledger
