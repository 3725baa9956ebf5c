"""Run the unit of work of a service: its transaction begins at the first statement and ends with the block.

Tasks of one block share its unit, as those of `asyncio.gather` do. When one of them fails, the block ends and is rolled
back, while the others are still storing bytes or waiting for the session. What they wrote then nobody would commit or
roll back, and the next unit of the same service is none of theirs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import CORO_CREATED, getcoroutinestate
from typing import Concatenate, Final, Generic, ParamSpec, Self, TypeVar
from weakref import WeakKeyDictionary, ref

from anyio import CancelScope
from sqlalchemy import Engine, inspect
from sqlalchemy.orm import Session
from sqlalchemy.orm.identity import IdentityMap
from sqlalchemy.pool import QueuePool

from fastapi_filestore.concurrency.awaited import must_await, requiring_awaits
from fastapi_filestore.concurrency.blocking import run_blocking_here
from fastapi_filestore.concurrency.loops import HomeLoop
from fastapi_filestore.errors import BlockingCallError, DatabaseFailedError, UnitOfWorkEndedError
from fastapi_filestore.orm.failures.refusals import translate_ended_begin
from fastapi_filestore.orm.failures.translate import translate_outages
from fastapi_filestore.orm.ledger.ledger import explain_missing, ledger_of_class
from fastapi_filestore.orm.sessions import AnySession, plain_session, run_in_session, url_of, writing_bind
from fastapi_filestore.orm.unit_of_work.changes import has_edits
from fastapi_filestore.orm.unit_of_work.read_only import end_if_only_read
from fastapi_filestore.orm.unit_of_work.session_loops import home_of, refuse_elsewhere
from fastapi_filestore.orm.unit_of_work.state import state_of
from fastapi_filestore.service import rows


@dataclass(slots=True, eq=False)
class Unit:
    """A unit of work of one service; the one outside of all blocks, which has none, does not end by itself."""

    service: "ref[object] | None" = None
    has_ended: bool = False


_entered: ContextVar[tuple[Unit, ...]] = ContextVar("fastapi_filestore_units", default=())
"""The units whose blocks this context is inside of; that of a task stays so when the block has ended."""


@dataclass(slots=True)
class Part:
    """A call as a part of a unit of work, as of the call's beginning: `is_late` if the unit had ended by then.

    It `is_inside` if the unit's block has begun the caller. `rows` are those that the session knew at the beginning:
    one that is closed meanwhile has others.
    """

    unit: Unit
    model: str
    session: Session
    rows: IdentityMap
    is_late: bool
    is_inside: bool

    def refuse_ended(self) -> None:
        """Raise `UnitOfWorkEndedError` if the unit has ended since, or its session was closed."""
        was_closed = self.session.identity_map is not self.rows and not self.session.in_transaction()
        if was_closed or (self.unit.has_ended and not self.is_late):
            raise UnitOfWorkEndedError(self.model)


ModelT = TypeVar("ModelT")
T = TypeVar("T")
P = ParamSpec("P")


class Transactional(Generic[ModelT]):
    """Begin, commit and roll back what a service does with its session, as a whole."""

    model: type[ModelT]
    session: AnySession
    hold_session: bool
    _unit: Unit
    _made: HomeLoop | None = None

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[Self]:
        """Commit at the end of the block, or roll back if it raises.

        Tasks that the block has begun, and that are not done by then, are refused from then on.

        Raises:
            NeverAwaitedError: A call of the block, of a service or a file, was never awaited.
        """
        around, unit, entered = self._unit, Unit(ref(self)), _entered.get()
        self._unit = unit
        _entered.set((*entered, unit))  # what is called in the block, and by tasks that it begins, is a part of it
        try:
            try:
                async with requiring_awaits():
                    yield self
            finally:
                _entered.set(entered)
                unit.has_ended = True
            await self.commit()
        except BaseException:
            with CancelScope(shield=True):  # in this task still: it may be what a scoped session is of
                await self.rollback()
            raise
        finally:
            self._unit = around

    def refuse_writes(self) -> None:
        """Refuse all that is written from now on, but in a new `unit_of_work`: nobody would commit it.

        The dependency does so when it has committed, before the response is sent.
        """
        self._unit.has_ended = True

    @must_await
    async def end_reading(self) -> None:
        """End a transaction that has only read, and expire nothing: a client is to be waited for, perhaps for long.

        The service does so before it stores what a client is sending; any other transaction is kept.
        """
        part = self._begin()
        if not self.hold_session and state_of(part.session).is_connected:
            await self._run(part, end_if_only_read)

    def wait(self, call: Coroutine[object, object, T]) -> T:
        """Run a call of this service to its end, blocking, where nothing can be awaited: in a `def` endpoint, a thread.

        Over an AsyncSession it runs on the event loop that the session was used in last, or the service was made in,
        whichever thread waits for it; on one of the library's own if there was none.

        >>> document = service.wait(service.create({"title": "t", "file": file}))

        Raises:
            BlockingCallError: An event loop runs in this thread, or the session's does nothing any more.
        """
        try:
            if self._made is None:
                return run_blocking_here(call)
            name = f"The service of {self.model.__name__}"
            home = home_of(self.session, self._made, inspect(self.model), name)
            return run_blocking_here(call if home is None else home.run(lambda: call, name))
        except BlockingCallError:
            if getcoroutinestate(call) == CORO_CREATED:
                call.close()  # Python would only warn of it
            raise

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for a turn at writing rows, for a block that writes and commits at once: it is faster and fairer so."""
        session = plain_session(self.session)
        engine = writing_bind(session, inspect(self.model))
        if session.in_transaction() or not isinstance(engine, Engine):
            return nullcontext()
        return taking_turn(engine)

    @must_await
    async def commit(self) -> None:
        """Make everything durable; files that rows no longer point to are deleted then."""
        session = plain_session(self.session)
        if session.in_transaction() or has_edits(session):
            await self._run(self._begin(), rows.commit, self.model.__name__)

    @must_await
    async def rollback(self) -> None:
        """Undo everything since the last commit, stored bytes included."""
        with translate_outages(url_of(plain_session(self.session))):
            await run_in_session(self.session, Session.rollback)

    @must_await
    async def loading(self, read: Callable[[], T]) -> T:
        """Return what a function reads of rows, attributes included that are not loaded yet.

        >>> owner = await service.loading(lambda: document.owner.name)
        """
        return await self._run(self._begin(), lambda session: read())

    # -- inside --------------------------------------------------------------------------------------

    def _begin(self, *, writing: bool = False) -> Part:
        """Begin a call: note what it is a part of, so that it does nothing once that has ended.

        Raises:
            UnitOfWorkEndedError: It is `writing`, and its unit of work has ended already.
        """
        if self._made is not None:  # on another event loop than the session's it would spoil that one's connections
            name = f"The service of {self.model.__name__}"
            refuse_elsewhere(self.session, self._made, inspect(self.model), name)
        around = None
        for unit in _entered.get():  # the innermost comes last
            if unit.service is not None and unit.service() is self:
                around = unit
        session, unit = plain_session(self.session), around or self._unit
        if writing and unit.has_ended:
            raise UnitOfWorkEndedError(self.model.__name__)
        return Part(unit, self.model.__name__, session, session.identity_map, unit.has_ended, around is not None)

    async def _run(
        self, part: Part, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run some work of a call in the session when it is its turn, unless its unit of work has ended by then."""

        def step(session: Session) -> T:
            part.refuse_ended()
            # Of a task that outlives its unit nobody ends what it begins.
            with rows.in_passing(session) if part.is_late and part.is_inside else nullcontext():
                # One of `autobegin=False` does not begin its transaction by itself else.
                autobegin, session.autobegin = session.autobegin, True
                try:
                    return work(session, *args, **kwargs)
                finally:
                    session.autobegin = autobegin

        try:
            with translate_outages(url_of(part.session)), translate_ended_begin(self.model.__name__):
                return await run_in_session(self.session, step)
        except DatabaseFailedError as error:
            if (ledger := ledger_of_class(inspect(self.model))) is not None:
                explain_missing(error, ledger)
            raise


async def end_reading(session: AnySession) -> None:
    """End the transaction of a session if it has only read, and expire nothing; log once why another one is kept."""
    plain = plain_session(session)
    if state_of(plain).is_connected:
        with translate_outages(url_of(plain)):
            await run_in_session(session, end_if_only_read)


# -- turns at writing ------------------------------------------------------------------------------------
#
# A pool that overflows opens a connection for one row and closes it again, which takes ten times as long as to write
# it. On SQLite, which has one writer, those who wait sleep and try again, some of them until they give up. To wait in
# line is faster and fair. Nothing relies on it: who has waited long, or cannot wait, writes all the same.

PATIENCE: Final = 2.0
"""Seconds in line, before the database is left to say who waits."""

Lines = WeakKeyDictionary[Engine, asyncio.Semaphore]

_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Lines] = WeakKeyDictionary()


@asynccontextmanager
async def taking_turn(engine: Engine) -> AsyncIterator[None]:
    """Run a block that writes and commits in turn; whoever holds a connection already must not wait here."""
    lines = _lines.setdefault(asyncio.get_running_loop(), WeakKeyDictionary())
    line = lines.get(engine)
    if line is None:
        pooled = engine.pool.size() if isinstance(engine.pool, QueuePool) else 0
        room = 1 if engine.dialect.name == "sqlite" else pooled
        if not room:  # any number may write at once
            yield
            return
        line = lines[engine] = asyncio.Semaphore(room)
    has_turn = True
    if not line.locked():
        await line.acquire()
    else:
        try:
            async with asyncio.timeout(PATIENCE):
                await line.acquire()
        except TimeoutError:
            has_turn = False
    try:
        yield
    finally:
        if has_turn:
            line.release()
