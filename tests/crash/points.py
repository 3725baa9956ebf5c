"""The numbered points of a unit of work: before and after each statement, COMMIT, ROLLBACK and call of the store."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, Engine, event

from fastapi_filestore import ObjectInfo, ObstoreBackend, SignedURL
from fastapi_filestore.storage.backend import ObjectStream
from fastapi_filestore.storage.content import Content, read_content
from fastapi_filestore.storage.local.folder import is_staged

Strike: TypeAlias = Callable[[str], None]
"""What happens at the chosen point, given what is happening there."""

EndTransaction: TypeAlias = Callable[[Any], None]
"""A dialect's way to commit, or to roll back, on a driver's connection."""

PART = 5 * 1024 * 1024
"""Size of a part where a script wants an upload in parts: the smallest that S3 takes."""
LABEL_CHARACTERS = 60
DISK_CALLS = {"open": "open", "os.link": "link", "os.rename": "rename", "os.remove": "remove"}
"""Calls of the disk, by the name under which the interpreter tells of them."""


def kill_this_process(label: str) -> None:
    """Die as by `kill -9`: nothing is flushed, closed or undone."""
    os.kill(os.getpid(), signal.SIGKILL)


class Points:
    """Counts the points that a process reaches while armed, and strikes at the chosen one."""

    def __init__(self, chosen: int | None = None, strike: Strike = kill_this_process) -> None:
        self.chosen, self.strike = chosen, strike
        self.labels: list[str] = []
        self.armed = False
        self.struck_at: str | None = None
        self._lock = threading.RLock()

    def reach(self, label: str) -> None:
        """Note a point."""
        with self._lock:
            if not self.armed:
                return
            self.labels.append(label)
            chosen = len(self.labels) == self.chosen
        if chosen:
            self.struck_at = label
            self.strike(label)


class Transactions:
    """Counts the transactions that are open, to tell an upload inside one."""

    def __init__(self) -> None:
        self.open = 0

    def watch(self, engine: Engine) -> None:
        """Count from now on."""

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            self.open += 1

        @event.listens_for(engine, "commit")
        @event.listens_for(engine, "rollback")
        def end(connection: Connection) -> None:
            self.open -= 1


def watch_statements(engine: Engine, points: Points) -> None:
    """Make every statement, COMMIT and ROLLBACK of an engine a point before and a point after it.

    The point before is where the driver is called, so that what is raised there is taken for the driver's error.
    """

    def before(cursor: Any, statement: str, *rest: Any) -> None:
        points.reach(f"before {_short(statement)}")

    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        event.listen(engine, name, before)

    # The library makes engines of its own that share the dialect, so this listens to all engines.
    @event.listens_for(Engine, "after_cursor_execute")
    def after(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        if connection.dialect is engine.dialect:
            points.reach(f"after {_short(statement)}")

    commit, roll_back = engine.dialect.do_commit, engine.dialect.do_rollback
    setattr(engine.dialect, "do_commit", _pointed("COMMIT", commit, roll_back, points))  # noqa: B010 - a method
    setattr(engine.dialect, "do_rollback", _pointed("ROLLBACK", roll_back, roll_back, points))  # noqa: B010 - the same


def watch_disk(points: Points) -> None:
    """Make every call of the disk that makes, places or removes the staged file of an upload a point before it."""

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        # Where a process opens files all the time, the check has to be a short one.
        if name in DISK_CALLS and isinstance(arguments[0], str | Path) and is_staged(Path(arguments[0]).name):
            points.reach(f"before {DISK_CALLS[name]} on the disk")

    sys.addaudithook(watch)


def _short(statement: str) -> str:
    return " ".join(statement.split())[:LABEL_CHARACTERS]


def _pointed(name: str, work: EndTransaction, roll_back: EndTransaction, points: Points) -> EndTransaction:
    def pointed(connection: Any) -> None:
        try:
            points.reach(f"before {name}")
        except Exception:
            # A database that refuses to commit has rolled back.
            roll_back(connection)
            raise
        work(connection)
        try:
            points.reach(f"after {name}")
        except Exception:
            # What fails after the deed is the connection: the answer does not arrive.
            connection.dbapi_connection.close()
            raise

    return pointed


class PointedBackend:
    """A backend whose every call is a point before and a point after it, and so is each piece of an upload.

    Args:
        inner: The backend that does the work.
        points: Where they are counted.
        uploading: Told each key before an upload to it begins.
        in_parts: Upload in parts.
        folder: Where the objects are, if they are files.
    """

    def __init__(
        self,
        inner: ObstoreBackend,
        points: Points,
        *,
        uploading: Callable[[str], None],
        in_parts: bool = False,
        folder: Path | None = None,
    ) -> None:
        self.inner, self.points, self.uploading, self.in_parts = inner, points, uploading, in_parts
        self.folder = folder
        self.hangs = False
        self.hanging = asyncio.Event()

    @property
    def key(self) -> str:
        """The key of the backend that does the work."""
        return self.inner.key

    def hang(self, label: str) -> None:
        """Let the call that is under way never return: a strike."""
        self.hangs = True

    async def _reach(self, label: str) -> None:
        self.points.reach(label)
        if self.hangs:
            self.hangs = False
            self.hanging.set()
            await asyncio.Event().wait()

    async def put(
        self,
        path: str,
        content: Content,
        *,
        content_type: str | None = None,
        content_disposition: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        use_multipart: bool | None = None,
        chunk_size: int | None = None,
        max_concurrency: int | None = None,
    ) -> ObjectInfo:
        """Store content."""
        self.uploading(path)
        await self._reach("before put")
        info = await self.inner.put(
            path,
            self._pieces(content),
            content_type=content_type,
            content_disposition=content_disposition,
            metadata=metadata,
            if_absent=if_absent,
            use_multipart=True if self.in_parts else use_multipart,
            chunk_size=PART if self.in_parts else chunk_size,
            max_concurrency=max_concurrency,
        )
        await self._reach("after put")
        return info

    async def _pieces(self, content: Content) -> AsyncIterator[bytes]:
        async for piece in read_content(content).chunks():
            yield piece
            await self._reach("a piece put")

    async def open(self, path: str, *, start: int = 0, end: int | None = None) -> ObjectStream:
        """Open an object."""
        return await self.inner.open(path, start=start, end=end)

    async def head(self, path: str) -> ObjectInfo:
        """Ask for an object."""
        await self._reach("before head")
        info = await self.inner.head(path)
        await self._reach("after head")
        return info

    async def copy(self, source: str, target: str) -> None:
        """Copy an object."""
        self.uploading(target)
        await self._reach("before copy")
        await self.inner.copy(source, target)
        await self._reach("after copy")

    async def delete(self, *paths: str) -> None:
        """Delete objects."""
        await self._reach("before delete")
        await self.inner.delete(*paths)
        await self._reach("after delete")

    async def drop_unfinished(self, *paths: str) -> None:
        """Drop what uploads to these keys left."""
        await self._reach("before drop")
        await self.inner.drop_unfinished(*paths)
        await self._reach("after drop")

    async def list(self, prefix: str = "", *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """List objects."""
        async for info in self.inner.list(prefix, after=after):
            yield info

    async def sign(
        self, path: str, *, method: Literal["GET", "PUT"] = "GET", expires_in: int, content_type: str | None = None
    ) -> SignedURL:
        """Sign a URL."""
        return await self.inner.sign(path, method=method, expires_in=expires_in, content_type=content_type)

    async def probe(self, *, write: bool = True) -> None:
        """Reach for the store."""
        await self.inner.probe(write=write)

    async def aclose(self) -> None:
        """Close the backend that does the work."""
        await self.inner.aclose()
