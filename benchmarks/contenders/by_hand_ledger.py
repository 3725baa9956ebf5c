"""The route by hand with what none that is crash-safe can do without: reserved keys, intents settled with the row.

It shows where the floor is for small files: it has no sweeper, and reads a file whole.
"""

import time
from collections import deque
from hashlib import sha256
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import Depends, Form, UploadFile
from sqlalchemy import bindparam, delete, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, Session, mapped_column

from benchmarks.contenders.application import PLACE, application, guards
from benchmarks.contenders.rows import Base, Document, engine, get_session, lifespan

BLOCK: Final = 64
"""Keys reserved in one transaction, as this library does."""
AGE: Final = 3600.0


class Intent(Base):
    """An object that may become an orphan."""

    __tablename__ = "intents"

    path: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[float] = mapped_column(index=True)


app = application(lifespan=lifespan)
store = PLACE.store()
reserved: deque[str] = deque()
settle = delete(Intent).where(Intent.path == bindparam("key"))


async def reserve() -> str:
    """Take a key that the table of intents knows of."""
    if not reserved:
        intents = [{"path": uuid4().hex, "due_at": time.time() + AGE} for _ in range(BLOCK)]
        async with engine.begin() as connection:
            await connection.execute(insert(Intent), intents)
        reserved.extend(str(intent["path"]) for intent in intents)
    return reserved.popleft()


def write(session: Session, document: Document) -> None:
    """Write a row and remove its intent."""
    if session.connection().execute(settle, {"key": document.key}).rowcount != 1:
        raise LookupError(document.key)
    session.add(document)
    session.commit()


@app.post("/documents/", status_code=201, dependencies=guards())
async def create(
    title: Annotated[str, Form()], file: UploadFile, session: Annotated[AsyncSession, Depends(get_session)]
) -> dict[str, Any]:
    """Store a file, then its row."""
    content, key = await file.read(), await reserve()
    await store.put_async(key, content)
    document = Document(
        title=title, key=key, filename=file.filename or "", content_type=file.content_type or "", size=len(content)
    )
    checksum = sha256(content).hexdigest()
    await session.run_sync(write, document)
    return {"id": document.id, "title": title, "filename": document.filename, "size": len(content), "sha256": checksum}
