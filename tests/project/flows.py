"""Which files of the package an operation enters, in which order, with how many calls and statements.

`python -m tests.project.flows` prints it as JSON; it is a program of its own since it profiles the whole process.
"""

import asyncio
import json
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import fastapi_filestore
from fastapi_filestore import FileObject, Filestore, FilestoreSettings, StoredObject, add_ledger

PACKAGE = f"{Path(fastapi_filestore.__file__).parent}/"


class Base(DeclarativeBase):
    """Whose tables the operations write."""


class Document(Base):
    """A row with a file."""

    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject] = mapped_column(StoredObject())


add_ledger(Base.metadata)


@dataclass
class Flow:
    """What one operation did, from its first call to its last."""

    files: list[str] = field(default_factory=list)
    functions: int = 0
    calls: int = 0
    statements: int = 0


class Profile:
    """Hears every call in every thread, and keeps those of the package while an operation runs."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.calls: list[tuple[str, int]] | None = None
        self.statements = 0
        event.listen(engine.sync_engine, "before_cursor_execute", self._note_statement)

    def hear(self, frame: FrameType, kind: str, argument: Any) -> None:
        """Note a call of a function of the package."""
        code = frame.f_code
        if self.calls is not None and kind == "call" and code.co_filename.startswith(PACKAGE):
            self.calls.append((code.co_filename.removeprefix(PACKAGE), code.co_firstlineno))

    def _note_statement(self, *arguments: Any) -> None:
        self.statements += 1

    async def flow_of(self, operation: Callable[[], Awaitable[object]]) -> Flow:
        """Run an operation and return what it did."""
        calls: list[tuple[str, int]] = []
        self.calls, self.statements = calls, 0
        await operation()
        self.calls = None
        return Flow(list(dict.fromkeys(file for file, _ in calls)), len(set(calls)), len(calls), self.statements)


async def flows(folder: Path) -> dict[str, Flow]:
    """Return the flow of each operation; all of them have run before, so that nothing is counted that is done once."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/app.db")
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    settings = FilestoreSettings.model_validate({"backends": {"default": {"url": f"file://{folder}/files/"}}})

    async def get_session() -> Any:
        async with sessions() as session:
            yield session

    files = Filestore(get_session, settings=settings)
    app = FastAPI(lifespan=files.lifespan)
    app.include_router(files.router(Document), prefix="/documents")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    profile = Profile(engine)
    sys.setprofile(profile.hear)
    threading.setprofile(profile.hear)
    transport = httpx.ASGITransport(app)
    async with files.lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        rounds = [await _each_once(profile, client, sessions) for _ in range(5)]
    sys.setprofile(None)
    await engine.dispose()
    # Of the later rounds, the cheapest of each: when the garbage collector runs is nobody's to say.
    return {name: min((flows[name] for flows in rounds[2:]), key=lambda flow: flow.calls) for name in rounds[0]}


async def _each_once(
    profile: Profile, client: httpx.AsyncClient, sessions: async_sessionmaker[AsyncSession]
) -> dict[str, Flow]:
    rows: list[int] = []

    async def create() -> None:
        content = ("a.txt", b"x" * 10240, "text/plain")
        answer = await client.post("/documents/", data={"title": "x"}, files={"file": content})
        rows.append(answer.raise_for_status().json()["id"])

    async def read() -> None:
        answer = await client.get(f"/documents/{rows[0]}/file", headers={"Range": "bytes=10-99"})
        answer.raise_for_status()

    async def replace() -> None:
        async with sessions() as session:
            document = await session.get_one(Document, rows[0])
            document.file = FileObject(filename="b.txt", content=b"y" * 10240)
            await session.commit()

    async def delete() -> None:
        (await client.delete(f"/documents/{rows[0]}")).raise_for_status()

    return {step.__name__: await profile.flow_of(step) for step in (create, read, replace, delete)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps({name: asdict(flow) for name, flow in asyncio.run(flows(Path(place))).items()}))  # noqa: T201
