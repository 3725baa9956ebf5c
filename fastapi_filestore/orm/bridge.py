"""From a Session, which is synchronous, to coroutines, and from coroutines to any Session."""

import os
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from fastapi_filestore.storage.blocking import run_blocking
from fastapi_filestore.storage.cleanup import finish
from fastapi_filestore.storage.threads import WorkThreads

_CONNECTING = WorkThreads("fastapi-filestore-session", most=min(32, (os.cpu_count() or 1) + 4))
"""Threads for sessions that may have to wait for a connection."""
_CONNECTED = WorkThreads("fastapi-filestore-transaction")
"""Threads for sessions in a transaction, which have their connection already: as many as there are of these.

One that ends its transaction must never queue behind those that wait for its locks.
"""

T = TypeVar("T")
P = ParamSpec("P")

AnySession: TypeAlias = AsyncSession | async_scoped_session[AsyncSession] | Session | scoped_session[Session]
"""Any session of SQLAlchemy's: everything here works with each of them."""


def await_in_session(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from code that a Session calls: on the caller's loop if it awaits the session, else on ours."""
    return await_only(work) if in_greenlet() else run_blocking(work)


def plain_session(session: AnySession) -> Session:
    """Return the plain session inside a session of any kind."""
    own = _in_scope(session)
    return own.sync_session if isinstance(own, AsyncSession) else own


def _in_scope(session: AnySession) -> AsyncSession | Session:
    return session() if isinstance(session, (scoped_session, async_scoped_session)) else session


async def run_in_session(
    session: AnySession, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a function of a Session without blocking the event loop, whichever kind of session it is.

    Cancelled, what a thread is doing with a session ends first: nobody else may use that session until then.
    """
    own = _in_scope(session)
    if isinstance(own, AsyncSession):
        return await own.run_sync(work, *args, **kwargs)
    # A session in a transaction must not queue for a thread behind sessions that wait for its connection.
    threads = _CONNECTED if own.in_transaction() else _CONNECTING
    return await finish(threads.submit(partial(copy_context().run, partial(work, own, *args, **kwargs))))
