"""What clients do with uploads: steps that scripts share, and what there is before one of them."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import inspect, update
from sqlalchemy.orm import Session

from fastapi_filestore import FileService, storages
from fastapi_filestore.errors import ClientDisconnectedError
from fastapi_filestore.orm.column.attributes import file_attribute
from fastapi_filestore.orm.sessions import run_in_session, writing_connection
from fastapi_filestore.orm.uploads.leases import Lease
from fastapi_filestore.storage.paths import generate_once_path
from fastapi_filestore.storage.signing import UrlSigner
from fastapi_filestore.uploads.claims import take
from fastapi_filestore.uploads.completion import complete, complete_beside
from fastapi_filestore.uploads.open_uploads import OpenUploads
from fastapi_filestore.uploads.options import UploadLimits
from fastapi_filestore.uploads.segments import Appending, Body
from fastapi_filestore.uploads.targets import Announced, Target
from tests.crash.application import Application
from tests.crash.models import BACKEND, LEDGER, UPLOADS, Document
from tests.crash.scripts.script import Act, named, unit

FIRST, SECOND, THIRD = "first.txt", "second.txt", "third.txt"
HALVES: Final = (b"one half, ", b"and another")
SIZE: Final = sum(map(len, HALVES))
URL_SECONDS: Final = 600

begun: Final = dict[str, str]()
"""The ids of the uploads that this process has begun, by the names of their files."""


def uploads_of(service: FileService[Document]) -> OpenUploads:
    """Return the uploads of an owner for documents."""
    targets = {name: Target(file_attribute(Document, name)) for name in ("file", "pages")}
    return OpenUploads(service, UPLOADS, targets, limits=UploadLimits(), owner="ann")


@asynccontextmanager
async def working(application: Application) -> AsyncIterator[OpenUploads]:
    """Open a unit of work on uploads, and commit it."""
    async with application.work() as work, work.service().unit_of_work() as service:
        yield uploads_of(service)


def sign_urls() -> None:
    """Let the application sign URLs to store at."""
    storages.signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url="/filestore?sig=")


async def begin(
    application: Application,
    filename: str,
    *,
    field: str = "file",
    expires_in: int | None = None,
    parts: Iterable[str] = (),
    concat: str | None = None,
    checksum: str | None = None,
) -> str | None:
    """Begin an upload, and return where its client may store it."""
    ids = [begun[part] for part in parts]
    announced = Announced(filename, "text/plain", None if ids else SIZE, checksum, concat=concat, parts=ids)
    async with working(application) as uploads:
        row, _ = await uploads.begin(field, announced, expires_in=expires_in)
        begun[filename], path = row.id, row.path
        await uploads.service.commit()
        return path


def body_of(*chunks: bytes, is_cut: bool = False) -> Body:
    """Return the body of a request, which the client may cut off."""

    async def body(lease: Lease) -> AsyncGenerator[bytes, None]:
        for chunk in chunks:
            yield chunk
        if is_cut:
            raise ClientDisconnectedError

    return body


async def append(application: Application, filename: str, start: int, *chunks: bytes, is_cut: bool = False) -> None:
    """Append to an upload."""
    async with working(application) as uploads:
        await Appending(uploads).append(begun[filename], body_of(*chunks, is_cut=is_cut), start=start)


async def append_halves(application: Application, filename: str = FIRST) -> None:
    """Append a half of the file, and the other one by another request."""
    await append(application, filename, 0, HALVES[0])
    await append(application, filename, len(HALVES[0]), HALVES[1])


async def make_whole(application: Application, filename: str = FIRST) -> None:
    """Complete an upload."""
    async with working(application) as uploads:
        await complete(uploads, begun[filename])


async def claim(application: Application, title: str, *filenames: str) -> None:
    """Complete uploads beside the session, as routes do, and let a new document take them."""
    async with working(application) as uploads:
        identities = [begun[filename] for filename in filenames]
        await complete_beside(uploads, identities)
        async with uploads.service.turn():
            claimed = await take(uploads, identities)
            (file,) = claimed.files["file"]
            await uploads.service.create({"title": title, "file": file})
            await claimed.note_row(title)
            await uploads.service.commit()


# -- what there is before --------------------------------------------------------------------------------


def open_upload(*filenames: str, **options: Any) -> Act:
    """Return what begins uploads that nothing has come of."""

    async def arrange(application: Application) -> None:
        for filename in filenames:
            await begin(application, filename, **options)

    return arrange


async def with_one_segment(application: Application) -> None:
    """Bring a file by one request."""
    await begin(application, FIRST)
    await append(application, FIRST, 0, *HALVES)


async def with_two_segments(application: Application) -> None:
    """Bring a file by two requests."""
    await begin(application, FIRST)
    await append_halves(application)


async def with_parts(application: Application) -> None:
    """Bring two parts, one of them by two requests."""
    for filename in (FIRST, SECOND):
        await begin(application, filename, concat="partial")
    await append_halves(application)
    await append(application, SECOND, 0, *HALVES)


async def whole(application: Application) -> None:
    """Complete an upload."""
    await with_two_segments(application)
    await make_whole(application)


async def with_other_bytes(application: Application) -> None:
    """Append two halves of a file that is none of the announced digest."""
    await begin(application, FIRST, checksum="ab" * 32)
    await append_halves(application)


async def stored_by_client(application: Application) -> None:
    """Store a file as the holder of a URL may, who may store there again."""
    sign_urls()
    path = await begin(application, FIRST, expires_in=URL_SECONDS)
    await storages.get_backend(BACKEND).put(str(path), b"".join(HALVES))


async def stored_once(application: Application) -> None:
    """Store a file as the holder of a URL that writes once."""
    await begin(application, FIRST)
    path, uploads = generate_once_path("", URL_SECONDS), UPLOADS.uploads

    def lead_to(session: Session) -> None:
        session.execute(update(uploads).where(uploads.c.id == begun[FIRST]).values(backend=BACKEND, path=path))
        LEDGER.expect(writing_connection(session, inspect(Document)), (BACKEND, path), seconds=2 * URL_SECONDS)

    await unit(lead_to)(application)
    await storages.get_backend(BACKEND).put(path, b"".join(HALVES))


async def first_row(uploads: OpenUploads) -> int:
    """Return the primary key of the first row."""
    document: Document = await run_in_session(uploads.service.session, lambda session: named(session, "one"))
    return document.id
