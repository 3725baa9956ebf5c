"""The application of the tests that need sockets: uvicorn runs it in a process of its own, set up by environment."""

import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_filestore import FileObject, Filestore, Uploads
from tests.web.models import Base, Document
from tests.web.opening import lifespan_with

engine = create_async_engine(os.environ["DATABASE_URL"])
sessions = async_sessionmaker(engine)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with sessions() as session:
        yield session


async def authorize(authorization: Annotated[str, Header()] = "") -> None:
    """Let one client in."""
    if authorization != "Bearer friend":
        raise HTTPException(401, "Who are you?")


files = Filestore(get_session)
lifespan = lifespan_with(files, engine, Base.metadata)


class CountingBodies:
    """Counts the bytes of bodies that the application asked the server for before it answered.

    What it reads and throws away afterwards depends on how soon a client heeds the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.received = app, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        answered = False

        async def counting() -> Message:
            message = await receive()
            self.received += 0 if answered else len(message.get("body", b""))
            return message

        async def watching(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        await self.app(scope, counting, watching)


api = FastAPI(lifespan=lifespan, exception_handlers=files.exception_handlers)
api.include_router(files.router(Document), prefix="/documents")
api.include_router(files.router(Document, dependencies=[Depends(authorize)]), prefix="/private")
api.include_router(files.signed_router())
app = CountingBodies(api)


@api.post("/several")
async def several(uploads: Annotated[Uploads, Depends(files.uploads(max_files=3))]) -> list[int]:
    """Return the sizes of the files of a form."""
    return [sum([len(chunk) async for chunk in upload]) async for upload in uploads]


@api.get("/signed")
async def sign() -> str:
    """Return a URL that stores a file."""
    return (await FileObject("web", "a").signed_url_async(expires_in=60, method="PUT")).url


@api.get("/received")
async def received() -> int:
    """Return how many bytes of bodies were read so far."""
    return app.received


@api.get("/peak")
async def peak() -> int:
    """Return the most memory that the process ever had, in bytes."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: ASYNC230, PTH123 - no disk is behind it
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
