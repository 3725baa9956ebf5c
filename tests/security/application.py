"""An application with a router for each kind of model, which uvicorn runs in a process of its own."""

import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from fastapi_filestore import FileService, Filestore, Upload, Uploads
from tests.web.models import Album, Article, Base, Document, Ticket
from tests.web.opening import lifespan_with

engine = create_async_engine(os.environ["DATABASE_URL"])
sessions = async_sessionmaker(engine)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with sessions() as session:
        yield session


files = Filestore(get_session)
get_albums = files.service(Album)
photo = files.upload(max_size="100 KB", content_types=["image/*"])
photos = files.uploads("photos", max_files=3, content_types=["image/*"])
lifespan = lifespan_with(files, engine, Base.metadata)


app = FastAPI(title="Models", lifespan=lifespan, exception_handlers=files.exception_handlers)
app.include_router(files.router(Document), prefix="/documents")
app.include_router(files.router(Ticket), prefix="/tickets")
app.include_router(files.router(Article), prefix="/articles")
app.include_router(files.router(Album, field="cover"), prefix="/covers")
app.include_router(files.signed_router())

REFUSALS: dict[int | str, dict[str, Any]] = {status: {"description": "Refused."} for status in (400, 413, 415, 422)}


@app.post("/photo", status_code=201, responses=REFUSALS, tags=["by hand"])
async def keep_photo(
    upload: Annotated[Upload, Depends(photo)], service: Annotated[FileService[Album], Depends(get_albums)]
) -> int:
    """Keep a picture."""
    return (await service.create({"cover": upload})).id


@app.post("/photos", status_code=201, responses=REFUSALS, tags=["by hand"])
async def keep_photos(
    uploads: Annotated[Uploads, Depends(photos)], service: Annotated[FileService[Album], Depends(get_albums)]
) -> int:
    """Keep several pictures."""
    return (await service.create({"photos": uploads})).id


@app.get("/signed/{identity}", include_in_schema=False)
async def sign(identity: int, service: Annotated[FileService[Album], Depends(get_albums)]) -> str:
    """Return a signed URL of a picture."""
    return await service.url(identity, field="cover")


@app.get("/peak", include_in_schema=False)
async def peak() -> int:
    """Return the most memory that the process ever had, in bytes."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: ASYNC230, PTH123 - no disk is behind it
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
