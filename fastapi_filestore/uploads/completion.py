"""Make uploads whole, judged and where nobody has a signature for, before a row takes them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from sqlalchemy import Engine, inspect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import (
    ObjectNotFoundError,
    UploadAssemblingError,
    UploadClaimedError,
    UploadDigestError,
    UploadIncompleteError,
    UploadNotFoundError,
)
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.sessions import has_room, plain_session, run_in_session, writing_bind
from fastapi_filestore.orm.uploads.tables import CLAIMED, UploadRow
from fastapi_filestore.uploads.assembly import OvertakenError, assemble, become_whole, locked_open
from fastapi_filestore.uploads.digests import compare_digest
from fastapi_filestore.uploads.open_uploads import OpenUploads
from fastapi_filestore.uploads.parts import become_object

PATIENCE: Final = 20.0
"""Seconds that a request waits for an upload to be put together."""


async def complete(uploads: OpenUploads, identity: str) -> UploadRow:
    """Judge what has come of an upload, and keep it where nobody has a signature for.

    What is complete is judged once more: rules may be others by now. It commits, so nothing may be pending.

    Raises:
        UploadNotFoundError: There is no such upload.
        UploadClaimedError: A row took it already.
        UploadIncompleteError: Its bytes are not all there.
        UploadDigestError: They are others than were announced; it has ended.
        UploadError: It is not what was announced, or nothing that the column takes.
    """
    row = await uploads.find_any(identity)
    if row.state == CLAIMED:
        raise UploadClaimedError(row.location)
    try:
        if row.file is not None:
            (_, target), file = uploads.target_of(row), row.file
            await uploads.service.commit()
            await target.judge(file)
        elif row.path is not None and not row.received:
            await _take_direct(uploads, row)
        else:
            await assemble(uploads, row)
    except OvertakenError:
        await uploads.service.rollback()
        return await complete(uploads, identity)
    except UploadDigestError:
        await uploads.service.rollback()
        with suppress(UploadNotFoundError):
            await uploads.end(identity)
        raise
    return await uploads.find_any(identity)


async def complete_beside(uploads: OpenUploads, identities: Sequence[str]) -> None:
    """Complete some uploads over a connection of their own: what the session is about to write waits for none of it.

    What takes longer than a client should wait goes on by itself. A database that has one connection only has all that
    is pending committed.

    Raises:
        UploadAssemblingError: It takes longer; all that `complete` raises is raised, too.
    """
    engine = writing_bind(plain_session(uploads.service.session), inspect(uploads.tables.upload))
    deadline = asyncio.get_running_loop().time() + PATIENCE
    for identity in identities:
        if not isinstance(engine, Engine) or not has_room(engine):
            await complete(uploads, identity)
            continue
        place = (engine, identity, uploads.owner)
        task = _completing.get(place)
        if task is None:
            task = _completing[place] = asyncio.create_task(_complete_alone(uploads, engine, identity))
            task.add_done_callback(partial(_forget, place))
        await asyncio.wait({task}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        if not task.done():
            raise UploadAssemblingError(identity)
        task.result()


async def _complete_alone(uploads: OpenUploads, engine: Engine, identity: str) -> None:
    """Complete an upload in a session of its own."""
    if engine.dialect.is_async:
        async with AsyncSession(AsyncEngine(engine), expire_on_commit=False) as session:
            await complete(uploads.over(session), identity)
        return
    own = Session(engine, expire_on_commit=False)
    try:
        await complete(uploads.over(own), identity)
    finally:
        await finish(run_in_session(own, Session.close))


_completing = dict[tuple[Engine, str, str | None], asyncio.Task[None]]()
"""Those under way in this process: who asks for one meanwhile waits for it."""


def _forget(place: tuple[Engine, str, str | None], task: asyncio.Task[None]) -> None:
    _completing.pop(place, None)
    if not task.cancelled():
        task.exception()  # whoever waited has had it, and nobody may have


async def _take_direct(uploads: OpenUploads, row: UploadRow) -> None:
    """Take what a client stored by itself, if it is what was announced."""
    identity, announced, checksum, is_checked = row.id, row.size, row.checksum, row.is_checked
    name, target = uploads.target_of(row)
    file = FileObject(row.backend, row.filename, content_type=row.content_type, path=row.path)
    if row.multipart is not None:
        await become_object(uploads, row)
    await uploads.service.commit()
    try:
        async with uploads.service.storing(file, field=name, needs_folder=False) as stored:
            if announced is not None and stored.size != announced:
                raise UploadIncompleteError(received=stored.size, size=announced, is_direct=True)
            await target.judge(stored)
            if is_checked:
                stored.checksum = checksum
            await compare_digest(stored, checksum)
            await become_whole(uploads, identity, stored)
    except ObjectNotFoundError:
        await run_in_session(uploads.service.session, locked_open, uploads, identity)
        raise UploadIncompleteError(received=None, size=announced) from None
