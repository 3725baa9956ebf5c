"""The sessions of a soak's tasks: AsyncSession, or one that blocks, in threads as the library's routes have it."""

from types import TracebackType
from typing import Any, Self, TypeAlias

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from fastapi_filestore import FileService
from fastapi_filestore.orm.sessions import run_in_session
from tests.soak.models import Document


class BlockingSession:
    """A session that blocks, used as an AsyncSession is."""

    def __init__(self, engine: Engine) -> None:
        self.plain = Session(engine)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await run_in_session(self.plain, lambda session: session.close())

    def add(self, row: object) -> None:
        """Add a row."""
        self.plain.add(row)

    async def commit(self) -> None:
        """Commit."""
        await run_in_session(self.plain, lambda session: session.commit())

    async def rollback(self) -> None:
        """Roll back."""
        await run_in_session(self.plain, lambda session: session.rollback())

    async def flush(self) -> None:
        """Write what was changed."""
        await run_in_session(self.plain, lambda session: session.flush())

    async def delete(self, row: object) -> None:
        """Delete a row."""
        await run_in_session(self.plain, lambda session: session.delete(row))

    async def get(self, model: type[Any], identity: object) -> Any:
        """Return a row by its primary key."""
        return await run_in_session(self.plain, lambda session: session.get(model, identity))

    async def scalar(self, statement: Any) -> Any:
        """Return the first value that a statement finds."""
        return await run_in_session(self.plain, lambda session: session.scalar(statement))

    async def begin_nested(self) -> "BlockingSavepoint":
        """Begin a savepoint."""
        return BlockingSavepoint(self, await run_in_session(self.plain, lambda session: session.begin_nested()))


class BlockingSavepoint:
    """A savepoint of a session that blocks."""

    def __init__(self, session: BlockingSession, savepoint: SessionTransaction) -> None:
        self.session, self.savepoint = session, savepoint

    async def rollback(self) -> None:
        """Roll back to it."""
        await run_in_session(self.session.plain, lambda session: self.savepoint.rollback())


WorkSession: TypeAlias = AsyncSession | BlockingSession


def session_on(engine: Engine | AsyncEngine) -> WorkSession:
    """Return a session of the kind that an engine is for."""
    return AsyncSession(engine) if isinstance(engine, AsyncEngine) else BlockingSession(engine)


def service_of(session: WorkSession) -> FileService[Document]:
    """Return a service as a route has it."""
    return FileService(session.plain if isinstance(session, BlockingSession) else session, model=Document)
