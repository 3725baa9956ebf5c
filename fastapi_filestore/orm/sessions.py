"""Use any kind of session and engine: await from either, and run transactions of the library's own."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from enum import Enum
from functools import cache, partial
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary, ref

from sqlalchemy import URL, Connection, Engine, Table, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import SingletonThreadPool, StaticPool
from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.concurrency.threads import WorkThreads
from fastapi_filestore.errors import UnsupportedStatementError
from fastapi_filestore.orm.failures.translate import translate_outages
from fastapi_filestore.orm.mapped_types import AnyMapper

_CONNECTING = WorkThreads("fastapi-filestore-session", most=min(32, (os.cpu_count() or 1) + 4))
"""Threads for sessions that may have to wait for a connection."""
_CONNECTED = WorkThreads("fastapi-filestore-transaction")
"""Threads for sessions in a transaction, which have their connection already: as many as there are of these.

One that ends its transaction must never queue behind those that wait for its locks.
"""

_ends = WeakKeyDictionary[Session, asyncio.Future[None]]()
"""The end of what a task does with a session."""
_at_work: ContextVar[tuple[ref[Session], ...]] = ContextVar("fastapi_filestore_sessions_at_work", default=())
"""The sessions whose work waits for what runs in this context, on whichever loop."""

T = TypeVar("T")
P = ParamSpec("P")

AnySession: TypeAlias = AsyncSession | async_scoped_session[AsyncSession] | Session | scoped_session[Session]
"""Any session of SQLAlchemy's: everything here works with each of them."""
BindArguments: TypeAlias = dict[str, Any]
"""Tells a session which database is meant: the mapped class and the statement, by their names in `get_bind`."""


def await_in_session(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine from code that a Session calls: on the caller's loop if it awaits the session, else on ours."""
    return await_only(work) if in_greenlet() else run_blocking(work)


def plain_session(session: AnySession) -> Session:
    """Return the plain session inside a session of any kind."""
    own = session() if isinstance(session, (scoped_session, async_scoped_session)) else session
    return own.sync_session if isinstance(own, AsyncSession) else own


async def run_in_session(
    session: AnySession, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a function of a Session without blocking the event loop, whichever kind of session it is.

    Several calls of one session on one loop, as of `asyncio.gather`, wait for each other: it is for one at a time.
    Cancelled, what a thread is doing with a session ends first: nobody else may use that session until then.
    """
    own = session() if isinstance(session, (scoped_session, async_scoped_session)) else session
    if isinstance(own, AsyncSession):
        async with waiting_for_session(own.sync_session):
            return await own.run_sync(work, *args, **kwargs)
    async with waiting_for_session(own):
        # A session in a transaction must not queue for a thread behind sessions that wait for its connection.
        threads = _CONNECTED if own.in_transaction() else _CONNECTING
        return await finish(threads.submit(partial(copy_context().run, partial(work, own, *args, **kwargs))))


@asynccontextmanager
async def waiting_for_session(session: Session) -> AsyncIterator[None]:
    """Wait until no other task of this loop is at work on a session, and let others wait for the end of the block."""
    loop, outer = asyncio.get_running_loop(), _at_work.get()
    while (end := _ends.get(session)) is not None and not end.done():
        if ref(session) in outer:  # what is at work on it waits for this
            yield
            return
        if end.get_loop() is not loop:
            break
        await asyncio.wait({end})
    end = _ends[session] = loop.create_future()
    _at_work.set((*outer, ref(session)))
    try:
        yield
    finally:
        _at_work.set(outer)
        end.set_result(None)
        if _ends.get(session) is end:
            del _ends[session]


def writing_bind(session: Session, mapper: AnyMapper) -> Engine | Connection:
    """Return what a session writes the rows of a mapped class through.

    Raises:
        UnsupportedStatementError: The session chooses a database for each row.
    """
    if session.connection_callable is not None:
        raise _shards_error(session, mapper)
    return session.get_bind(**_write_arguments(mapper))


def writing_connection(session: Session, mapper: AnyMapper) -> Connection:
    """Return the connection that a session writes the rows of a mapped class over, in its transaction.

    Raises:
        UnsupportedStatementError: The session chooses a database for each row.
    """
    if session.connection_callable is not None:
        raise _shards_error(session, mapper)
    return session.connection(bind_arguments=_write_arguments(mapper))


def url_of(session: Session) -> URL | None:
    """Return the URL of a session's database; None if it chooses one for each statement."""
    chooses = type(session).get_bind is not Session.get_bind
    return None if session.bind is None or chooses else session.bind.engine.url


def _shards_error(session: Session, mapper: AnyMapper) -> UnsupportedStatementError:
    # Rows of several databases may have the same key: the file that is replaced would be looked for in any of them.
    return UnsupportedStatementError(
        f"A {type(session).__name__} chooses a database for each row, so it can't write rows of "
        f"{mapper.class_.__name__}, which hold files: write them through a Session of their shard, "
        "Session(engine_of_the_shard). Reading is fine."
    )


@cache
def _write_arguments(mapper: AnyMapper) -> BindArguments:
    # The documented recipe for replicas looks for an Update or a Delete among the arguments of get_bind.
    table = mapper.local_table
    return {"mapper": mapper, "clause": update(table)} if isinstance(table, Table) else {"mapper": mapper}


_THREADS = WorkThreads("fastapi-filestore-ledger")
"""Threads that write to databases over connections of their own: as many as wait for one.

Who holds a connection of the pool, and writes beside it, must never queue behind those that wait for the pool.
"""


class ConnectionUse(Enum):
    """Say which connection a transaction of the library's own may use."""

    FROM_POOL = "the caller holds no connection and may wait for one"
    NEW = "the caller holds a connection; waiting for a second one of the same pool could be for ever"
    FORBIDDEN = "the caller's transaction must end first"


def plain_engine(engine: Engine | AsyncEngine) -> Engine:
    """Return an engine without its asynchronous shell."""
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


def has_room(engine: Engine) -> bool:
    """Tell whether an engine can have a transaction of the library's own beside others: its pool has more than one."""
    return not isinstance(engine.pool, StaticPool | SingletonThreadPool)


def isolation_of(connection: Connection) -> str | None:
    """Return the level of isolation that a connection, or its engine, was told to have; None if it was told none."""
    dialect = cast("Any", connection.dialect)
    of_engine = dialect._on_connect_isolation_level  # noqa: SLF001 - to ask the database takes a statement
    level: str | None = connection.get_execution_options().get("isolation_level", of_engine)
    return level


async def run_on_engine(
    engine: Engine, work: Callable[[Connection], T], use: ConnectionUse = ConnectionUse.FROM_POOL
) -> T:
    """Run a function in a transaction of its own and commit it, without blocking the event loop.

    Raises:
        DatabaseUnavailableError, DatabaseFailedError: Whatever the database fails with.
    """
    with translate_outages(engine.url):
        return await run_untranslated(engine, work, use)


async def run_untranslated(
    engine: Engine, work: Callable[[Connection], T], use: ConnectionUse = ConnectionUse.FROM_POOL
) -> T:
    """Run a function as `run_on_engine` does, for callers that handle the errors of the database."""
    if use is ConnectionUse.NEW:
        # Its options may say in which schema the tables are.
        options = engine.get_execution_options()
        own = Engine(engine.pool.recreate(), engine.dialect, engine.url, execution_options=options)
        try:
            return await run_untranslated(own, work)
        finally:
            await (AsyncEngine(own).dispose() if own.dialect.is_async else _THREADS.run(own.dispose))
    if engine.dialect.is_async:
        async with AsyncEngine(engine).begin() as connection:
            return await connection.run_sync(work)

    def run_in_transaction() -> T:
        with engine.begin() as connection:
            return work(connection)

    return await _THREADS.run(run_in_transaction)
