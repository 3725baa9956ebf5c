"""The same with the line that most tutorials have: the whole file in memory."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Form, HTTPException, UploadFile
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.contenders.application import PLACE, application, guards
from benchmarks.contenders.rows import Document, get_session, lifespan

app = application(lifespan=lifespan)
store = PLACE.store()


@app.post("/documents/", status_code=201, dependencies=guards())
async def create(
    title: Annotated[str, Form()], file: UploadFile, session: Annotated[AsyncSession, Depends(get_session)]
) -> dict[str, Any]:
    """Store a file, then its row."""
    if (size := file.size or 0) > PLACE.limit:
        raise HTTPException(413, "Too large.")
    key = uuid4().hex
    await store.put_async(key, await file.read())
    document = Document(
        title=title, key=key, filename=file.filename or "", content_type=file.content_type or "", size=size
    )
    session.add(document)
    await session.commit()
    return {"id": document.id, "title": title, "filename": document.filename, "size": size}
