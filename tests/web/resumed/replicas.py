"""Applications that take resumed uploads, any number of them on one database and one store, and clients of theirs."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from fastapi_filestore import FileObject, Filestore, FilestoreSettings, StoredObject, add_ledger, add_uploads
from tests.web.site import session_dependency

BACKEND = "resumed"
VERSION = {"Tus-Resumable": "1.0.0"}
MEDIA_TYPE = {"Content-Type": "application/offset+octet-stream"}
GENEROUS = 30.0
"""Seconds until something that takes two has hung."""


class Base(DeclarativeBase):
    """Of clips alone."""


class Clip(Base):
    """A row that takes an upload."""

    __tablename__ = "clips"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(BACKEND))


LEDGER = add_ledger(Base.metadata)
UPLOADS = add_uploads(Base.metadata)


@dataclass
class Sending:
    """A request whose body comes bit by bit."""

    app: FastAPI
    path: str
    headers: dict[str, str]
    messages: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        head = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        framing = [] if "Content-Length" in self.headers else [(b"transfer-encoding", b"chunked")]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "PATCH",
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"site"), *framing, *head],
            "client": ("127.0.0.1", 1),
            "server": ("site", 80),
        }
        self.task = asyncio.create_task(self.app(scope, self.messages.get, self._note))

    async def _note(self, message: Any) -> None:
        self.sent.append(message)

    def send(self, content: bytes, *, more: bool = True) -> None:
        """Send some bytes."""
        self.messages.put_nowait({"type": "http.request", "body": content, "more_body": more})

    def vanish(self) -> None:
        """Go away."""
        self.messages.put_nowait({"type": "http.disconnect"})

    async def read(self) -> None:
        """Wait until all that was sent was read."""
        async with asyncio.timeout(GENEROUS):
            while not self.messages.empty() and not self.task.done():  # noqa: ASYNC110 - a queue tells it to nobody
                await asyncio.sleep(0.01)

    async def end(self) -> int:
        """Wait for the end of the request, and return the status of the answer."""
        async with asyncio.timeout(GENEROUS):
            await self.task
        return int(self.sent[0]["status"])


@dataclass
class Replica:
    """One of the applications."""

    app: FastAPI
    files: Filestore
    client: AsyncClient
    engine: Engine

    async def begin(self, size: int, **headers: str) -> str:
        """Begin an upload and return its path."""
        given = {"Upload-Length": str(size)} if size >= 0 else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.client.post("/clips/uploads", headers={**VERSION, **given, **named})
        assert answer.status_code == 201, answer.text
        return f"/clips/{answer.headers['location']}"

    def sending(self, path: str, offset: int, content: bytes = b"", **headers: str) -> Sending:
        """Begin to send bytes of an upload."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sending = Sending(self.app, path, {**VERSION, **MEDIA_TYPE, "Upload-Offset": str(offset), **named})
        if content:
            sending.send(content)
        return sending

    async def patch(self, path: str, offset: int, content: bytes, **headers: str) -> Response:
        """Send bytes of an upload."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {**VERSION, **MEDIA_TYPE, "Upload-Offset": str(offset), **named}
        async with asyncio.timeout(GENEROUS):
            return await self.client.patch(path, headers=given, content=content)

    async def offset(self, path: str) -> int:
        """Ask how far an upload is."""
        async with asyncio.timeout(GENEROUS):
            answer = await self.client.head(path, headers=VERSION)
        return int(answer.headers["upload-offset"]) if answer.is_success else -answer.status_code

    async def claim(self, path: str) -> Response:
        """Let a row take an upload, and return the file of the row."""
        row = await self.client.post("/clips/", json={"upload": path.rpartition("/")[2]})
        assert row.status_code == 201, row.text
        return await self.client.get(f"{row.headers['location']}/file")


@asynccontextmanager
async def replica(
    url: str, *, begun: Callable[[Engine], None] | None = None, **settings: Any
) -> AsyncIterator[Replica]:
    """Run an application on a database that has its tables, in sessions of the kind that the URL says."""
    make: Any
    dispose: Callable[[], Awaitable[None]]
    if "+a" in url:
        asynchronous = create_async_engine(url)
        engine, make = asynchronous.sync_engine, async_sessionmaker(asynchronous, class_=AsyncSession)
        dispose = asynchronous.dispose
    else:
        connect = {"check_same_thread": False} if url.startswith("sqlite") else {}
        engine = create_engine(url, connect_args=connect)
        make = sessionmaker(engine, class_=Session)
        dispose = partial(_dispose, engine)
    if begun is not None:
        begun(engine)
    given = FilestoreSettings(_env_file=None, **settings)
    files = Filestore(session_dependency(make, asynchronous="+a" in url), settings=given)
    app = FastAPI(exception_handlers=files.exception_handlers)
    app.include_router(files.router(Clip, uploads=True), prefix="/clips")
    transport = ASGITransport(app=app)
    try:
        async with files.lifespan(app), AsyncClient(transport=transport, base_url="http://site") as client:
            yield Replica(app, files, client, engine)
    finally:
        await dispose()


async def _dispose(engine: Engine) -> None:
    await asyncio.to_thread(engine.dispose)


def clock_ahead(seconds: float) -> Callable[[Engine], None]:
    """Return what lets the clock of a machine go before the others', as SQLite asks it."""
    plain = sqlite3.connect(":memory:", check_same_thread=False)

    def julian_day(_: str) -> float:
        (now,) = plain.execute("SELECT julianday('now')").fetchone()
        return float(now) + seconds / 86400

    def change(connection: Any, _: Any) -> None:
        connection.create_function("julianday", 1, julian_day)

    return lambda engine: event.listen(engine, "connect", change)
