"""The transaction of a service: begun at its first statement, ended by the block that it is the unit of work of."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import cached_property, partial
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from anyio import CancelScope
from sqlalchemy import Engine, inspect
from sqlalchemy.orm import Mapper, Session

from fastapi_filestore.errors import DatabaseFailedError, UnitOfWorkEndedError
from fastapi_filestore.orm.binds import writing_bind
from fastapi_filestore.orm.bridge import AnySession, plain_session, run_in_session
from fastapi_filestore.orm.edits import has_edits
from fastapi_filestore.orm.ledger import explain_missing, ledger_of_class
from fastapi_filestore.orm.outages import failures_told
from fastapi_filestore.orm.read_only import end_if_only_read, is_connected
from fastapi_filestore.service import rows
from fastapi_filestore.service.turns import turn_at
from fastapi_filestore.storage.awaited import all_awaited, noted
from fastapi_filestore.storage.blocking import run_blocking_here

ModelT = TypeVar("ModelT")
T = TypeVar("T")
P = ParamSpec("P")


class Transactional(Generic[ModelT]):
    """What a service does with its session as a whole."""

    model: type[ModelT]
    session: AnySession
    hold_session: bool
    _has_ended = False

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[Self]:
        """Commit at the end of the block, or roll back if it raises.

        Raises:
            NeverAwaitedError: A call of the block, of a service or a file, was never awaited.
        """
        had_ended, self._has_ended = self._has_ended, False
        try:
            async with all_awaited():
                yield self
            await self.commit()
        except BaseException:
            with CancelScope(shield=True):  # in this task still: it may be what a scoped session is of
                await self.rollback()
            raise
        finally:
            self._has_ended = had_ended

    def refuse_writes(self) -> None:
        """Refuse all that is written from now on, but in a new `unit_of_work`: nobody would commit it.

        The dependency does so when it has committed, before the response is sent.
        """
        self._has_ended = True

    @noted
    async def end_reading(self) -> None:
        """End a transaction that has only read, and expire nothing: a client is to be waited for, perhaps for long.

        The service does so before it stores what a client is sending; any other transaction is kept.
        """
        if not self.hold_session:
            await end_reading(self.session)

    def wait(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a call of this service to its end, blocking, where nothing can be awaited: in a `def` endpoint.

        >>> document = service.wait(service.create({"title": "t", "file": file}))
        """
        return run_blocking_here(call)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for a turn at writing rows, for a block that writes and commits at once: it is faster and fairer so."""
        session = plain_session(self.session)
        engine = writing_bind(session, self._mapper)
        if session.in_transaction() or not isinstance(engine, Engine):
            return nullcontext()
        return turn_at(engine)

    @noted
    async def commit(self) -> None:
        """Make everything durable; files that rows no longer point to are deleted then."""
        session = plain_session(self.session)
        if session.in_transaction() or has_edits(session):
            await self._run(rows.commit, self.model.__name__)

    @noted
    async def rollback(self) -> None:
        """Undo everything since the last commit, stored bytes included."""
        await self._run(rows.rollback)

    async def loading(self, read: Callable[[], T]) -> T:
        """Return what a function reads of rows, attributes included that are not loaded yet.

        >>> owner = await service.loading(lambda: document.owner.name)
        """
        return await self._run(lambda session: read())

    # -- inside --------------------------------------------------------------------------------------

    @cached_property
    def _mapper(self) -> Mapper[Any]:
        mapper: Mapper[Any] = inspect(self.model)
        return mapper

    async def _run(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with failures_told():
                return await run_in_session(self.session, partial(_begun, work), *args, **kwargs)
        except DatabaseFailedError as error:
            if (ledger := ledger_of_class(self._mapper)) is not None:
                explain_missing(error, ledger)
            raise

    async def _write(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._refuse_if_ended()
        return await self._run(work, *args, **kwargs)

    def _refuse_if_ended(self) -> None:
        if self._has_ended:
            raise UnitOfWorkEndedError(self.model.__name__)


def _begun(work: Callable[Concatenate[Session, P], T], session: Session, *args: P.args, **kwargs: P.kwargs) -> T:
    """Do some work in a session that begins its transaction by itself, as one of `autobegin=False` does not else."""
    autobegin, session.autobegin = session.autobegin, True
    try:
        return work(session, *args, **kwargs)
    finally:
        session.autobegin = autobegin


async def end_reading(session: AnySession) -> None:
    """End the transaction of a session if it has only read, and expire nothing; log once why another one is kept."""
    if is_connected(plain_session(session)):
        with failures_told():
            await run_in_session(session, end_if_only_read)
