"""From a Session, which is synchronous, to coroutines, and from coroutines to any Session."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, ref

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

_jobs = WeakKeyDictionary[Session, asyncio.Future[Any]]()
"""What a thread, or a task, does with a session."""
_at_work: ContextVar[tuple[ref[Session], ...]] = ContextVar("fastapi_filestore_sessions_at_work", default=())
"""The sessions whose work waits for what runs in this context, on whichever loop."""

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

    Several calls of one session on one loop, as of `asyncio.gather`, wait for each other: it is for one at a time.
    Cancelled, what a thread is doing with a session ends first: nobody else may use that session until then.
    """
    own = _in_scope(session)
    if isinstance(own, AsyncSession):
        async with turn_with(own):
            return await own.run_sync(work, *args, **kwargs)
    await _its_turn(own)
    # A session in a transaction must not queue for a thread behind sessions that wait for its connection.
    threads = _CONNECTED if own.in_transaction() else _CONNECTING
    context = copy_context()
    context.run(_at_work.set, (*_at_work.get(), ref(own)))
    job = _jobs[own] = threads.submit(partial(context.run, partial(work, own, *args, **kwargs)))
    try:
        return await finish(job)
    finally:
        _end(own, job)
        del job  # an error would hold this frame, and the frame the error


@asynccontextmanager
async def turn_with(session: AnySession) -> AsyncIterator[None]:
    """Wait until no other task of this loop is at work on a session, and let others wait for the end of the block."""
    plain, around = plain_session(session), _at_work.get()
    await _its_turn(plain)
    if ref(plain) in around:  # what is at work on it waits for this
        yield
        return
    end = _jobs[plain] = asyncio.get_running_loop().create_future()
    _at_work.set((*around, ref(plain)))
    try:
        yield
    finally:
        _at_work.set(around)
        end.set_result(None)
        _end(plain, end)


def _end(session: Session, job: asyncio.Future[Any]) -> None:
    if _jobs.get(session) is job:
        del _jobs[session]


async def _its_turn(session: Session) -> None:
    """Wait for what another task of this loop does with a session; not for what itself waits for this."""
    loop = asyncio.get_running_loop()
    while (job := _jobs.get(session)) is not None and not job.done():
        if job.get_loop() is not loop or ref(session) in _at_work.get():
            return
        await asyncio.wait({job})
