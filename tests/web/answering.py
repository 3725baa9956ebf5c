"""The application of the tests of answers: `python -m tests.web.answering PORT PARSER`, set up by environment.

It counts the bytes that the server reads from its sockets, bodies that no application asked for included.
"""

import os
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from sqlalchemy import ColumnElement, true
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fastapi_filestore import Filestore, Upload, Uploads
from tests.servers.process import LOOPBACK
from tests.web.models import Base, Document, Paper
from tests.web.opening import lifespan_with
from tests.web.raised import RAISED

engine = create_async_engine(os.environ["DATABASE_URL"])
sessions = async_sessionmaker(engine)
received = 0


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with sessions() as session:
        yield session


async def current_user(authorization: Annotated[str, Header()] = "") -> str:
    """Let friends in, and keep strangers out for good."""
    if not authorization:
        raise HTTPException(401, "Who are you?", {"WWW-Authenticate": 'Bearer realm="files"'})
    if authorization == "Bearer stranger":
        raise HTTPException(403, {"reason": "Not you."}, {"X-Policy": "friends only"})
    return authorization


async def everything(user: Annotated[str, Depends(current_user)]) -> ColumnElement[bool]:
    """Show all rows to whoever is in."""
    return true()


files = Filestore(get_session)
lifespan = lifespan_with(files, engine, Base.metadata)


app = FastAPI(lifespan=lifespan, exception_handlers=files.exception_handlers)
app.include_router(files.router(Document, uploads=True), prefix="/documents")
app.include_router(files.router(Paper, scope=everything, defaults={"owner": current_user}), prefix="/private")
app.include_router(files.signed_router())
get_document_service = files.service(Document)
text_upload = files.upload(max_size="1 MB", content_types=["text/plain"])
two_uploads = files.uploads(max_files=2)


@app.post("/by-hand")
async def by_hand(upload: Annotated[Upload, Depends(text_upload)]) -> int:
    """Read a file."""
    return sum([len(chunk) async for chunk in upload])


@app.post("/several")
async def several(uploads: Annotated[Uploads, Depends(two_uploads)]) -> int:
    """Read files."""
    return len([upload async for upload in uploads])


@app.api_route("/raise/{name}", methods=["GET", "HEAD"])
async def raise_error(name: str) -> None:
    """Fail in a way that is asked for."""
    raise RAISED[name]


@app.get("/url/{identity}")
async def url(identity: int, service: Annotated[Any, Depends(get_document_service)]) -> str:
    """Return a signed URL of a document."""
    signed: str = await service.url(identity)
    return signed


@app.get("/received")
async def received_so_far(request: Request) -> int:
    """Return how many bytes the server has read from its sockets."""
    return received


class _Counting:
    def data_received(self, data: bytes) -> None:
        """Count what the parser gets."""
        global received  # noqa: PLW0603 - one server, one count
        received += len(data)
        super().data_received(data)  # type: ignore[misc]


class CountingHttpTools(_Counting, HttpToolsProtocol):
    """Uvicorn's fast parser."""


class CountingH11(_Counting, H11Protocol):
    """Uvicorn's strict parser."""


if __name__ == "__main__":
    parser = {"httptools": CountingHttpTools, "h11": CountingH11}[sys.argv[2]]
    uvicorn.run(app, host=LOOPBACK, port=int(sys.argv[1]), http=parser)
