"""Keep an AsyncSession to its event loop: connections that one loop has made work on no other one."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import Pool, QueuePool

from fastapi_filestore.concurrency.blocking import is_own_loop
from fastapi_filestore.concurrency.loops import HomeLoop
from fastapi_filestore.errors import BlockingCallError, FilestoreError
from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.orm.sessions import AnySession, writing_bind
from fastapi_filestore.orm.unit_of_work.state import SessionState, state_of

REMEDY: Final = "`await` its calls in that loop while it runs, or make a session and a service anew where they are used"

_homes: WeakKeyDictionary[Pool, HomeLoop] = WeakKeyDictionary()
"""The event loops that have used last the pools which keep connections."""
_applications: list[HomeLoop] = []
"""The event loops of the applications of this process."""


def note_loop(state: SessionState, connection: Connection) -> None:
    """Note the event loop in which an AsyncSession gets its connection."""
    if not connection.dialect.is_async:
        return
    if is_own_loop():
        state.home = None
        return
    home = state.home = HomeLoop(remedy=REMEDY)
    if isinstance(connection.engine.pool, QueuePool):
        _homes[connection.engine.pool] = home


@contextmanager
def serving() -> Iterator[None]:
    """Note that an application runs in this event loop, as long as the block does: its engines are to be used here."""
    home = HomeLoop(remedy=REMEDY)
    _applications.append(home)
    try:
        yield
    finally:
        _applications.remove(home)


def home_of(session: AnySession, made: HomeLoop, mapper: AnyMapper, what: object) -> HomeLoop | None:
    """Return the event loop that calls of a service have to run in; None if it may be the library's own.

    It is the one that the session's connection belongs to. Without a connection it is the first one that runs: where
    the session was used last, where the service was `made`, where the pool of the session's engine was used last, or
    where an application runs.

    Raises:
        BlockingCallError: The session or the service belongs to a loop that does not run any more.
    """
    state = _state_of(session)
    if state is not None and state.is_connected:
        own, others = [state.home], list[HomeLoop | None]()
    else:
        pool = _pool_of(session, mapper)
        own = [made] if state is None else [state.home, made]
        others = [None if pool is None else _homes.get(pool), *_applications]
    known = [home for home in own if home is not None and home.is_known]
    for home in (*known, *others):
        if home is not None and home.is_running:
            return home
    if known:
        raise known[0].gone(what)
    return None


def refuse_elsewhere(session: AnySession, made: HomeLoop, mapper: AnyMapper, what: object) -> None:
    """Raise `BlockingCallError` where a call would use connections of another loop, which runs in another thread."""
    state = _state_of(session)
    is_connected = state is not None and state.is_connected
    home = state.home if state is not None and is_connected else made
    if home is None or home.elsewhere is None:
        return
    if is_connected or _pool_of(session, mapper) is not None:
        raise BlockingCallError(
            f"{what} is used in an event loop of its own, and its session belongs to another one, which runs in "
            "another thread and has the connections: use a blocking `service.wait(service.create(...))`, which runs a "
            "call there, or give this loop a service, a session and an engine of its own."
        )


def _state_of(session: AnySession) -> SessionState | None:
    # Which session a scoped one means is known in the task only that uses it.
    return state_of(session.sync_session) if isinstance(session, AsyncSession) else None


def _pool_of(session: AnySession, mapper: AnyMapper) -> Pool | None:
    """Return the pool that a session takes connections from, if it keeps them: each belongs to the loop it began in."""
    if isinstance(session, AsyncSession):
        with suppress(FilestoreError, SQLAlchemyError):  # it has none for the model, or another one for each row
            pool = writing_bind(session.sync_session, mapper).engine.pool
            return pool if isinstance(pool, QueuePool) else None
    return None
