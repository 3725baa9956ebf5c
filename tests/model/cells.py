"""The cells that the model is played in, and the scene of one: its database, its store, its event loop."""

import asyncio
import json
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, product
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, TypeVar
from unittest.mock import patch
from weakref import WeakSet

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import configure_mappers

from fastapi_filestore import storages
from fastapi_filestore.orm.column import attributes as file_attributes
from fastapi_filestore.orm.column.attributes import file_mappers
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.uploads.tables import uploads_of
from tests.model.store import Store
from tests.model.tables import BACKEND, COLUMNS, FAMILIES, LEDGERS, NAMES, Family
from tests.servers.postgres import Postgres

T = TypeVar("T")

BUSY_SECONDS: Final = 0.05
"""How long a session waits for what another one locked; both are this process's, so it waits in vain."""


@dataclass(frozen=True)
class Cell:
    """A kind of database, ledger, session and column."""

    database: str
    ledger: str
    is_async: bool
    multiple: bool

    def __str__(self) -> str:
        session, column = "async" if self.is_async else "sync", "list" if self.multiple else "single"
        return f"{self.database}-{self.ledger}-{session}-{column}"

    @property
    def family(self) -> Family:
        """Its tables."""
        return FAMILIES[self.ledger, self.multiple]


CELLS: Final = tuple(
    Cell(*combination) for combination in product(("sqlite", "postgres"), LEDGERS, (False, True), (False, True))
)


@dataclass
class Scene:
    """A cell's database beside a store, used for one sequence after the other.

    Attributes:
        loop: Where its asynchronous sessions live, with all else that is awaited.
        raw: A connection of its own, whose driver knows nothing of our types.
        held_once: The keys of objects that committed rows hold, or held.
        serial: Counts rows and files, in all sequences.
    """

    cell: Cell
    engine: Engine | AsyncEngine
    loop: asyncio.AbstractEventLoop
    raw: Any
    store: Store = field(default_factory=Store)
    seen: dict[str, tuple[str | None, bytes]] = field(default_factory=dict)
    held_once: set[str] = field(default_factory=set)
    serial: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def family(self) -> Family:
        """The tables."""
        return self.cell.family

    @property
    def plain_engine(self) -> Engine:
        """The engine without its asynchronous shell."""
        return self.engine.sync_engine if isinstance(self.engine, AsyncEngine) else self.engine

    @property
    def has_one_writer(self) -> bool:
        """Whether a transaction that writes keeps every other one from writing."""
        return self.cell.database == "sqlite"

    @property
    def has_ledger(self) -> bool:
        """Whether there is a ledger."""
        return self.cell.ledger != "none"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop."""
        return self.loop.run_until_complete(work)

    def begin(self) -> None:
        """Make ready for a sequence: empty tables, an empty store."""
        self.store, self.seen, self.held_once = Store(), {}, set()
        storages.register_backend(self.store, replace=True)
        self.run(release_reservations())
        for table in ("prints", "photos", "cards", "albums", "artworks", "letters", "notes", *self._tables_beside):
            self.raw.execute(f"DELETE FROM {table}")

    @property
    def _ledger_tables(self) -> list[str]:
        return [self.family.ledger.table.name] if self.family.ledger else []

    @property
    def _tables_beside(self) -> list[str]:
        uploads = uploads_of(self.family.metadata)
        return [*self._ledger_tables, *([uploads.segments.name, uploads.uploads.name] if uploads else [])]

    @cached_property
    def _reading(self) -> str:
        files = [
            f"SELECT '{kind}', tag, '{column}', CAST({column} AS TEXT) FROM {NAMES[kind]}"
            for kind, columns in COLUMNS.items()
            for column in columns
        ]
        bare = [f"SELECT '{kind}', tag, '', NULL FROM {NAMES[kind]}" for kind in NAMES if not COLUMNS[kind]]
        ledger = [f"SELECT kind, 0, path, '' FROM {table}" for table in self._ledger_tables]
        return " UNION ALL ".join(files + bare + ledger)

    def read(self) -> tuple[dict[int, dict[str, Any]], set[str]]:
        """Return the JSON of every row's file columns, by tag, and the paths that the ledger holds intents of."""
        rows: dict[int, dict[str, Any]] = {}
        intents = set[str]()
        for kind, tag, column, value in self.raw.execute(self._reading).fetchall():
            if kind in NAMES:
                rows.setdefault(tag, {})[column] = None if value is None else json.loads(value)
            else:
                intents.add(column)
        return rows, intents

    def read_uploads(self) -> dict[str, tuple[str, int, str | None, list[Any], list[Any]]]:
        """Return of every upload its state, where it is, where its client stores it, its file and its segments."""
        uploads = "SELECT id, state, received, path, CAST(file AS TEXT) FROM filestore_uploads"
        segments = "SELECT upload_id, CAST(file AS TEXT) FROM filestore_segments ORDER BY start"
        found: dict[str, tuple[str, int, str | None, list[Any], list[Any]]] = {
            identity: (state, received, path, [json.loads(file)] if file else [], [])
            for identity, state, received, path, file in self.raw.execute(uploads).fetchall()
        }
        for identity, file in self.raw.execute(segments).fetchall():
            found[identity][-1].append(json.loads(file))
        return found

    def objects(self) -> dict[str, bytes]:
        """Return the bytes of every object by its key."""
        self.seen = self.run(self.store.contents(self.seen))
        return {path: content for path, (_, content) in self.seen.items()}


@contextmanager
def open_scene(cell: Cell, postgres: Postgres | None, folder: Path) -> Iterator[Scene]:
    """Open the scene of a cell: a new database on a server, or in a folder."""
    with ExitStack() as stack:
        if cell.database == "sqlite":
            url, raw = _sqlite(cell, folder)
        else:
            assert postgres is not None
            url, raw = _postgres(cell, postgres)
        stack.enter_context(closing(raw))
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        engine = _engine(cell, url)
        scene = Scene(cell, engine, loop, raw)
        stack.callback(_close, scene)
        stack.enter_context(_own_classes_alone(cell.family))
        _create_tables(scene)
        yield scene


def _own_classes_alone(family: Family) -> AbstractContextManager[object]:
    """Let there be no mapped classes but a cell's: where the others have their rows, an audit can't know."""
    configure_mappers()
    own = WeakSet(mapper for mapper in file_mappers() if mapper.local_table in family.metadata.tables.values())
    return patch.object(file_attributes, "_mappers", own)


def _close(scene: Scene) -> None:
    scene.run(release_reservations())
    for task in asyncio.all_tasks(scene.loop):  # which keeps leases, if anybody wants them
        task.cancel()
    if isinstance(scene.engine, AsyncEngine):
        scene.run(scene.engine.dispose())
    else:
        scene.engine.dispose()
    scene.run(scene.loop.shutdown_default_executor())
    if BACKEND in storages:
        storages.unregister_backend(BACKEND)


def _sqlite(cell: Cell, folder: Path) -> tuple[str, Any]:
    path = folder / f"{token_hex(8)}.db"
    raw = sqlite3.connect(path, isolation_level=None, timeout=5)
    raw.execute("PRAGMA journal_mode=WAL")  # nobody who reads keeps another from writing
    return f"sqlite{'+aiosqlite' if cell.is_async else ''}:///{path}", raw


def _postgres(cell: Cell, server: Postgres) -> tuple[str, Any]:
    name = f"model_{token_hex(8)}"
    server.execute(f"CREATE DATABASE {name}")
    database = Postgres(server.port, server.password, name, server.user)
    raw = psycopg.connect(database.url("postgresql"), autocommit=True)
    return database.url("postgresql+asyncpg" if cell.is_async else "postgresql+psycopg"), raw


def _engine(cell: Cell, url: str) -> Engine | AsyncEngine:
    arguments: dict[str, Any]
    if cell.database == "sqlite":
        arguments = {"timeout": BUSY_SECONDS} | ({} if cell.is_async else {"check_same_thread": False})
    elif cell.is_async:
        arguments = {"server_settings": {"lock_timeout": f"{BUSY_SECONDS * 1000:.0f}"}}
    else:
        arguments = {"options": f"-c lock_timeout={BUSY_SECONDS * 1000:.0f}"}
    engine = (create_async_engine if cell.is_async else create_engine)(url, connect_args=arguments)
    if cell.database == "sqlite":
        _prepare_sqlite(engine.sync_engine if isinstance(engine, AsyncEngine) else engine)
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    """Let SAVEPOINT work, by SQLAlchemy's documented recipe, and foreign keys; what a power cut loses, nobody needs."""

    @event.listens_for(engine, "connect")
    def leave_begin_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")


def _create_tables(scene: Scene) -> None:
    create = scene.family.metadata.create_all
    if isinstance(scene.engine, AsyncEngine):
        scene.run(_create_on(scene.engine, create))
    else:
        create(scene.engine)


async def _create_on(engine: AsyncEngine, create: Any) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(create)
