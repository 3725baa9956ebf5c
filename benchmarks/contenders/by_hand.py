"""The routes that people write: UploadFile, put, INSERT; SELECT, FileResponse. A crash may leave an orphan."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, Form, Header, HTTPException, Response, UploadFile
from fastapi.responses import FileResponse
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.contenders.application import PLACE, application, guards
from benchmarks.contenders.objects import send_object
from benchmarks.contenders.rows import Document, get_session, lifespan

app = application(lifespan=lifespan)
store = PLACE.store()


@app.post("/documents/", status_code=201, dependencies=guards())
async def create(
    title: Annotated[str, Form()],
    file: UploadFile,
    session: Annotated[AsyncSession, Depends(get_session)],
    response: Response,
) -> dict[str, Any]:
    """Store a file, then its row."""
    if (size := file.size or 0) > PLACE.limit:
        raise HTTPException(413, "Too large.")
    key = uuid4().hex
    await store.put_async(key, file.file)
    document = Document(
        title=title, key=key, filename=file.filename or "", content_type=file.content_type or "", size=size
    )
    session.add(document)
    await session.commit()
    response.headers["Location"] = f"/documents/{document.id}"
    return {"id": document.id, "title": title, "filename": document.filename, "size": size}


@app.get("/documents/{identity}/file")
async def read(
    identity: UUID,
    session: Annotated[AsyncSession, Depends(get_session)],
    if_none_match: Annotated[str, Header()] = "",
    range: Annotated[str, Header()] = "",  # noqa: A002 - the header's name
) -> Response:
    """Look at a row and send its file, unless the client has it."""
    document = await session.get(Document, identity)
    if document is None:
        raise HTTPException(404)
    tag = f'"{document.key}"'
    if if_none_match == tag:
        return Response(status_code=304, headers={"ETag": tag})
    if PLACE.bucket is not None:
        return await send_object(store, document.key, range)
    path, kind = PLACE.folder / document.key, document.content_type
    return FileResponse(path, filename=document.filename, media_type=kind, headers={"ETag": tag})
